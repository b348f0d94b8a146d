#include "espectra/experiments/recipe/planned_network.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <tuple>

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

/// Returns digits_64-25-10_esp, followed by the other swept keys and values.
std::string group_name(const Combination& combination, const Network& network, const DataSet& data) {
    std::string name = fmt::format("{}_{}_{}", sanitized(std::filesystem::path(data.source).stem().string()),
                                   network.widths_text(), network.activations_text());
    for (const auto& [key, value] : combination.swept)
        if (key != "network.activation" && key != "network.hidden" && key != "data.source")
            name += fmt::format("_{}={}", key.substr(key.rfind('.') + 1), sanitized(value));
    return name;
}

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

std::vector<PlannedNetwork> plan_networks(const Experiment& experiment) {
    using Key = std::tuple<std::string, std::uint64_t, double, Scaling, LossTargets>;
    std::map<Key, std::shared_ptr<const DataSet>> data_sets;
    std::map<std::string, int> names;
    std::vector<PlannedNetwork> networks;
    for (const Combination& combination : experiment.combinations) {
        const Recipe& recipe = combination.recipe;
        const LossTargets targets = traits_of(recipe.loss).targets;
        auto& data =
            data_sets[{recipe.source, recipe.data_seed, recipe.test_fraction, recipe.scale, targets}];
        if (!data) {
            // A path is tried as given, then relative to the folder of the recipe.
            std::string source = recipe.source;
            const auto beside = std::filesystem::path(experiment.path).parent_path() / source;
            if (!std::filesystem::exists(source) && std::filesystem::exists(beside)) source = beside.string();
            const RawData raw = load_data(source, recipe.data_seed, targets == LossTargets::numbers);
            data = std::make_shared<const DataSet>(
                split_data(raw, recipe.test_fraction, recipe.data_seed, recipe.scale,
                           targets == LossTargets::distributions ? TargetEncoding::one_hot
                                                                 : TargetEncoding::binary_when_two));
        }
        check_targets(*data, recipe.loss);
        Network network = recipe.network(data->features, data->outputs);
        std::string name = group_name(combination, network, *data);
        if (const int earlier = names[name]++; earlier > 0) name += fmt::format("_{}", earlier + 1);
        networks.push_back({name, recipe, network, data, recipe.schedule.snapshots(recipe.epochs)});
    }
    return networks;
}

}  // namespace espectra
