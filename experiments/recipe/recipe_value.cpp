#include "espectra/experiments/recipe/recipe_value.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace espectra {

std::string RecipeOrigin::place(const std::string& key, const toml::node& node) const {
    for (std::string prefix = key;; prefix = prefix.substr(0, prefix.rfind('.'))) {
        if (const auto found = swept.find(prefix); found != swept.end())
            return found->second > 0 ? fmt::format("{}:{}: sweep of {}", file, found->second, key)
                                     : fmt::format("--set sweep of {}", key);
        if (overridden.contains(prefix)) return fmt::format("--set {}", key);
        if (prefix.find('.') == std::string::npos) break;
    }
    const auto line = node.source().begin.line;
    return line > 0 ? fmt::format("{}:{}: {}", file, line, key) : fmt::format("{}: {}", file, key);
}

std::string toml_text(const toml::node& node) {
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    std::ostringstream out;
    node.visit([&](const auto& value) { out << value; });
    std::string text = out.str();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

std::string IntegerRange::in_words() const {
    return most == std::numeric_limits<std::int64_t>::max() ? fmt::format("of at least {}", least)
                                                            : fmt::format("from {} to {}", least, most);
}

std::string IntegerRange::in_symbols() const {
    return most == std::numeric_limits<std::int64_t>::max() ? fmt::format("≥ {}", least)
                                                            : fmt::format("from {} to {}", least, most);
}

namespace {

/// "number in [0, 1)"; `at_least` and `above` come before the lower limit where it is the only one.
std::string number_text(const NumberRange& range, const char* at_least, const char* above) {
    if (std::isinf(range.low)) return "number";
    if (std::isinf(range.high))
        return fmt::format("number {} {}", range.with_low ? at_least : above, range.low);
    return fmt::format("number in {}{}, {}{}", range.with_low ? '[' : '(', range.low, range.high,
                       range.with_high ? ']' : ')');
}

}  // namespace

std::string NumberRange::in_words() const { return number_text(*this, "of at least", "above"); }
std::string NumberRange::in_symbols() const { return number_text(*this, "≥", ">"); }

void RecipeValue::fail(const std::string& expected) const {
    throw InputError(
        fmt::format("{}: expected {}, got {}", origin_->place(key_, *node_), expected, toml_text(*node_)));
}

bool RecipeValue::is(const char* word) const { return is_string() && node_->as_string()->get() == word; }

std::optional<std::vector<RecipeValue>> RecipeValue::elements() const {
    const toml::array* array = node_ ? node_->as_array() : nullptr;
    if (!array) return std::nullopt;
    std::vector<RecipeValue> values;
    for (const toml::node& element : *array) values.emplace_back(&element, key_, *origin_);
    return values;
}

void RecipeValue::read(std::string& value) const {
    if (!node_) return;
    if (!node_->is_string()) fail("a string");
    value = node_->as_string()->get();
}

void RecipeValue::read(bool& value) const {
    if (!node_) return;
    if (!node_->is_boolean()) fail("true or false");
    value = node_->as_boolean()->get();
}

void RecipeValue::read(double& value, const NumberRange& range, const std::string& expected) const {
    if (!node_) return;
    const auto number = node_->is_number() ? node_->value<double>() : std::nullopt;
    if (number && !std::isfinite(*number)) fail("a finite number");
    if (!number || !range.contains(*number)) fail(expected);
    value = *number;
}

}  // namespace espectra
