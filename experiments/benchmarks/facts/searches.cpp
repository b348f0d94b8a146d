// Section `searches`.

#include "espectra/experiments/benchmarks/facts/facts.hpp"
#include "espectra/experiments/run/cost_estimate.hpp"
#include "espectra/models/initial_theta.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/cuda/context.hpp"

#include <vector>

namespace espectra {

namespace {

/// A network 2-h-1 with ESP on the nonlinear task.
PlannedNetwork planned_network(Index hidden) {
    Recipe recipe;
    recipe.source = "nonlinear";
    recipe.hidden = {hidden};
    recipe.critical_points.epochs = {0};
    Experiment experiment;
    experiment.path = "searches";
    experiment.combinations.push_back({recipe, {}});
    return plan_networks(experiment).front();
}

template <Backend B>
double iteration_seconds(B& context, const PlannedNetwork& planned, double budget) {
    const ResidentData<B> data(context, *planned.data);
    std::vector<std::vector<double>> thetas;
    for (std::uint64_t seed = 0; seed < 4; ++seed) thetas.push_back(initial_theta(planned.network, {}, seed));
    return seconds_per_iteration(context, planned, data.train(), thetas, budget);
}

}  // namespace

Json search_facts(const FactOptions& options) {
    const std::vector<Index> widths =
        options.small ? std::vector<Index>{2} : std::vector<Index>{10, 40, 80, 130, 200, 384};
    const int cores = available_cores();
    Json facts = Json::array();
    double longest = 0;
    for (const Index hidden : widths) {
        Json fact = {{"hidden", hidden}};
        try {
            const PlannedNetwork planned = planned_network(hidden);
            fact["parameters"] = planned.network.parameters();
            if (!options.allows(10 * longest)) {
                fact["skipped"] = "time";
            } else {
                const Timer timer;
                constexpr double budget = 0.2;
                CudaContext device;
                fact["device_seconds"] = iteration_seconds(device, planned, budget);
                CpuContext host(1);
                fact["host_core_seconds"] = iteration_seconds(host, planned, budget);
                fact["host_cores"] = cores;
                fact["model_chooses_host"] = search_is_faster_on_host(planned, cores);
                longest = timer.seconds();
            }
        } catch (const Error& error) {
            fact["error"] = error.what();
        }
        facts.push_back(fact);
    }
    return facts;
}

}  // namespace espectra
