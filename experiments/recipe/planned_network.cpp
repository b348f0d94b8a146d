#include "espectra/experiments/recipe/planned_network.hpp"

#include "espectra/experiments/data/description.hpp"
#include "espectra/experiments/data/targets.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace espectra {

namespace {

/// The text without quotes, blanks and brackets; "/" and "," become "_" and "-".
std::string sanitized(std::string text) {
    std::erase_if(text, [](char c) { return c == '"' || c == '\'' || c == ' ' || c == '[' || c == ']'; });
    for (char& c : text)
        if (c == '/')
            c = '_';
        else if (c == ',')
            c = '-';
    return text;
}

/// Returns the last part of a key of the sweep, with its table before it where a key of `train` has the same
/// last part: "seed" for train.seed, "data_seed" for data.seed.
std::string key_in_name(std::string key) {
    const std::string last = key.substr(key.rfind('.') + 1);
    if (key.starts_with("train.") || (last != "seed" && last != "epochs")) return last;
    std::ranges::replace(key, '.', '_');
    return key;
}

/// Makes the names of groups, each of them once: a name that has come before gets _2, _3, … at its end.
class GroupNames {
  public:
    /// Sets `name`, `variant` and `older_name` of a network with its other members set.
    void set(PlannedNetwork& planned) {
        const std::string stem =
            fmt::format("{}_{}_{}", sanitized(std::filesystem::path(planned.data->source).stem().string()),
                        planned.network.widths_text(), planned.network.activations_text());
        std::vector<std::string> parts, older_parts;
        for (const auto& [key, value] : planned.swept) {
            if (key == "network.activation" || key == "network.hidden" || key == "data.source") continue;
            parts.push_back(fmt::format("{}={}", key_in_name(key), sanitized(value)));
            older_parts.push_back(fmt::format("{}={}", key.substr(key.rfind('.') + 1), sanitized(value)));
        }
        planned.name = unique(stem, parts, names_);
        planned.older_name = unique(stem, older_parts, older_names_);
        planned.variant = fmt::format("{}", fmt::join(parts, ", "));
    }

  private:
    static std::string unique(const std::string& stem, std::vector<std::string>& parts,
                              std::map<std::string, int>& names) {
        const auto joined = [&] {
            return parts.empty() ? stem : fmt::format("{}_{}", stem, fmt::join(parts, "_"));
        };
        if (const int earlier = names[joined()]++; earlier > 0) parts.push_back(std::to_string(earlier + 1));
        return joined();
    }

    std::map<std::string, int> names_, older_names_;
};

/// Loads and splits the data of a recipe. A path is tried as given, then relative to the folder of the recipe
/// at `recipe_path`.
DataSet load_data_set(const Recipe& recipe, const DataOptions& options, TargetEncoding encoding,
                      const std::string& recipe_path) {
    std::string source = recipe.source;
    const auto next_to_recipe = std::filesystem::path(recipe_path).parent_path() / source;
    if (!std::filesystem::exists(source) && std::filesystem::exists(next_to_recipe))
        source = next_to_recipe.string();
    return split_data(load_data(source, recipe.data_seed, options), recipe.test_fraction, recipe.data_seed,
                      recipe.scale, encoding);
}

}  // namespace

std::vector<double> PlannedNetwork::initial_theta(Index replica) const {
    return espectra::initial_theta(network, recipe.beta, recipe.seed + static_cast<std::uint64_t>(replica),
                                   recipe.initial_weights);
}

std::vector<PlannedNetwork> plan_networks(const Experiment& experiment) {
    using Key = std::tuple<std::string, DataOptions, std::uint64_t, double, Scaling, TargetEncoding>;
    std::map<Key, std::shared_ptr<const DataSet>> data_sets;
    GroupNames names;
    std::vector<PlannedNetwork> networks;
    for (const Combination& combination : experiment.combinations) {
        const Recipe& recipe = combination.recipe;
        const LossTargets targets = traits_of(recipe.loss).targets;
        DataOptions options = recipe.data_options;
        options.regression = targets == LossTargets::numbers;
        const TargetEncoding encoding =
            targets == LossTargets::distributions ? TargetEncoding::one_hot : TargetEncoding::binary_when_two;
        auto& data = data_sets[{recipe.source, options, recipe.data_seed, recipe.test_fraction, recipe.scale,
                                encoding}];
        if (!data)
            data = std::make_shared<const DataSet>(load_data_set(recipe, options, encoding, experiment.path));
        require_targets(*data, recipe.loss, data->source);
        networks.push_back({.name = {},
                            .recipe = recipe,
                            .network = recipe.network(data->features, data->outputs),
                            .data = data,
                            .epochs = recipe.schedule.snapshots(recipe.epochs),
                            .swept = combination.swept});
        names.set(networks.back());
    }
    return networks;
}

std::vector<std::string> data_descriptions(const std::vector<PlannedNetwork>& networks) {
    std::vector<std::string> lines;
    std::set<const DataSet*> described;
    for (const PlannedNetwork& planned : networks)
        if (described.insert(planned.data.get()).second) lines.push_back(description_text(*planned.data));
    return lines;
}

}  // namespace espectra
