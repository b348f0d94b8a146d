#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

// Names of the values of an enumeration E, from one function that is declared next to it:
//   constexpr Names names_of(E value);
// It is a switch without a default, so that a value without a name does not compile, and returns {} after the
// switch. The values are 0, 1, … without gaps.

namespace espectra {

struct Names {
    std::string_view name;                      ///< in files, names of groups and messages
    std::array<std::string_view, 6> aliases{};  ///< names of other programs, which are read as well
};

template <class E>
constexpr std::size_t value_count() {
    std::size_t count = 0;
    while (!names_of(static_cast<E>(count)).name.empty()) ++count;
    return count;
}

/// All values of E in their order.
template <class E>
inline constexpr auto all_values = [] {
    std::array<E, value_count<E>()> values{};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<E>(i);
    return values;
}();

/// The name without case, blanks, hyphens and underscores, which do not tell names apart.
std::string folded_name(std::string_view name);

/// The value with that name or alias; nothing for an unknown one.
template <class E>
std::optional<E> value_from_name(std::string_view name) {
    const std::string wanted = folded_name(name);
    if (wanted.empty()) return std::nullopt;
    for (const E value : all_values<E>) {
        const Names names = names_of(value);
        const auto matches = [&](std::string_view other) { return folded_name(other) == wanted; };
        if (matches(names.name) || std::ranges::any_of(names.aliases, matches)) return value;
    }
    return std::nullopt;
}

/// "a, b or c", for messages.
template <class E>
std::string list_of_names() {
    std::string list;
    for (const E value : all_values<E>) {
        if (!list.empty()) list += value == all_values<E>.back() ? " or " : ", ";
        list += names_of(value).name;
    }
    return list;
}

}  // namespace espectra
