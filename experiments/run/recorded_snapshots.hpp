#pragma once

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/run/recorder.hpp"
#include "espectra/experiments/run/snapshot_analysis.hpp"
#include "espectra/experiments/run/work_plan.hpp"
#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/models/trainer.hpp"

#include <algorithm>
#include <exception>
#include <functional>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

namespace espectra {

/// Returns a recorded run, or one replica of a results.h5, as a network with one replica whose snapshots are
/// to be analysed with `options`. Epochs are those of the run.
PlannedNetwork planned_network(const RecordedRun& run, const SpectrumOptions& options);

/// Lays out the analysis of a network's snapshots, which take part in batches like replicas.
template <class D>
WorkPlan plan_snapshots(const D& device, PlannedNetwork planned) {
    planned.recipe.replicas = planned.snapshots();
    planned.epochs.resize(1);
    return plan_work_on(device, RunPlan({std::move(planned)}));
}

/// Computes the records of all snapshots of a run and writes them to `results` as they are computed. `plan`
/// has the network of planned_network() and the layout of plan_snapshots(). `report` is called after each
/// batch by one thread at a time; where it returns false, the work ends early. The file is closed under its
/// final name in every case; rethrows the first failure.
template <class D>
RunOutcome analyze_snapshots(const D& device, const RecordedRun& run, const RunPlan& plan,
                             ResultsFile results, const std::function<bool(const RunProgress&)>& report) {
    using B = typename D::Context;
    const PlannedNetwork& planned = plan.networks.front();
    const Index snapshots = planned.snapshots(), batch = plan.work.batch(0);
    const std::function<B()> make_context = [&] { return device.context(plan.work.threads_per_worker); };
    Recorder recorder(plan, std::move(results), MissingWork(plan.networks));
    recorder.start();
    std::mutex mutex;  // guards the run's file, the recorder and what follows
    Index done = 0;
    bool stopped = false;
    std::exception_ptr failure;
    try {
        B data_context = make_context();
        const ResidentData<B> data(data_context, *planned.data);
        const int workers = D::worker_per_core ? plan.work.workers : 1;
        std::vector<SnapshotAnalysis<B>> analyses(static_cast<std::size_t>(workers));
        CpuContext threads(workers);
        threads.parallel_for((snapshots + batch - 1) / batch, [&](Index task, int worker) {
            const Index first = task * batch, count = std::min(batch, snapshots - first);
            std::vector<double> thetas;
            {
                const std::lock_guard lock(mutex);
                for (Index k = first; k < first + count && !stopped; ++k) {
                    const auto theta = run.theta(k);
                    thetas.insert(thetas.end(), theta.begin(), theta.end());
                }
            }
            if (thetas.empty()) return;
            B context = make_context();
            Trainer<B> networks(context, planned.network, data.train(), data.test(), {}, thetas);
            const Snapshot<B> state = networks.snapshot();
            std::vector<Index> rows(static_cast<std::size_t>(count));
            std::iota(rows.begin(), rows.end(), Index{0});
            auto analyzed = analyses[static_cast<std::size_t>(worker)].analyze(
                planned, data.train(), make_context, state, rows, context.record());
            const std::lock_guard lock(mutex);
            for (Index i = 0; i < count; ++i) {
                std::vector<Analyzed> one;
                one.push_back(std::move(analyzed[static_cast<std::size_t>(i)]));
                recorder.analyzed(0, {{.network = 0, .replica = 0}}, first + i, one);
            }
            done += count;
            stopped = !report(recorder.progress()) || stopped;
        });
    } catch (...) {
        failure = std::current_exception();
    }
    return recorder.close(stopped && done < snapshots, failure);
}

}  // namespace espectra
