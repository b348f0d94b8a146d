#include "espectra/experiments/pipeline.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace espectra {

namespace {

using Host = CpuContext;

/// A worker at its largest: an analyzer and a network under training.
std::size_t bytes_per_worker(const PlannedNetwork& planned) {
    const CpuContext context(1);
    const DataSet& data = *planned.data;
    const auto p = static_cast<std::size_t>(planned.network.parameters());
    if (p > (std::size_t{1} << 29))
        return std::numeric_limits<std::size_t>::max();  // beyond 2 EB: P² overflows
    const SpectrumOptions& options = planned.recipe.spectrum;
    return SpectrumAnalyzer<Host>::bytes(context, planned.network, data.train_examples, 1, options) +
           Trainer<Host>::bytes(planned.network, data.train_examples, data.test_examples, 1) +
           (options.eigenvectors ? p * p * sizeof(double) : 0);
}

}  // namespace

WorkPlan plan_work(const std::vector<PlannedNetwork>& networks, int cores, std::size_t available) {
    std::size_t most = 0;
    Index parameters = 0, jobs = 0;
    for (const PlannedNetwork& planned : networks) {
        const std::size_t bytes = bytes_per_worker(planned);
        if (bytes > most) {
            most = bytes;
            parameters = planned.network.parameters();
        }
        jobs += planned.recipe.replicas * std::max<Index>(1, planned.snapshots());
    }
    if (most > available)
        throw ResourceError(
            fmt::format("memory: the exact Hessian of {} parameters needs {:.3f} GB, {:.3f} GB available",
                        parameters, static_cast<double>(most) / 1e9, static_cast<double>(available) / 1e9));
    WorkPlan plan;
    const auto fitting = most > 0 ? static_cast<Index>(available / most) : cores;
    plan.workers = static_cast<int>(std::clamp<Index>(std::min(fitting, jobs), 1, cores));
    // OpenBLAS has one number of threads for the whole process: several workers take one thread each.
    plan.threads_per_worker = plan.workers == 1 ? cores : 1;
    plan.bytes_needed = static_cast<std::size_t>(plan.workers) * most;
    plan.bytes_available = available;
    return plan;
}

}  // namespace espectra
