#include "espectra/experiments/data/number_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string>

namespace espectra {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view without_sign(std::string_view text) {
    return !text.empty() && (text.front() == '+' || text.front() == '-') ? text.substr(1) : text;
}

/// Returns true if the texts are equal but for upper and lower case; `lower` is in lower case.
bool equals_in_any_case(std::string_view text, std::string_view lower) {
    return std::ranges::equal(text, lower, [](char a, char b) {
        return static_cast<char>(std::tolower(static_cast<unsigned char>(a))) == b;
    });
}

}  // namespace

NumberText parse_number(std::string_view text, double& value) {
    if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
    const char* const end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ptr != end || text.empty()) return NumberText::word;
    if (result.ec == std::errc()) return NumberText::number;
    if (result.ec != std::errc::result_out_of_range) return NumberText::word;
    // Too large, or so small that it rounds to 0: decided by the wider type.
    long double wide = 0.0L;
    if (std::from_chars(text.data(), end, wide).ec != std::errc() || std::abs(wide) > 1.0L)
        return NumberText::out_of_range;
    value = static_cast<double>(wide);
    return NumberText::number;
}

NumberText parse_decimal_comma(std::string_view text, double& value) {
    const auto comma = text.find(',');
    if (comma == std::string_view::npos || comma + 1 == text.size() || !is_digit(text[comma + 1]) ||
        text.find_first_of(".,", comma + 1) != std::string_view::npos ||
        text.substr(0, comma).find('.') != std::string_view::npos)
        return NumberText::word;
    std::string with_point(text);
    with_point[comma] = '.';
    return parse_number(with_point, value);
}

bool parse_boolean(std::string_view text, double& value) {
    value = equals_in_any_case(text, "true") ? 1.0 : 0.0;
    return value == 1.0 || equals_in_any_case(text, "false");
}

bool may_have_thousands(std::string_view text) {
    std::string_view rest = without_sign(text);
    std::size_t length = std::min(rest.find(','), rest.size());
    if (length < 1 || length > 3 || rest.size() == length || rest.front() == '0') return false;
    for (;;) {
        if (!std::all_of(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(length), is_digit))
            return false;
        rest.remove_prefix(length);
        if (rest.empty()) return true;
        rest.remove_prefix(1);
        length = std::min(rest.find(','), rest.size());
        if (length != 3) return false;
    }
}

bool is_missing(std::string_view text) {
    constexpr std::array<std::string_view, 9> marks = {"?",   "na",   "n/a",  "#n/a", "<na>",
                                                       "nan", "null", "none", "#na"};
    if (text.empty()) return true;
    if (text.size() > 4) return false;
    return std::ranges::any_of(marks,
                               [&](std::string_view mark) { return equals_in_any_case(text, mark); }) ||
           equals_in_any_case(without_sign(text), "nan");  // C writes "-nan"
}

}  // namespace espectra
