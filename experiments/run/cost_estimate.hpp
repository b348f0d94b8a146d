#pragma once

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/run/run_plan.hpp"
#include "espectra/models/critical_point.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/timer.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <vector>

namespace espectra {

/// Returns the seconds that one epoch of one replica takes, by the number of operations.
double nominal_epoch_seconds(const PlannedNetwork& planned);

/// Returns the iterations that a search for a critical point takes on average.
double search_iterations(const PlannedNetwork& planned);

/// Returns the seconds of one iteration of a search, with its Hessian and eigenvectors, by the number of
/// operations.
double nominal_iteration_seconds(const PlannedNetwork& planned);

/// Returns true if searches take less time on `cores` cores of the host, one on each, than one after the
/// other on a device.
bool search_is_faster_on_host(const PlannedNetwork& planned, int cores);

/// Returns the cost of each network by counts of operations, at the rates of an ordinary core.
std::vector<NetworkCost> nominal_costs(const std::vector<PlannedNetwork>& networks);

/// Estimated seconds of one Hessian and its eigenvalues on all threads of the context. Matrix products are
/// timed for a tenth of a second; holds for matrices so large that products are most of the work.
struct HessianSeconds {
    double assembly = 0, eigenvalues = 0;
};
HessianSeconds hessian_seconds(CpuContext& context, const Network& network, Examples<Space::host> examples);

/// Returns the seconds that an iteration of a search takes, with its Hessian and eigenvectors: the mean of a
/// few iterations from each θ of `thetas` in turn, for about `budget` seconds.
template <Backend B>
double seconds_per_iteration(B& context, const PlannedNetwork& planned, Examples<B::space> examples,
                             const std::vector<std::vector<double>>& thetas, double budget) {
    constexpr std::size_t most_searches = 8;
    CriticalPointOptions options = planned.recipe.critical_points.search;
    options.iterations = 3;
    CriticalPointSearch<B> search(context, planned.network, examples, options);
    double seconds = 0, hessians = 0;
    for (std::size_t t = 0; t < most_searches && (t < 2 || seconds < budget); ++t) {
        if (t == 1) {  // the first includes what is set up once
            if (seconds > budget) break;
            seconds = hessians = 0;
        }
        const Timer timer;
        hessians += static_cast<double>(search.find(thetas[t % thetas.size()]).iterations + 1);
        seconds += timer.seconds();
    }
    return seconds / hessians;
}

/// Returns the costs of one network, measured by a trial on a context of its own: a batch is trained for
/// about `part_budget` seconds and analysed once; with `search`, searches are begun from its replicas as
/// well.
template <Backend B>
NetworkCost measured_cost(const RunPlan& run, std::size_t network, bool search,
                          const std::function<B()>& make_context, double budget, double part_budget) {
    const PlannedNetwork& planned = run.networks[network];
    const NetworkCost& nominal = run.costs[network];
    const Index replicas = run.work.batch(network), p = planned.network.parameters();
    const auto batch = static_cast<double>(replicas);
    B context = make_context();
    const ResidentData<B> data(context, *planned.data);
    std::vector<double> theta;
    for (Index r = 0; r < replicas; ++r) {
        const auto one = planned.initial_theta(r);
        theta.insert(theta.end(), one.begin(), one.end());
    }
    Trainer<B> trainer(context, planned.network, data.train(), data.test(), planned.recipe.training, theta);
    // The first epochs include what is set up once, which matters where epochs are short.
    const bool several = batch * (5 * nominal_epoch_seconds(planned) + nominal.spectrum) <= budget;
    const std::int64_t first = several ? 2 : 0, step = several ? 3 : 1;
    std::int64_t epochs = first;
    trainer.advance_to(epochs);
    context.synchronize();
    const Timer training;
    do {
        trainer.advance_to(epochs += step);
        context.synchronize();
    } while (training.seconds() < part_budget);
    const double per_epoch = training.seconds() / static_cast<double>(epochs - first);
    SpectrumAnalyzer<B> analyzer(context, planned.network, data.train(), replicas, planned.recipe.spectrum);
    const auto state = trainer.snapshot();
    context.synchronize();
    const Timer analysis;
    try {
        analyzer.analyze(state.theta.view(replicas, p), state.gradient.view(replicas, p));
    } catch (const NumericalError&) {  // which the run itself will report
    }
    NetworkCost cost = {.training = per_epoch * static_cast<double>(planned.recipe.epochs) / batch,
                        .spectrum = analysis.seconds() / batch,
                        .search = nominal.search};
    if (!search) return cost;
    std::vector<std::vector<double>> thetas;
    for (Index r = 0; r < replicas; ++r) thetas.push_back(fetch(context, state.theta.data() + r * p, p));
    if (run.work.search_on_host(network)) {
        CpuContext host(1);
        const ResidentData<CpuContext> host_data(host, *planned.data);
        cost.search = seconds_per_iteration(host, planned, host_data.train(), thetas, part_budget);
    } else {
        cost.search = seconds_per_iteration(context, planned, data.train(), thetas, part_budget);
    }
    cost.search *= search_iterations(planned);
    return cost;
}

/// Scales one part of the costs of the networks that are not among `measured` from that of the nearest
/// measured one: of the same kind, else with the nearest number of parameters. The costs of `run` are
/// nominal.
void scale_costs(const RunPlan& run, const std::vector<std::size_t>& measured, double NetworkCost::*part,
                 std::vector<NetworkCost>& costs);

/// Returns the costs by trial, of as many kinds of networks as `budget` seconds allow. Other kinds are scaled
/// from these. Networks that would take the budget by themselves are not tried. The costs of `run` are to be
/// nominal, its work laid out.
template <Backend B>
std::vector<NetworkCost> measured_costs(const RunPlan& run, const std::function<B()>& make_context,
                                        double budget) {
    const std::vector<NetworkCost>& nominal = run.costs;
    std::vector<NetworkCost> costs = nominal;
    std::vector<std::size_t> tried, tried_search;
    const auto kinds = static_cast<double>(std::set<std::size_t>(run.kinds.begin(), run.kinds.end()).size());
    const double part_budget = std::clamp(budget / (4 * kinds), 0.002, 0.02);
    const Timer total;
    for (std::size_t n = 0; n < run.networks.size() && total.seconds() < budget; ++n) {
        const PlannedNetwork& planned = run.networks[n];
        const auto batch = static_cast<double>(run.work.batch(n));
        const double nominal_seconds = batch * (nominal_epoch_seconds(planned) + nominal[n].spectrum);
        if (run.kinds[n] != n || nominal_seconds > budget || planned.snapshots() == 0) continue;
        const bool search = run.searched[n] && 8 * nominal[n].search / search_iterations(planned) <= budget;
        costs[n] = measured_cost(run, n, search, make_context, budget, part_budget);
        tried.push_back(n);
        if (search) tried_search.push_back(n);
    }
    scale_costs(run, tried, &NetworkCost::training, costs);
    scale_costs(run, tried, &NetworkCost::spectrum, costs);
    scale_costs(run, tried_search, &NetworkCost::search, costs);
    return costs;
}

}  // namespace espectra
