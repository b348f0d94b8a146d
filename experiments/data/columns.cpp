#include "espectra/experiments/data/columns.hpp"

#include "espectra/experiments/files/utf8.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace espectra {

namespace {

std::optional<Index> place_from_text(std::string_view text) {
    Index place = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), place);
    const bool whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
    return whole && place > 0 ? std::optional(place) : std::nullopt;
}

/// Lists the columns for a message.
std::string list_of_columns(Index columns, const std::vector<std::string>& names) {
    if (names.empty()) return fmt::format("{} columns without names", columns);
    constexpr std::size_t most = 12;
    std::vector<std::string> shown;
    for (std::size_t i = 0; i < std::min(names.size(), most); ++i)
        shown.push_back(fmt::format("\"{}\"", printable(names[i], 40)));
    return fmt::format("the columns {}{}", fmt::join(shown, ", "), names.size() > most ? ", …" : "");
}

}  // namespace

std::optional<std::pair<Index, Index>> column_range(const std::string& text) {
    const auto dash = text.find('-');
    if (dash == std::string::npos) return std::nullopt;
    const auto first = place_from_text(std::string_view(text).substr(0, dash));
    const auto last = place_from_text(std::string_view(text).substr(dash + 1));
    if (!first || !last || *first > *last) return std::nullopt;
    return std::pair(*first, *last);
}

std::vector<Index> find_columns(const std::vector<ColumnName>& wanted, Index columns,
                                const std::vector<std::string>& names, const std::string& source,
                                const std::string& key) {
    std::vector<Index> found;
    std::vector<bool> taken(static_cast<std::size_t>(columns), false);
    const auto fail = [&](const std::string& what) {
        throw InputError(fmt::format("{}: {}: {}", source, key, what));
    };
    const auto add = [&](Index place) {
        if (place == 0 || place < -columns || place > columns)
            fail(fmt::format("no column {}: the file has {}", place, list_of_columns(columns, names)));
        const Index column = place < 0 ? columns + place : place - 1;
        if (taken[static_cast<std::size_t>(column)]) fail(fmt::format("column {} twice", column + 1));
        taken[static_cast<std::size_t>(column)] = true;
        found.push_back(column);
    };
    for (const ColumnName& one : wanted) {
        if (const Index* place = std::get_if<Index>(&one)) {
            add(*place);
            continue;
        }
        const std::string& name = std::get<std::string>(one);
        const auto count = std::ranges::count(names, name);
        const auto range = column_range(name);
        if (count == 1)
            add(std::ranges::find(names, name) - names.begin() + 1);
        else if (count > 1)
            fail(fmt::format("{} columns are called \"{}\": give the column's number", count,
                             printable(name)));
        else if (range)
            for (Index place = range->first; place <= range->second; ++place) add(place);
        else
            fail(fmt::format("no column \"{}\": the file has {}", printable(name),
                             list_of_columns(columns, names)));
    }
    return found;
}

std::string columns_text(const std::vector<Index>& columns) {
    std::vector<std::string> parts;
    for (std::size_t i = 0, end = 0; i < columns.size(); i = end) {
        for (end = i + 1; end < columns.size() && columns[end] == columns[end - 1] + 1;) ++end;
        parts.push_back(end - i > 1 ? fmt::format("{}-{}", columns[i] + 1, columns[end - 1] + 1)
                                    : fmt::format("{}", columns[i] + 1));
    }
    constexpr std::size_t most = 12;
    const bool cut = parts.size() > most;
    parts.resize(std::min(parts.size(), most));
    return fmt::format("column{} {}{}", columns.size() == 1 ? "" : "s", fmt::join(parts, ", "),
                       cut ? ", …" : "");
}

}  // namespace espectra
