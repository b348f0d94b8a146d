#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/data/labels.hpp"
#include "espectra/experiments/files/input_file.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string_view>

namespace espectra {

namespace {

std::string_view trim(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\v\f";
    const auto begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// Cuts a line at its commas, except those between double quotes, and removes the quotes around fields.
void split_fields(std::string_view line, std::vector<std::string_view>& fields) {
    fields.clear();
    std::size_t begin = 0;
    bool quoted = false;
    for (std::size_t i = 0; i <= line.size(); ++i) {
        if (i < line.size() && line[i] == '"') quoted = !quoted;
        if (i < line.size() && (line[i] != ',' || quoted)) continue;
        std::string_view field = trim(line.substr(begin, i - begin));
        if (field.size() >= 2 && field.front() == '"' && field.back() == '"')
            field = trim(field.substr(1, field.size() - 2));
        fields.push_back(field);
        begin = i + 1;
    }
}

enum class Parsed { number, out_of_range, text };

Parsed parse_number(std::string_view field, double& value) {
    if (field.size() > 1 && field.front() == '+' && field[1] != '-') field.remove_prefix(1);
    const char* const end = field.data() + field.size();
    const auto result = std::from_chars(field.data(), end, value);
    if (result.ptr != end || field.empty()) return Parsed::text;
    if (result.ec == std::errc()) return Parsed::number;
    if (result.ec != std::errc::result_out_of_range) return Parsed::text;
    // Too large, or so small that it rounds to 0: decided by the wider type.
    long double wide = 0.0L;
    if (std::from_chars(field.data(), end, wide).ec != std::errc() || std::abs(wide) > 1.0L)
        return Parsed::out_of_range;
    value = static_cast<double>(wide);
    return Parsed::number;
}

}  // namespace

RawData parse_csv(std::string_view text, const std::string& source, bool regression) {
    RawData raw;
    raw.source = source;
    std::vector<double> outcomes;     // the last column
    std::vector<Index> line_numbers;  // per example, from 1
    const Place place = [&](Index row, Index column) {
        const Index line = line_numbers[static_cast<std::size_t>(row)];
        return column < 0 ? fmt::format("{}:{}", source, line)
                          : fmt::format("{}:{}: column {}", source, line, raw.feature_count + column + 1);
    };

    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // the byte-order mark of UTF-8
    std::vector<std::string_view> fields;
    std::vector<double> numbers;
    Index columns = 0;  // of the file; 0 before its first line that is not blank
    Index line_number = 0;
    while (!text.empty()) {
        const auto length = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(text.substr(0, length));
        text.remove_prefix(std::min(length + 1, text.size()));
        ++line_number;
        if (line.empty()) continue;

        split_fields(line, fields);
        const auto count = static_cast<Index>(fields.size());
        if (columns == 0) {
            if (count < 2)
                throw InputError(fmt::format(
                    "{}:{}: expected at least 2 columns (features, label), got 1 (are they separated "
                    "by commas?)",
                    source, line_number));
            columns = count;
            raw.feature_count = count - 1;
            double ignored = 0.0;
            const bool header = std::all_of(fields.begin(), fields.end(), [&](std::string_view field) {
                return parse_number(field, ignored) == Parsed::text;
            });
            if (header) continue;
        }
        if (count != columns)
            throw InputError(
                fmt::format("{}:{}: expected {} columns, got {}", source, line_number, columns, count));

        numbers.resize(fields.size());
        for (std::size_t i = 0; i < fields.size(); ++i) {
            const Parsed parsed = parse_number(fields[i], numbers[i]);
            if (parsed == Parsed::text)
                throw InputError(fmt::format("{}:{}: \"{}\" is not a number", source, line_number,
                                             fields[i].substr(0, 40)));
            if (parsed == Parsed::out_of_range || !std::isfinite(numbers[i]))
                throw InputError(fmt::format("{}:{}: column {}: {} is not a finite number", source,
                                             line_number, i + 1, fields[i].substr(0, 40)));
        }
        raw.features.insert(raw.features.end(), numbers.begin(), numbers.end() - 1);
        outcomes.push_back(numbers.back());
        line_numbers.push_back(line_number);
    }

    raw.examples = static_cast<Index>(outcomes.size());
    if (raw.examples == 0) throw InputError(fmt::format("{}: no examples", source));
    set_outcomes(raw, std::move(outcomes), 1, regression, place);
    return raw;
}

RawData load_csv(const std::filesystem::path& path, bool regression) {
    require_readable_file(path);
    std::ifstream file(path, std::ios::binary);
    std::string text;
    char block[1 << 16];
    do {
        file.read(block, sizeof(block));
        text.append(block, static_cast<std::size_t>(file.gcount()));
    } while (file);
    if (!file.eof()) throw InputError(fmt::format("{}: {}", path.string(), std::strerror(errno)));
    return parse_csv(text, path.string(), regression);
}

}  // namespace espectra
