#include "espectra/experiments/run/work_plan.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <tuple>

namespace espectra {

namespace {

using Host = CpuContext;

/// Beyond, P² doubles overflow a size: 2 EB.
constexpr Index most_parameters = Index{1} << 29;

/// Matrices of more rows are solved one by one on the CPU, and nothing is gained by a batch.
constexpr Index most_batched_parameters = 200;
/// A design value: twice the lanes of the widest registers, and Hessians of 50 parameters stay in a cache of
/// half a megabyte.
constexpr Index most_replicas_per_batch = 16;

/// A worker at its largest: an analyzer, a batch under training, and a search where there are any.
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
           (searched ? CriticalPointSearch<Host>::bytes(context, planned.network, data.train_examples) +
                           p * p * sizeof(double)
                     : 0);
}

double gigabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1e9; }

/// Device memory of a batch under training with its snapshots that wait: θ and gradient, beside the scores.
std::size_t training_bytes(const BatchMemory& network, Index replicas, Index snapshots_waiting) {
    return network.training(replicas) +
           static_cast<std::size_t>(snapshots_waiting * replicas * (2 * network.parameters + 4)) *
               sizeof(double);
}

/// Device memory of a batch under analysis; θ and gradient may be gathered.
std::size_t analysis_bytes(const BatchMemory& network, Index replicas) {
    return network.analysis(replicas) +
           static_cast<std::size_t>(2 * replicas * network.parameters) * sizeof(double);
}

/// Host memory of a batch's records.
std::size_t record_bytes(const BatchMemory& network, Index replicas) {
    const Index p = network.parameters;
    return static_cast<std::size_t>(replicas * (8 * p + (network.eigenvectors ? p * p : 0))) * sizeof(double);
}

/// So many replicas that one batch stays a matter of seconds and progress is seen: 10^13 multiply-adds of
/// eigensolves with 3 P³ each (an estimate), and never more than keep a device busy.
Index sensible_batch(Index parameters) {
    constexpr double work = 1e13;
    constexpr Index most = 4096;
    const auto p = static_cast<double>(parameters);
    return std::clamp<Index>(static_cast<Index>(std::min(work / (3 * p * p * p), 1e6)), 1, most);
}

}  // namespace

Index WorkPlan::largest_batch() const {
    return replicas_per_batch.empty() ? 1 : std::ranges::max(replicas_per_batch);
}

std::vector<std::size_t> batch_kinds(const std::vector<PlannedNetwork>& networks) {
    std::vector<std::size_t> kinds;
    std::map<std::tuple<const DataSet*, std::string, std::string>, std::vector<std::size_t>> buckets;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        auto& leaders = buckets[{networks[n].data.get(), networks[n].network.widths_text(),
                                 networks[n].network.activations_text()}];
        const auto leader = std::ranges::find_if(leaders, [&](std::size_t first) {
            const PlannedNetwork &a = networks[first], &b = networks[n];
            TrainingSettings settings = a.recipe.training;
            settings.learning_rate = b.recipe.training.learning_rate;
            settings.decay_rate = b.recipe.training.decay_rate;
            settings.decay_steps = b.recipe.training.decay_steps;
            return a.network.shape() == b.network.shape() && settings == b.recipe.training &&
                   a.epochs == b.epochs && a.recipe.epochs == b.recipe.epochs &&
                   a.recipe.spectrum == b.recipe.spectrum;
        });
        kinds.push_back(leader == leaders.end() ? n : *leader);
        if (leader == leaders.end()) leaders.push_back(n);
    }
    return kinds;
}

std::vector<bool> searched_kinds(const std::vector<PlannedNetwork>& networks) {
    const std::vector<std::size_t> kinds = batch_kinds(networks);
    std::vector<bool> first(networks.size(), false), searched;
    for (std::size_t n = 0; n < networks.size(); ++n)
        if (networks[n].recipe.critical_points.count() > 0) first[kinds[n]] = true;
    for (const std::size_t kind : kinds) searched.push_back(first[kind]);
    return searched;
}

WorkPlan plan_work(const std::vector<PlannedNetwork>& networks, int cores, std::size_t available) {
    const std::vector<std::size_t> kinds = batch_kinds(networks);
    const std::vector<bool> searched = searched_kinds(networks);
    std::vector<Index> replicas(networks.size(), 0);  // of each kind
    Index all = 0, searches = 0;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        replicas[kinds[n]] += networks[n].recipe.replicas;
        all += networks[n].recipe.replicas;
        searches += networks[n].recipe.replicas * networks[n].recipe.critical_points.count();
    }
    WorkPlan plan;
    std::size_t most = 0, alone = 0;
    Index parameters = 0, jobs = 0;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        if (kinds[n] != n) {
            plan.replicas_per_batch.push_back(plan.replicas_per_batch[kinds[n]]);
            continue;
        }
        const PlannedNetwork& planned = networks[n];
        const std::size_t bytes = bytes_per_worker(planned, 1, searched[n]);
        if (bytes > alone) {
            alone = bytes;
            parameters = planned.network.parameters();
        }
        const Index sharing = (all + cores - 1) / cores;
        Index batch = planned.network.parameters() > most_batched_parameters
                          ? 1
                          : std::clamp<Index>(sharing, 1, most_replicas_per_batch);
        while (batch > 1 &&
               static_cast<std::size_t>(cores) * bytes_per_worker(planned, batch, searched[n]) > available)
            batch /= 2;
        // As few batches as with the largest one, all of about the same size.
        const Index batches = (replicas[n] + batch - 1) / batch;
        batch = (replicas[n] + batches - 1) / batches;
        plan.replicas_per_batch.push_back(batch);
        most = std::max(most, bytes_per_worker(planned, batch, searched[n]));
        jobs += batches * std::max<Index>(1, planned.snapshots());
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

WorkPlan plan_batches(const std::vector<BatchMemory>& networks, std::size_t shared_bytes,
                      std::size_t device_available, std::size_t host_available) {
    WorkPlan plan;
    plan.workers = 2;  // one trains, one analyses
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
        // As few batches as with the largest one, all of about the same size.
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
