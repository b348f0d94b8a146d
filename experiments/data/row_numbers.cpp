#include "espectra/experiments/data/row_numbers.hpp"

#include "espectra/kernels/names.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace espectra {

namespace {

/// Names of columns that number rows or name them, as folded_name makes them.
bool is_numbering_name(const std::string& name) {
    constexpr std::array<std::string_view, 10> names = {"idx", "row", "rownum", "rownames", "row.names",
                                                        "no",  "nr",  "number", "obs",      "sno"};
    const std::string folded = folded_name(name);
    return folded.ends_with("id") || folded.ends_with("index") ||
           std::ranges::find(names, folded) != names.end();
}

}  // namespace

bool RowNumbers::is_unnamed(const std::string& name) {
    const std::string folded = folded_name(name);
    return folded.empty() || folded.starts_with("unnamed:");
}

bool RowNumbers::different_integers() const {
    if (!std::ranges::all_of(values_, [](double value) { return value == std::floor(value); })) return false;
    std::vector<double> sorted = values_;
    std::ranges::sort(sorted);
    return std::ranges::adjacent_find(sorted) == sorted.end();
}

bool RowNumbers::counts_rows() const {
    if (values_.empty() || (values_.front() != 0 && values_.front() != 1)) return false;
    for (std::size_t i = 1; i < values_.size(); ++i)
        if (values_[i] != values_[i - 1] + 1) return false;
    return true;
}

RowNumbers::Verdict RowNumbers::verdict() const {
    constexpr std::size_t enough = 10;  // rows, of which a feature is hardly the number by chance
    if (!header_) return values_.size() >= enough && counts_rows() ? Verdict::row_numbers : Verdict::feature;
    if (is_unnamed(name_)) return different_integers() ? Verdict::row_numbers : Verdict::unclear;
    return is_numbering_name(name_) && counts_rows() ? Verdict::row_numbers : Verdict::feature;
}

bool RowNumbers::looks_like_identifier() const {
    constexpr std::size_t enough = 20;
    return values_.size() >= enough && (!header_ || is_numbering_name(name_)) && different_integers();
}

}  // namespace espectra
