#include "espectra/experiments/cost_estimate.hpp"

namespace espectra {

std::vector<NetworkCost> nominal_costs(const std::vector<PlannedNetwork>& networks) {
    // Multiply-adds per second: small layers, the reduction to tridiagonal form, matrix products.
    constexpr double layers = 3e9, reduction = 8e9, products = 1e10;
    constexpr double iterations = 50;  // of a search, each with a Hessian and its eigenvectors: a guess
    std::vector<NetworkCost> costs;
    for (const PlannedNetwork& planned : networks) {
        const auto p = static_cast<double>(planned.network.parameters());
        const auto examples = static_cast<double>(planned.data->train_examples);
        const auto epochs = static_cast<double>(planned.recipe.epochs);
        costs.push_back(
            {.training = 4 * epochs * examples * p / layers,
             .spectrum = 2.0 / 3.0 * p * p * p / reduction + 0.5 * examples * p * p / products,
             .search = iterations * (6 * p * p * p / reduction + 0.5 * examples * p * p / products)});
    }
    return costs;
}

double estimated_seconds(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan, Space space) {
    double training = 0, spectra = 0;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const auto replicas = static_cast<double>(networks[n].recipe.replicas);
        training += replicas * plan.costs[n].training;
        spectra += replicas *
                   (static_cast<double>(networks[n].snapshots()) * plan.costs[n].spectrum +
                    static_cast<double>(networks[n].recipe.critical_points.count()) * plan.costs[n].search);
    }
    return space == Space::host ? (training + spectra) / plan.workers : std::max(training, spectra);
}

}  // namespace espectra
