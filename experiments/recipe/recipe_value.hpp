#pragma once

#include "espectra/kernels/names.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace espectra {

/// Places of the values of a recipe, for error messages: a line of the file, or the command line.
struct RecipeOrigin {
    std::string file;
    std::set<std::string> overridden;   ///< keys set on the command line
    std::map<std::string, long> swept;  ///< keys set by the sweep, with the line of their list

    /// "file:line: key", "--set key", "file:line: sweep of key" or "--set sweep of key".
    std::string place(const std::string& key, const toml::node& node) const;
};

/// A value as messages and names of groups show it, on one line.
std::string toml_text(const toml::node& node);

enum class ListLength { one_or_more, any };

/// The integers of a range.
struct IntegerRange {
    std::int64_t least = 0, most = std::numeric_limits<std::int64_t>::max();

    bool contains(std::int64_t value) const { return value >= least && value <= most; }
    std::string in_words() const;    ///< "of at least 1", "from 1 to 10"
    std::string in_symbols() const;  ///< "≥ 1", "from 1 to 10"
};

/// The finite numbers between two limits, each of which may belong to the range.
struct NumberRange {
    double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
    bool with_low = false, with_high = false;

    bool contains(double value) const {
        return (with_low ? value >= low : value > low) && (with_high ? value <= high : value < high);
    }
    std::string in_words() const;  ///< "number", "number above 0", "number of at least 0", "number in [0, 1)"
    std::string in_symbols() const;  ///< "number", "number > 0", "number ≥ 0", "number in [0, 1)"
};

/// The value of one key of a recipe, which may be absent: it is then left as it was. Reading a value of
/// another type or out of range throws InputError "<place>: expected …, got …".
class RecipeValue {
  public:
    /// `node`: null where the key is absent. `key` is dotted.
    RecipeValue(const toml::node* node, std::string key, const RecipeOrigin& origin)
        : node_(node), key_(std::move(key)), origin_(&origin) {}

    [[noreturn]] void fail(const std::string& expected) const;
    const std::string& file() const { return origin_->file; }
    /// Returns true if the value is this string.
    bool is(const char* word) const;
    bool is_string() const { return node_ && node_->is_string(); }
    /// Returns the elements of a list, or nothing where the value is not a list.
    std::optional<std::vector<RecipeValue>> elements() const;

    void read(std::string& value) const;
    void read(bool& value) const;
    void read(double& value, const NumberRange& range, const std::string& expected) const;
    void read(double& value, const NumberRange& range) const { read(value, range, "a " + range.in_words()); }
    template <class Integer>
    void read(Integer& value, const IntegerRange& range) const {
        if (!node_) return;
        const auto* integer = node_->as_integer();
        if (!integer || !range.contains(integer->get())) fail("an integer " + range.in_words());
        value = static_cast<Integer>(integer->get());
    }
    /// A list of integers.
    template <class Integer>
    void read(std::vector<Integer>& values, const IntegerRange& range,
              ListLength length = ListLength::one_or_more) const {
        if (!node_) return;
        const toml::array* array = node_->as_array();
        const bool any = length == ListLength::any;
        const std::string expected =
            fmt::format("a list of {}integers {}", any ? "" : "one or more ", range.in_words());
        if (!array || (array->empty() && !any)) fail(expected);
        values.clear();
        for (const toml::node& element : *array) {
            const auto* integer = element.as_integer();
            if (!integer || !range.contains(integer->get())) fail(expected);
            values.push_back(static_cast<Integer>(integer->get()));
        }
    }
    /// A name of a value of E, or nothing where the value is no such name.
    template <class E>
    std::optional<E> name() const {
        return is_string() ? value_from_name<E>(node_->as_string()->get()) : std::nullopt;
    }
    template <class E>
    void read_name(E& value) const {
        if (!node_) return;
        const auto found = name<E>();
        if (!found) fail(list_of_names<E>());
        value = *found;
    }

    explicit operator bool() const { return node_ != nullptr; }

  private:
    const toml::node* node_;
    std::string key_;
    const RecipeOrigin* origin_;
};

}  // namespace espectra
