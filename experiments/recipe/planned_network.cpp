#include "espectra/experiments/recipe/planned_network.hpp"

#include "espectra/experiments/data/labels.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
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
        const std::string stem = group_stem(planned.data->source, planned.network);
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

}  // namespace

std::vector<double> PlannedNetwork::initial_theta(Index replica) const {
    return espectra::initial_theta(network, recipe.beta, recipe.seed + static_cast<std::uint64_t>(replica),
                                   recipe.initial_weights);
}

std::string group_stem(const std::string& source, const Network& network) {
    return fmt::format("{}_{}_{}", sanitized(std::filesystem::path(source).stem().string()),
                       network.widths_text(), network.activations_text());
}

std::vector<PlannedNetwork> plan_networks(const Experiment& experiment, const StoredData& stored) {
    using Key = std::tuple<std::string, std::uint64_t, double, Scaling, LossTargets>;
    struct Loaded {
        std::shared_ptr<const DataSet> data;
        bool stored = false;
    };
    std::map<Key, Loaded> data_sets;
    GroupNames names;
    std::vector<PlannedNetwork> networks;
    for (std::size_t i = 0; i < experiment.combinations.size(); ++i) {
        const Combination& combination = experiment.combinations[i];
        const Recipe& recipe = combination.recipe;
        const LossTargets targets = traits_of(recipe.loss).targets;
        auto& [data, from_store] =
            data_sets[{recipe.source, recipe.data_seed, recipe.test_fraction, recipe.scale, targets}];
        if (!data) {
            // A path is tried as given, then relative to the folder of the recipe.
            std::string source = recipe.source;
            const auto next_to_recipe = std::filesystem::path(experiment.path).parent_path() / source;
            if (!std::filesystem::exists(source) && std::filesystem::exists(next_to_recipe))
                source = next_to_recipe.string();
            if (stored && !is_built_in(source) && !std::filesystem::exists(source)) data = stored(i);
            from_store = data != nullptr;
            if (!data) {
                const RawData raw = load_data(source, recipe.data_seed, targets == LossTargets::numbers);
                data = std::make_shared<const DataSet>(
                    split_data(raw, recipe.test_fraction, recipe.data_seed, recipe.scale,
                               targets == LossTargets::distributions ? TargetEncoding::one_hot
                                                                     : TargetEncoding::binary_when_two));
            }
        }
        const Place source = [&](Index, Index) { return data->source; };
        check_targets(*data, recipe.loss, source, source);
        networks.push_back({.name = {},
                            .recipe = recipe,
                            .network = recipe.network(data->features, data->outputs),
                            .data = data,
                            .epochs = recipe.schedule.snapshots(recipe.epochs),
                            .swept = combination.swept,
                            .combination = i,
                            .stored_data = from_store});
        names.set(networks.back());
    }
    return networks;
}

}  // namespace espectra
