#include "espectra/experiments/store/comparable_networks.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace espectra {

namespace {

bool has_role(const Recipe& recipe, BetaRole role) {
    return std::ranges::any_of(recipe.activations, [&](Activation a) { return traits_of(a).beta == role; });
}

/// Returns the recipe with the defaults of keys that have no meaning for its networks.
Recipe meaningful(Recipe recipe) {
    if (!has_role(recipe, BetaRole::sharpness)) {
        recipe.trainable_beta = Recipe().trainable_beta;
        recipe.beta = Recipe().beta;
    }
    if (!has_role(recipe, BetaRole::negative_slope)) recipe.negative_slope = Recipe().negative_slope;
    InitialWeights& initial = recipe.initial_weights;
    if (!has_sigmas(initial.distribution)) initial = {.distribution = initial.distribution};
    return recipe;
}

/// Returns indices of networks in groups that agree in `common(recipe)`; of networks that do not differ at
/// all, only the first one.
template <class Common>
std::vector<std::vector<std::size_t>> grouped(const std::vector<PlannedNetwork>& networks, Common&& common) {
    struct Group {
        Recipe common;
        std::vector<std::size_t> members;
    };
    // The numbers that sweeps vary most find the few groups to compare with.
    const auto bucket = [](const PlannedNetwork& planned, const Recipe& shared) {
        return std::tuple(planned.data.get(), shared.seed, shared.hidden, shared.activations,
                          shared.training.learning_rate, shared.training.decay_rate, shared.epochs,
                          shared.beta.mean, shared.beta.standard_deviation);
    };
    std::map<decltype(bucket(networks.front(), Recipe())), std::vector<Group>> buckets;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        if (!has_statistics(networks[n])) continue;
        const Recipe shared = common(networks[n].recipe);
        auto& groups = buckets[bucket(networks[n], shared)];
        auto group = std::ranges::find(groups, shared, &Group::common);
        if (group == groups.end()) group = groups.insert(group, {shared, {}});
        const Recipe recipe = meaningful(networks[n].recipe);
        if (std::ranges::none_of(group->members, [&](std::size_t member) {
                return meaningful(networks[member].recipe) == recipe;
            }))
            group->members.push_back(n);
    }
    std::vector<std::vector<std::size_t>> all;
    for (auto& [key, groups] : buckets)
        for (Group& group : groups) all.push_back(std::move(group.members));
    std::ranges::sort(all);
    return all;
}

}  // namespace

bool has_statistics(const PlannedNetwork& planned) {
    return planned.recipe.replicas > 1 && planned.snapshots() > 0;
}

std::vector<std::pair<std::size_t, std::size_t>> comparable_networks(
    const std::vector<PlannedNetwork>& networks) {
    const auto groups = grouped(networks, [](Recipe recipe) {
        recipe.activations.clear();
        recipe.trainable_beta = false;
        recipe.beta = {};
        recipe.negative_slope = 0;
        return recipe;
    });
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    for (const auto& members : groups)
        for (const std::size_t a : members)
            for (const std::size_t b : members) {
                const Recipe &first = networks[a].recipe, &second = networks[b].recipe;
                if (first.activations == second.activations) continue;
                const auto both = [&](BetaRole role) {
                    return has_role(first, role) && has_role(second, role);
                };
                if (both(BetaRole::sharpness) &&
                    (first.trainable_beta != second.trainable_beta || !(first.beta == second.beta)))
                    continue;
                if (both(BetaRole::negative_slope) && first.negative_slope != second.negative_slope) continue;
                pairs.emplace_back(a, b);
            }
    std::ranges::sort(pairs);
    return pairs;
}

std::vector<std::vector<std::size_t>> networks_by_architecture(const std::vector<PlannedNetwork>& networks) {
    return grouped(networks, [](Recipe recipe) {
        recipe.hidden.clear();
        return meaningful(recipe);
    });
}

}  // namespace espectra
