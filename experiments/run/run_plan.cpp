#include "espectra/experiments/run/run_plan.hpp"

#include "espectra/experiments/run/cost_estimate.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace espectra {

namespace {

/// Returns true if replicas of both networks may be trained and analysed in one batch.
bool same_kind(const PlannedNetwork& a, const PlannedNetwork& b) {
    TrainingSettings settings = a.recipe.training;
    settings.learning_rate = b.recipe.training.learning_rate;
    settings.decay_rate = b.recipe.training.decay_rate;
    settings.decay_steps = b.recipe.training.decay_steps;
    return a.network.shape() == b.network.shape() && settings == b.recipe.training && a.epochs == b.epochs &&
           a.recipe.epochs == b.recipe.epochs && a.recipe.spectrum == b.recipe.spectrum;
}

std::vector<std::size_t> find_kinds(const std::vector<PlannedNetwork>& networks) {
    std::vector<std::size_t> kinds;
    std::map<std::tuple<const DataSet*, std::string, std::string>, std::vector<std::size_t>> buckets;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const PlannedNetwork& planned = networks[n];
        auto& leaders =
            buckets[{planned.data.get(), planned.network.widths_text(), planned.network.activations_text()}];
        const auto leader = std::ranges::find_if(
            leaders, [&](std::size_t first) { return same_kind(networks[first], planned); });
        kinds.push_back(leader == leaders.end() ? n : *leader);
        if (leader == leaders.end()) leaders.push_back(n);
    }
    return kinds;
}

std::vector<bool> find_searched(const std::vector<PlannedNetwork>& networks,
                                const std::vector<std::size_t>& kinds) {
    std::vector<bool> first(networks.size(), false), searched;
    for (std::size_t n = 0; n < networks.size(); ++n)
        if (networks[n].recipe.critical_points.count() > 0) first[kinds[n]] = true;
    for (const std::size_t kind : kinds) searched.push_back(first[kind]);
    return searched;
}

}  // namespace

Index WorkPlan::largest_batch() const {
    return replicas_per_batch.empty() ? 1 : std::ranges::max(replicas_per_batch);
}

RunPlan::RunPlan(std::vector<PlannedNetwork> all, WorkPlan layout)
    : networks(std::move(all)),
      kinds(find_kinds(networks)),
      searched(find_searched(networks, kinds)),
      work(std::move(layout)),
      costs(nominal_costs(networks)) {}

WorkSeconds RunPlan::seconds(std::size_t network) const {
    const PlannedNetwork& planned = networks[network];
    const NetworkCost& cost = costs[network];
    const auto replicas = static_cast<double>(planned.recipe.replicas);
    return {.training = replicas * cost.training,
            .spectra = replicas * static_cast<double>(planned.snapshots()) * cost.spectrum,
            .searches = replicas * static_cast<double>(planned.recipe.critical_points.count()) * cost.search};
}

RunTotals::RunTotals(const RunPlan& plan) {
    for (std::size_t n = 0; n < plan.networks.size(); ++n) {
        const PlannedNetwork& planned = plan.networks[n];
        replicas += planned.recipe.replicas;
        spectra += planned.recipe.replicas * planned.snapshots();
        searches += planned.recipe.replicas * planned.recipe.critical_points.count();
        largest = std::max(largest, planned.network.parameters());
        kinds += plan.kinds[n] == n ? 1 : 0;
        const WorkSeconds one = plan.seconds(n);
        seconds.training += one.training;
        seconds.spectra += one.spectra;
        seconds.searches += one.searches;
    }
}

double estimated_seconds(const RunPlan& plan) {
    double training = 0, analyses = 0, on_host = 0;
    for (std::size_t n = 0; n < plan.networks.size(); ++n) {
        const WorkSeconds seconds = plan.seconds(n);
        training += seconds.training;
        analyses += seconds.spectra;
        (plan.work.search_on_host(n) ? on_host : analyses) += seconds.searches;
    }
    on_host /= std::max(1, plan.work.searchers);
    return plan.work.separate_analysis() ? std::max({training, analyses, on_host})
                                         : (training + analyses) / plan.work.workers + on_host;
}

}  // namespace espectra
