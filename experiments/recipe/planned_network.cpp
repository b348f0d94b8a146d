#include "espectra/experiments/recipe/planned_network.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
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

/// Throws InputError where targets are not what the loss is defined for.
void check_targets(const DataSet& data, Loss loss) {
    const LossTargets expected = traits_of(loss).targets;
    if (expected == LossTargets::numbers) return;
    const auto check = [&](const std::vector<double>& targets, Index examples) {
        for (Index e = 0; e < examples; ++e) {
            double sum = 0;
            for (Index c = 0; c < data.outputs; ++c) {
                const double y = targets[static_cast<std::size_t>(c * examples + e)];
                if (!(y >= 0 && y <= 1))
                    throw InputError(fmt::format("{}: target {}: expected a number in [0, 1] for {}",
                                                 data.source, y, loss_name(loss)));
                sum += y;
            }
            if (expected == LossTargets::distributions && std::fabs(sum - 1) > 1e-9)
                throw InputError(fmt::format("{}: targets of an example add up to {}, expected 1 for {}",
                                             data.source, sum, loss_name(loss)));
        }
    };
    check(data.y_train, data.train_examples);
    check(data.y_test, data.test_examples);
}

}  // namespace

std::vector<double> PlannedNetwork::initial_theta(Index replica) const {
    return espectra::initial_theta(network, recipe.beta, recipe.seed + static_cast<std::uint64_t>(replica),
                                   recipe.initial_weights);
}

std::vector<PlannedNetwork> plan_networks(const Experiment& experiment) {
    using Key = std::tuple<std::string, std::uint64_t, double, Scaling, LossTargets>;
    std::map<Key, std::shared_ptr<const DataSet>> data_sets;
    GroupNames names;
    std::vector<PlannedNetwork> networks;
    for (const Combination& combination : experiment.combinations) {
        const Recipe& recipe = combination.recipe;
        const LossTargets targets = traits_of(recipe.loss).targets;
        auto& data =
            data_sets[{recipe.source, recipe.data_seed, recipe.test_fraction, recipe.scale, targets}];
        if (!data) {
            // A path is tried as given, then relative to the folder of the recipe.
            std::string source = recipe.source;
            const auto next_to_recipe = std::filesystem::path(experiment.path).parent_path() / source;
            if (!std::filesystem::exists(source) && std::filesystem::exists(next_to_recipe))
                source = next_to_recipe.string();
            const RawData raw = load_data(source, recipe.data_seed, targets == LossTargets::numbers);
            data = std::make_shared<const DataSet>(
                split_data(raw, recipe.test_fraction, recipe.data_seed, recipe.scale,
                           targets == LossTargets::distributions ? TargetEncoding::one_hot
                                                                 : TargetEncoding::binary_when_two));
        }
        check_targets(*data, recipe.loss);
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

}  // namespace espectra
