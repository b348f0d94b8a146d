#include "espectra/experiments/recipe/experiment.hpp"

#include "espectra/experiments/files/input_file.hpp"
#include "espectra/experiments/recipe/overrides.hpp"
#include "espectra/experiments/recipe/sweep.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

namespace espectra {

namespace {

constexpr std::string_view override_comment = "\n# --set ";

void collect_values(const toml::node& node, const std::string& key,
                    std::map<std::string, std::string>& values) {
    const std::string prefix = key.empty() ? "" : key + ".";
    if (const toml::table* table = node.as_table()) {
        for (const auto& [name, value] : *table)
            collect_values(value, prefix + std::string(name.str()), values);
    } else if (node.is_array_of_tables()) {
        for (std::size_t i = 0; i < node.as_array()->size(); ++i)
            collect_values(*node.as_array()->get(i), prefix + std::to_string(i + 1), values);
    } else {
        values[key] = toml_text(node);
    }
}

Experiment read_experiment(const std::string& file, const std::string& text,
                           const std::vector<std::string>& overrides) {
    const auto parse = [&](RecipeOrigin& origin) {
        toml::table root;
        try {
            root = toml::parse(text, file);
        } catch (const toml::parse_error& error) {
            throw InputError(fmt::format("{}:{}: not valid TOML: {}", file, error.source().begin.line,
                                         error.description()));
        }
        for (const std::string& assignment : overrides) apply_override(root, assignment, origin);
        return root;
    };

    Experiment experiment;
    experiment.path = file;
    RecipeOrigin origin{file, {}, {}};
    toml::table root = parse(origin);
    collect_values(root, "", experiment.values);
    const toml::node* sweep = root.get("sweep");
    if (sweep && !sweep->is_table() && !sweep->is_array_of_tables())
        throw InputError(
            fmt::format("{}: expected a table or tables [[sweep]]", origin.place("sweep", *sweep)));
    const std::size_t sweeps = sweep && sweep->is_array_of_tables() ? sweep->as_array()->size() : 1;
    for (std::size_t i = 0; i < sweeps; ++i) {
        // Each [[sweep]] starts from the recipe as it is written.
        if (i > 0) root = parse(origin);
        const toml::node* block = root.get("sweep");
        if (block && block->is_array_of_tables()) block = block->as_array()->get(i);
        auto combinations = multiply_out(root, block ? block->as_table() : nullptr, origin);
        std::ranges::move(combinations, std::back_inserter(experiment.combinations));
    }
    experiment.title = experiment.combinations.front().recipe.title;
    experiment.text = text;
    for (const std::string& assignment : overrides)
        experiment.text += fmt::format("{}{}\n", override_comment, assignment);
    return experiment;
}

/// Returns true if both run the same networks, whatever their recipes look like.
bool same_networks(const Experiment& a, const Experiment& b) {
    return std::ranges::equal(a.combinations, b.combinations, [](Combination one, const Combination& other) {
        one.recipe.title = other.recipe.title;
        return one.recipe == other.recipe && one.swept == other.swept;
    });
}

}  // namespace

Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
    require_readable_file(path);
    std::ifstream stream(path);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (!stream.is_open() || stream.bad()) throw InputError(fmt::format("{}: cannot be read", path.string()));
    return read_experiment(path.string(), text, overrides);
}

Experiment stored_experiment(const std::string& name, const std::string& text) {
    // The overrides are comments at the end, one line each.
    std::vector<std::string> overrides;
    std::string recipe = text;
    for (std::size_t begin; (begin = recipe.rfind(override_comment)) != std::string::npos;) {
        const std::size_t value = begin + override_comment.size();
        if (recipe.empty() || recipe.find('\n', value) + 1 != recipe.size()) break;
        overrides.insert(overrides.begin(), recipe.substr(value, recipe.size() - 1 - value));
        recipe.resize(begin);
    }
    return read_experiment(name, recipe, overrides);
}

std::vector<RecipeDifference> recipe_differences(const Experiment& earlier, const Experiment& present) {
    std::vector<RecipeDifference> differences;
    if (same_networks(earlier, present)) return differences;
    std::map<std::string, RecipeDifference> by_key;
    for (const auto& [key, value] : earlier.values) by_key[key].earlier = value;
    for (const auto& [key, value] : present.values) by_key[key].present = value;
    for (auto& [key, difference] : by_key) {
        difference.key = key;
        if (key != "title" && difference.earlier != difference.present)
            differences.push_back(std::move(difference));
    }
    return differences;
}

}  // namespace espectra
