#include "espectra/experiments/recipe/sweep.hpp"

#include "espectra/experiments/recipe/overrides.hpp"
#include "espectra/experiments/recipe/recipe_keys.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace espectra {

namespace {

/// Collects the dotted keys and the lists of a sweep. TOML's own nesting of dotted keys is flattened.
void collect_sweep(const toml::table& table, const std::string& prefix, const RecipeOrigin& origin,
                   std::vector<std::pair<std::string, const toml::array*>>& lists) {
    for (const auto& [name, node] : table) {
        const std::string key =
            prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
        if (const toml::table* nested = node.as_table()) {
            collect_sweep(*nested, key, origin, lists);
        } else if (const toml::array* list = node.as_array(); list && !list->empty()) {
            lists.emplace_back(key, list);
        } else {
            throw InputError(fmt::format("{}: expected a list of one or more values, got {}",
                                         origin.place("sweep." + key, node), toml_text(node)));
        }
    }
}

}  // namespace

std::vector<Combination> multiply_out(toml::table& root, const toml::table* sweep, RecipeOrigin origin) {
    std::vector<std::pair<std::string, const toml::array*>> lists;
    if (sweep) collect_sweep(*sweep, "", origin, lists);
    for (const auto& [key, list] : lists) {
        if (key == "title" || key.starts_with("sweep"))
            throw InputError(fmt::format("{}: cannot be swept", origin.place("sweep." + key, *list)));
        origin.swept[key] = static_cast<long>(list->source().begin.line);
    }
    constexpr std::size_t most = 100000;
    std::size_t count = 1;
    for (const auto& [key, list] : lists) {
        count *= list->size();
        if (count > most)
            throw InputError(fmt::format("{}: sweep: more than {} combinations", origin.file, most));
    }
    std::vector<Combination> combinations;
    for (std::size_t index = 0; index < count; ++index) {
        Combination combination;
        std::size_t rest = index;  // the last key of the sweep changes fastest
        std::vector<std::size_t> digits(lists.size());
        for (std::size_t i = lists.size(); i-- > 0; rest /= lists[i].second->size())
            digits[i] = rest % lists[i].second->size();
        for (std::size_t i = 0; i < lists.size(); ++i) {
            const toml::node& value = *lists[i].second->get(digits[i]);
            set_key(root, lists[i].first, value, origin.place(lists[i].first, value));
            if (lists[i].second->size() > 1) combination.swept.emplace_back(lists[i].first, toml_text(value));
        }
        combination.recipe = read_recipe(root, origin);
        for (auto& [key, value] : combination.swept)
            for (const RecipeKey& known : recipe_keys())
                if (known.name == key && known.canonical_name)
                    value = known.canonical_name(combination.recipe);
        combinations.push_back(std::move(combination));
    }
    return combinations;
}

}  // namespace espectra
