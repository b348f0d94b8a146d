#include "espectra/experiments/run/work_plan.hpp"

#include "espectra/experiments/run/cost_estimate.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace espectra {

namespace {

using Host = CpuContext;

/// P² doubles of more parameters overflow a size: 2 EB.
constexpr Index most_parameters = Index{1} << 29;

/// Matrices of more rows are solved one by one on the CPU: a batch gains nothing.
constexpr Index most_batched_parameters = 200;
/// A design value: twice the lanes of the widest registers, and Hessians of 50 parameters stay in a cache of
/// half a megabyte.
constexpr Index most_replicas_per_batch = 16;

/// Workers of a device: one trains, one analyses.
constexpr int device_workers = 2;

/// Returns the memory of a search on the host, with its eigenvectors.
std::size_t search_bytes(CpuContext& context, const PlannedNetwork& planned) {
    const auto p = static_cast<std::size_t>(planned.network.parameters());
    return CriticalPointSearch<Host>::bytes(context, planned.network, planned.data->train_examples) +
           p * p * sizeof(double);
}

/// Returns the memory of a worker at its largest: an analyzer, a batch under training, and a search where
/// there are any.
std::size_t bytes_per_worker(const PlannedNetwork& planned, Index replicas, bool searched) {
    CpuContext context(1);
    const DataSet& data = *planned.data;
    const Index parameters = planned.network.parameters();
    const auto p = static_cast<std::size_t>(parameters);
    if (parameters > most_parameters) return std::numeric_limits<std::size_t>::max();
    const SpectrumOptions& options = planned.recipe.spectrum;
    return SpectrumAnalyzer<Host>::bytes(context, planned.network, data.train_examples, replicas, options) +
           Trainer<Host>::bytes(planned.network, data.train_examples, data.test_examples, replicas) +
           (options.eigenvectors ? static_cast<std::size_t>(replicas) * p * p * sizeof(double) : 0) +
           (searched ? search_bytes(context, planned) : 0);
}

double gigabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1e9; }

/// Returns the device memory of a batch under training with its waiting snapshots: θ, gradient and scores.
std::size_t training_bytes(const BatchMemory& network, Index replicas, Index snapshots_waiting) {
    return network.training(replicas) +
           static_cast<std::size_t>(snapshots_waiting * replicas * (2 * network.parameters + 4)) *
               sizeof(double);
}

/// Returns the device memory of a batch under analysis, with a gathered copy of θ and gradient.
std::size_t analysis_bytes(const BatchMemory& network, Index replicas) {
    return network.analysis(replicas) +
           static_cast<std::size_t>(2 * replicas * network.parameters) * sizeof(double);
}

/// Returns the host memory of a batch's records, with the eigenvectors as they come from the device.
std::size_t record_bytes(const BatchMemory& network, Index replicas) {
    const Index p = network.parameters;
    return static_cast<std::size_t>(replicas * (8 * p + (network.eigenvectors ? 2 * p * p : 0))) *
           sizeof(double);
}

/// Returns the number of replicas with which one batch stays a matter of seconds, so that progress is seen:
/// 10^13 multiply-adds of eigensolves with 3 P³ each (an estimate), and never more than keep a device busy.
Index sensible_batch(Index parameters) {
    constexpr double work = 1e13;
    constexpr Index most = 4096;
    const auto p = static_cast<double>(parameters);
    return std::clamp<Index>(static_cast<Index>(std::min(work / (3 * p * p * p), 1e6)), 1, most);
}

/// Returns the replicas of a batch on the CPU: as few batches as with the largest one that is sensible and
/// fits, all of about the same size. `replicas`: of the network's kind, `all`: of the run.
Index cpu_batch(const PlannedNetwork& planned, bool searched, Index replicas, Index all, int cores,
                std::size_t available) {
    const Index sharing = (all + cores - 1) / cores;
    Index batch = planned.network.parameters() > most_batched_parameters
                      ? 1
                      : std::clamp<Index>(sharing, 1, most_replicas_per_batch);
    while (batch > 1 &&
           static_cast<std::size_t>(cores) * bytes_per_worker(planned, batch, searched) > available)
        batch /= 2;
    const Index batches = (replicas + batch - 1) / batch;
    return (replicas + batches - 1) / batches;
}

}  // namespace

WorkPlan plan_work(const RunPlan& run, int cores, std::size_t available) {
    const std::vector<PlannedNetwork>& networks = run.networks;
    std::vector<Index> replicas(networks.size(), 0);  // of each kind
    Index all = 0, searches = 0;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        replicas[run.kinds[n]] += networks[n].recipe.replicas;
        all += networks[n].recipe.replicas;
        searches += networks[n].recipe.replicas * networks[n].recipe.critical_points.count();
    }
    WorkPlan plan;
    std::size_t most = 0, alone = 0;
    Index parameters = 0, jobs = 0;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        if (run.kinds[n] != n) {
            plan.replicas_per_batch.push_back(plan.replicas_per_batch[run.kinds[n]]);
            continue;
        }
        const PlannedNetwork& planned = networks[n];
        if (const std::size_t bytes = bytes_per_worker(planned, 1, run.searched[n]); bytes > alone) {
            alone = bytes;
            parameters = planned.network.parameters();
        }
        const Index batch = cpu_batch(planned, run.searched[n], replicas[n], all, cores, available);
        plan.replicas_per_batch.push_back(batch);
        most = std::max(most, bytes_per_worker(planned, batch, run.searched[n]));
        jobs += (replicas[n] + batch - 1) / batch * std::max<Index>(1, planned.snapshots());
    }
    if (alone > available)
        throw ResourceError(
            fmt::format("memory: the exact Hessian of {} parameters needs {:.3f} GB, {:.3f} GB available",
                        parameters, gigabytes(alone), gigabytes(available)));
    const auto fitting = most > 0 ? static_cast<Index>(available / most) : cores;
    plan.workers = static_cast<int>(std::clamp<Index>(std::min(fitting, std::max(jobs, searches)), 1, cores));
    // OpenBLAS has one number of threads for the whole process: several workers take one thread each.
    plan.threads_per_worker = plan.workers == 1 ? cores : 1;
    plan.bytes_needed = static_cast<std::size_t>(plan.workers) * most;
    plan.bytes_available = available;
    return plan;
}

void place_searches(const RunPlan& run, int cores, std::size_t host_available, WorkPlan& plan) {
    const int free = std::max(1, cores - device_workers);
    plan.searches_on_host.assign(run.networks.size(), false);
    CpuContext context(1);
    for (std::size_t n = 0; n < run.networks.size(); ++n) {
        const PlannedNetwork& planned = run.networks[n];
        if (!run.searched[n] || !search_is_faster_on_host(planned, free)) continue;
        const std::size_t bytes = search_bytes(context, planned);
        if (bytes > host_available / 2) continue;
        const int fitting = static_cast<int>(std::min<std::size_t>(host_available / 2 / bytes, free));
        plan.searchers = plan.searchers == 0 ? fitting : std::min(plan.searchers, fitting);
        plan.searches_on_host[n] = true;
    }
}

WorkPlan plan_batches(const std::vector<BatchMemory>& networks, std::size_t shared_bytes,
                      std::size_t device_available, std::size_t host_available) {
    WorkPlan plan;
    plan.workers = device_workers;
    plan.trainings = plan.analyses = 1;
    plan.bytes_available = device_available;
    const Index waiting = plan.workers + 1;  // snapshots, with the one under analysis

    // The last network of one shape may be under analysis while the first of another one trains.
    std::size_t training = 0, analysis = 0;
    Index parameters = 0;
    for (const BatchMemory& network : networks) {
        if (network.parameters > most_parameters)
            throw ResourceError(
                fmt::format("device memory: the exact Hessian of {} parameters needs {:.3g} GB, {:.3f} GB "
                            "free",
                            network.parameters, 8e-9 * std::pow(static_cast<double>(network.parameters), 2),
                            gigabytes(device_available)));
        training = std::max(training, training_bytes(network, 1, waiting));
        if (const std::size_t bytes = analysis_bytes(network, 1); bytes > analysis) {
            analysis = bytes;
            parameters = network.parameters;
        }
        if (const std::size_t bytes = record_bytes(network, 1); bytes > host_available)
            throw ResourceError(
                fmt::format("memory: the records of {} parameters need {:.3f} GB, {:.3f} GB available",
                            network.parameters, gigabytes(bytes), gigabytes(host_available)));
    }
    const std::size_t least = shared_bytes + training + analysis;
    if (least > device_available)
        throw ResourceError(
            fmt::format("device memory: the exact Hessian of {} parameters needs {:.3f} GB, {:.3f} GB free",
                        parameters, gigabytes(least), gigabytes(device_available)));

    const std::size_t budget = device_available - shared_bytes;
    const std::size_t for_training = std::max(training, std::min(budget / 4, budget - analysis));
    const std::size_t for_analysis = budget - for_training;
    std::size_t most_training = 0, most_analysis = 0;
    for (const BatchMemory& network : networks) {
        const auto fits = [&](Index replicas) {
            return training_bytes(network, replicas, waiting) <= for_training &&
                   analysis_bytes(network, replicas) <= for_analysis &&
                   record_bytes(network, replicas) <= host_available;
        };
        Index fitting = 1, too_many = std::min(network.replicas, sensible_batch(network.parameters)) + 1;
        while (too_many - fitting > 1) {
            const Index middle = fitting + (too_many - fitting) / 2;
            (fits(middle) ? fitting : too_many) = middle;
        }
        // The number of batches is that of the largest size; all have about the same size.
        const Index batches = (network.replicas + fitting - 1) / fitting;
        const Index batch =
            std::max<Index>(1, (network.replicas + batches - 1) / std::max<Index>(1, batches));
        plan.replicas_per_batch.push_back(batch);
        most_training = std::max(most_training, training_bytes(network, batch, waiting));
        most_analysis = std::max(most_analysis, analysis_bytes(network, batch));
    }
    plan.bytes_needed = shared_bytes + most_training + most_analysis;
    return plan;
}

}  // namespace espectra
