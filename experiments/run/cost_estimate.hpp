#pragma once

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/run/work_plan.hpp"
#include "espectra/models/critical_point.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/timer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <set>
#include <vector>

namespace espectra {

/// Seconds that one epoch of one replica takes, by the number of operations.
double nominal_epoch_seconds(const PlannedNetwork& planned);

/// Iterations that a search for a critical point takes on average.
double search_iterations(const PlannedNetwork& planned);

/// The cost of each network by counts of operations, at rates that an ordinary core has.
std::vector<NetworkCost> nominal_costs(const std::vector<PlannedNetwork>& networks);

/// What all replicas of a network take, in seconds on one worker.
struct NetworkSeconds {
    double training = 0, spectra = 0, searches = 0;
    double total() const { return training + spectra + searches; }
};
NetworkSeconds network_seconds(const PlannedNetwork& planned, const NetworkCost& cost);

/// Whole run, in seconds: its workers share the work; on a device training and analysis go on beside each
/// other.
double estimated_seconds(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan, Space space);

/// One Hessian and its eigenvalues, in seconds on all threads of the context; at the rate that matrix
/// products have now (a tenth of a second to measure). For matrices so large that products are most of the
/// work.
struct HessianSeconds {
    double assembly = 0, eigenvalues = 0;
};
HessianSeconds hessian_seconds(CpuContext& context, const Network& network, Examples<Space::host> examples);

/// Seconds that an iteration of a search takes, each with a Hessian and its eigenvectors: of a few from each
/// θ of `thetas` in turn, for about `budget` seconds.
template <Backend B>
double seconds_per_iteration(B& context, const PlannedNetwork& planned, Examples<B::space> examples,
                             const std::vector<std::vector<double>>& thetas, double budget) {
    constexpr std::size_t most_searches = 8;
    CriticalPointOptions options = planned.recipe.critical_points.search;
    options.iterations = 3;
    CriticalPointSearch<B> search(context, planned.network, examples, options);
    double seconds = 0, hessians = 0;
    for (std::size_t t = 0; t < most_searches && (t < 2 || seconds < budget); ++t) {
        if (t == 1) {  // the first also paid for what is set up once
            if (seconds > budget) break;
            seconds = hessians = 0;
        }
        const Timer timer;
        hessians += static_cast<double>(search.find(thetas[t % thetas.size()]).iterations + 1);
        seconds += timer.seconds();
    }
    return seconds / hessians;
}

/// The costs by trial: of as many kinds of networks as `budget` seconds allow a batch is trained for some
/// epochs and analysed once, and searches are begun where any are wanted. Other kinds are scaled from that
/// with the nearest number of parameters. What would take the budget by itself is not tried.
template <Backend B>
std::vector<NetworkCost> measured_costs(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan,
                                        const std::function<B()>& make_context, double budget) {
    std::vector<NetworkCost> costs = nominal_costs(networks);
    const std::vector<NetworkCost> nominal = costs;
    const std::vector<std::size_t> kinds = batch_kinds(networks);
    const std::vector<bool> searched = searched_kinds(networks);
    std::vector<std::size_t> tried, tried_search;
    const auto distinct = static_cast<double>(std::set<std::size_t>(kinds.begin(), kinds.end()).size());
    const double part_budget = std::clamp(budget / (4 * distinct), 0.002, 0.02);
    const Timer total;
    for (std::size_t n = 0; n < networks.size() && total.seconds() < budget; ++n) {
        const PlannedNetwork& planned = networks[n];
        const auto batch = static_cast<double>(plan.batch(n));
        const double epoch = batch * nominal_epoch_seconds(planned), spectrum = batch * nominal[n].spectrum;
        if (kinds[n] != n || epoch + spectrum > budget || planned.snapshots() == 0) continue;
        B context = make_context();
        const ResidentData<B> data(context, *planned.data);
        std::vector<double> theta;
        for (Index r = 0; r < plan.batch(n); ++r) {
            const auto one = initial_theta(planned.network, planned.recipe.beta,
                                           planned.recipe.seed + static_cast<std::uint64_t>(r));
            theta.insert(theta.end(), one.begin(), one.end());
        }
        Trainer<B> trainer(context, planned.network, data.train(), data.test(), planned.recipe.training,
                           theta);
        // The first epochs also pay for what is set up once, which shows where epochs are short.
        const bool several = 5 * epoch + spectrum <= budget;
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
        SpectrumAnalyzer<B> analyzer(context, planned.network, data.train(), plan.batch(n),
                                     planned.recipe.spectrum);
        const auto state = trainer.snapshot();
        const Index p = planned.network.parameters();
        context.synchronize();
        const Timer analysis;
        try {
            analyzer.analyze(state.theta.view(plan.batch(n), p), state.gradient.view(plan.batch(n), p));
        } catch (const NumericalError&) {  // the run itself will say so
        }
        costs[n].training = per_epoch * static_cast<double>(planned.recipe.epochs) / batch;
        costs[n].spectrum = analysis.seconds() / batch;
        tried.push_back(n);
        if (!searched[n] || 8 * nominal[n].search / search_iterations(planned) > budget) continue;
        std::vector<std::vector<double>> thetas;
        for (Index r = 0; r < plan.batch(n); ++r)
            thetas.push_back(fetch(context, state.theta.data() + r * p, p));
        costs[n].search = search_iterations(planned) *
                          seconds_per_iteration(context, planned, data.train(), thetas, part_budget);
        tried_search.push_back(n);
    }
    const auto distance = [&](std::size_t a, std::size_t b) {
        return std::fabs(std::log(static_cast<double>(networks[a].network.parameters()) /
                                  static_cast<double>(networks[b].network.parameters())));
    };
    const auto scale = [&](const std::vector<std::size_t>& known, double NetworkCost::*part) {
        if (known.empty()) return;
        for (std::size_t n = 0; n < networks.size(); ++n) {
            if (std::ranges::find(known, n) != known.end()) continue;
            const std::size_t nearest = *std::ranges::min_element(
                known, {}, [&](std::size_t other) { return other == kinds[n] ? -1.0 : distance(n, other); });
            if (nominal[nearest].*part > 0)
                costs[n].*part = costs[nearest].*part * (nominal[n].*part / (nominal[nearest].*part));
        }
    };
    scale(tried, &NetworkCost::training);
    scale(tried, &NetworkCost::spectrum);
    scale(tried_search, &NetworkCost::search);
    return costs;
}

}  // namespace espectra
