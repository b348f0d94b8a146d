#pragma once

#include "espectra/experiments/resident_data.hpp"
#include "espectra/experiments/work_plan.hpp"
#include "espectra/models/spectrum.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/timer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <set>
#include <vector>

namespace espectra {

/// The cost of each network by counts of operations, at rates that an ordinary core has.
std::vector<NetworkCost> nominal_costs(const std::vector<PlannedNetwork>& networks);

/// Whole run, in seconds: its workers share the work; on a device training and analysis go on beside each
/// other.
double estimated_seconds(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan, Space space);

/// The costs by trial: of as many kinds of networks as `budget` seconds allow a batch is trained for some
/// epochs and analysed once. Other kinds are scaled from that with the nearest number of parameters. A kind
/// whose trial alone would take the budget is not tried.
template <Backend B>
std::vector<NetworkCost> measured_costs(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan,
                                        const std::function<B()>& make_context, double budget) {
    std::vector<NetworkCost> costs = nominal_costs(networks);
    const std::vector<NetworkCost> nominal = costs;
    const std::vector<std::size_t> kinds = batch_kinds(networks);
    std::vector<std::size_t> tried;
    const auto distinct = static_cast<double>(std::set<std::size_t>(kinds.begin(), kinds.end()).size());
    const double training_budget = std::clamp(budget / (4 * distinct), 0.002, 0.02);
    const Timer total;
    for (std::size_t n = 0; n < networks.size() && total.seconds() < budget; ++n) {
        const PlannedNetwork& planned = networks[n];
        const auto batch = static_cast<double>(plan.batch(n));
        if (kinds[n] != n || batch * nominal[n].spectrum > budget || planned.snapshots() == 0) continue;
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
        // The first epochs also pay for what is set up once.
        std::int64_t epochs = 2;
        trainer.advance_to(epochs);
        context.synchronize();
        const Timer training;
        do {
            trainer.advance_to(epochs += 3);
            context.synchronize();
        } while (training.seconds() < training_budget);
        const double per_epoch = training.seconds() / static_cast<double>(epochs - 2);
        SpectrumAnalyzer<B> analyzer(context, planned.network, data.train(), plan.batch(n),
                                     planned.recipe.spectrum);
        const Timer analysis;
        try {
            const auto state = trainer.snapshot();
            const Index p = planned.network.parameters();
            analyzer.analyze(state.theta.view(plan.batch(n), p), state.gradient.view(plan.batch(n), p));
        } catch (const NumericalError&) {  // the run itself will say so
        }
        costs[n] = {.training = per_epoch * static_cast<double>(planned.recipe.epochs) / batch,
                    .spectrum = analysis.seconds() / batch,
                    .search = nominal[n].search};
        tried.push_back(n);
    }
    if (tried.empty()) return costs;
    const auto distance = [&](std::size_t a, std::size_t b) {
        return std::fabs(std::log(static_cast<double>(networks[a].network.parameters()) /
                                  static_cast<double>(networks[b].network.parameters())));
    };
    for (std::size_t n = 0; n < networks.size(); ++n) {
        if (std::ranges::find(tried, n) != tried.end()) continue;
        const std::size_t nearest = *std::ranges::min_element(
            tried, {}, [&](std::size_t other) { return other == kinds[n] ? -1.0 : distance(n, other); });
        const auto scaled = [&](double NetworkCost::*part) {
            return nominal[nearest].*part > 0
                       ? costs[nearest].*part * (nominal[n].*part / (nominal[nearest].*part))
                       : nominal[n].*part;
        };
        costs[n] = {.training = scaled(&NetworkCost::training),
                    .spectrum = scaled(&NetworkCost::spectrum),
                    .search = nominal[n].search};
    }
    return costs;
}

}  // namespace espectra
