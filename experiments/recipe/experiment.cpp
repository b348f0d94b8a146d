#include "espectra/experiments/recipe/experiment.hpp"

#include "espectra/experiments/files/input_file.hpp"
#include "espectra/experiments/recipe/overrides.hpp"
#include "espectra/experiments/recipe/sweep.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace espectra {

Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
    const std::string file = path.string();
    require_readable_file(path);
    std::ifstream stream(path);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (!stream.is_open() || stream.bad()) throw InputError(fmt::format("{}: cannot be read", file));
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
        experiment.text += fmt::format("\n# --set {}\n", assignment);
    return experiment;
}

}  // namespace espectra
