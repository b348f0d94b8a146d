#include "espectra/experiments/cost_estimate.hpp"

namespace espectra {

std::vector<NetworkCost> nominal_costs(const std::vector<PlannedNetwork>& networks) {
    constexpr double rate = 3e9;  // multiply-adds per second
    std::vector<NetworkCost> costs;
    for (const PlannedNetwork& planned : networks) {
        const auto p = static_cast<double>(planned.network.parameters());
        const auto examples = static_cast<double>(planned.data->train_examples);
        const auto epochs = static_cast<double>(planned.recipe.epochs);
        // Products run about three times as fast as the reduction to tridiagonal form.
        costs.push_back({.training = 4 * epochs * examples * p / rate,
                         .spectrum = (3 * p * p * p + 0.5 * examples * p * p) / rate});
    }
    return costs;
}

double estimated_seconds(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan, Space space) {
    double training = 0, spectra = 0;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const auto replicas = static_cast<double>(networks[n].recipe.replicas);
        training += replicas * plan.costs[n].training;
        spectra += replicas * static_cast<double>(networks[n].snapshots()) * plan.costs[n].spectrum;
    }
    return space == Space::host ? (training + spectra) / plan.workers : std::max(training, spectra);
}

}  // namespace espectra
