#include "espectra/experiments/recipe/overrides.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

namespace espectra {

void set_key(toml::table& root, const std::string& key, const toml::node& value, const std::string& place) {
    toml::table* table = &root;
    std::size_t begin = 0;
    for (std::size_t dot; (dot = key.find('.', begin)) != std::string::npos; begin = dot + 1) {
        toml::node& next = table->insert(key.substr(begin, dot - begin), toml::table{}).first->second;
        if (!next.is_table())
            throw InputError(fmt::format("{}: {} is not a table", place, key.substr(0, dot)));
        table = next.as_table();
    }
    value.visit([&](const auto& concrete) { table->insert_or_assign(key.substr(begin), concrete); });
}

namespace {

/// Removes a dotted key from nested tables.
void erase_key(toml::table& table, const std::string& key) {
    const std::size_t dot = key.find('.');
    if (dot == std::string::npos)
        table.erase(key);
    else if (toml::table* nested = table.get_as<toml::table>(key.substr(0, dot)))
        erase_key(*nested, key.substr(dot + 1));
}

}  // namespace

void apply_override(toml::table& root, const std::string& assignment, RecipeOrigin& origin) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos || equals == 0)
        throw InputError(fmt::format("--set {}: expected KEY=VALUE", assignment));
    const std::string key = assignment.substr(0, equals), text = assignment.substr(equals + 1);
    toml::table parsed;
    try {
        parsed = toml::parse("value = " + text);
    } catch (const toml::parse_error&) {
        parsed.insert_or_assign("value", text);
    }
    // "sweep.network.activation=[…]" names an entry of the sweep, whose own key has dots.
    if (key.starts_with("sweep.")) {
        toml::node& sweep = root.insert("sweep", toml::table{}).first->second;
        if (!sweep.is_table()) throw InputError(fmt::format("--set {}: sweep is not a table", key));
        erase_key(*sweep.as_table(), key.substr(6));  // where the file has it as sweep.network.activation
        parsed.get("value")->visit(
            [&](const auto& concrete) { sweep.as_table()->insert_or_assign(key.substr(6), concrete); });
    } else {
        set_key(root, key, *parsed.get("value"), "--set " + key);
    }
    origin.overridden.insert(key);
}

}  // namespace espectra
