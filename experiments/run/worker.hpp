#pragma once

#include "espectra/experiments/run/batch_training.hpp"
#include "espectra/experiments/run/recorder.hpp"
#include "espectra/experiments/run/replica_search.hpp"
#include "espectra/experiments/run/scheduler.hpp"
#include "espectra/experiments/run/snapshot_analysis.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace espectra {

/// Objects that are costly to make, kept between pieces of work; each is made for a network.
template <class T>
class IdlePool {
  public:
    /// Returns one that is made for `network`, else any idle one, else a new one.
    std::unique_ptr<T> take(std::size_t network) {
        auto idle = std::ranges::find(idle_, network, &Idle::first);
        if (idle == idle_.end()) idle = idle_.begin();
        if (idle == idle_.end()) return std::make_unique<T>();
        std::unique_ptr<T> taken = std::move(idle->second);
        idle_.erase(idle);
        return taken;
    }
    void give_back(std::size_t network, std::unique_ptr<T> object) {
        idle_.emplace_back(network, std::move(object));
    }
    bool has(std::size_t network) const {
        return std::ranges::find(idle_, network, &Idle::first) != idle_.end();
    }

  private:
    using Idle = std::pair<std::size_t, std::unique_ptr<T>>;
    std::vector<Idle> idle_;
};

/// Contexts of trainings that have ended. A context keeps its memory for the next batch of the same kind, but
/// not for one of another kind.
template <Backend B>
class IdleContexts {
  public:
    /// Returns an idle context, or nothing.
    std::shared_ptr<B> take(std::size_t kind) {
        if (kind != kind_) idle_.clear();
        kind_ = kind;
        if (idle_.empty()) return nullptr;
        std::shared_ptr<B> context = std::move(idle_.back());
        idle_.pop_back();
        return context;
    }
    void give_back(std::size_t kind, std::shared_ptr<B> context) {
        if (kind == kind_) idle_.push_back(std::move(context));
    }

  private:
    std::size_t kind_ = 0;
    std::vector<std::shared_ptr<B>> idle_;
};

/// The state of a run that its workers share.
template <Backend B>
struct SharedWork {
    /// See Pipeline.
    SharedWork(const RunPlan& run_plan, const MissingWork& missing, ResultsFile results,
               std::function<B()> context_maker)
        : plan(run_plan),
          make_context(std::move(context_maker)),
          data_context(make_context()),
          scheduler(plan, missing),
          recorder(plan, std::move(results), missing) {
        for (const PlannedNetwork& planned : plan.networks)
            data.try_emplace(planned.data.get(), data_context, *planned.data);
    }

    const RunPlan& plan;
    const std::function<B()> make_context;
    B data_context;
    std::map<const DataSet*, ResidentData<B>> data;

    std::mutex mutex;  ///< guards all that follows
    std::condition_variable changed;
    Scheduler scheduler;
    Recorder recorder;
    std::exception_ptr failure;                                          ///< the first one of a worker
    int running = 0;                                                     ///< workers that have not returned
    std::map<std::size_t, std::unique_ptr<BatchTraining<B>>> trainings;  ///< by batch
    std::map<std::pair<std::size_t, Index>, BatchSnapshot<B>> waiting_snapshots;  ///< by batch and snapshot
    IdleContexts<B> idle_contexts;
    IdlePool<SnapshotAnalysis<B>> idle_analyses;             ///< by the first network of their kind
    IdlePool<ReplicaSearch<B>> idle_searches;                ///< by network
    IdlePool<ReplicaSearch<CpuContext>> idle_host_searches;  ///< by network
};

/// Does pieces of a run's work on one host thread until nothing is left, a stop, or a failure of any worker.
template <Backend B>
class Worker {
  public:
    explicit Worker(SharedWork<B>& shared)
        : shared_(&shared), plan_(&shared.plan), lock_(shared.mutex, std::defer_lock) {}

    void run() {
        lock_.lock();
        while (!shared_->scheduler.over()) {
            std::optional<WorkPiece> piece;
            try {
                piece = shared_->scheduler.next(
                    [&](std::size_t kind) { return shared_->idle_analyses.has(kind); });
                if (!piece) {
                    shared_->changed.wait(lock_);
                    continue;
                }
                std::visit([&](const auto& work) { carry_out(work); }, *piece);
            } catch (...) {
                if (!lock_.owns_lock()) lock_.lock();
                if (!shared_->failure) shared_->failure = std::current_exception();
                shared_->scheduler.stop();
            }
            if (piece) shared_->scheduler.finished(*piece);
            shared_->changed.notify_all();
        }
        --shared_->running;
        shared_->changed.notify_all();
        lock_.unlock();
    }

  private:
    // Each of these is called with the lock held, releases it while it computes, and returns with the lock
    // held unless it throws.
    void carry_out(const TrainingPiece& piece);
    void carry_out(const AnalysisPiece& piece);
    void carry_out(const SearchPiece& piece);

    template <Backend S>
    void search(const SearchPiece& piece, IdlePool<ReplicaSearch<S>>& idle, const ResidentData<S>& data,
                const std::function<S()>& make_context);
    void record_training(const TrainingPiece& piece, BatchSnapshot<B> snapshot);
    const ResidentData<B>& data(const PlannedNetwork& planned) const {
        return shared_->data.at(planned.data.get());
    }
    bool stopped() const {
        const std::lock_guard guard(shared_->mutex);
        return shared_->scheduler.stopping();
    }

    SharedWork<B>* shared_;
    const RunPlan* plan_;
    std::unique_lock<std::mutex> lock_;
};

template <Backend B>
void Worker<B>::carry_out(const TrainingPiece& piece) {
    const TrainingBatch& batch = shared_->scheduler.batch(piece.batch);
    const PlannedNetwork& planned = plan_->networks[batch.kind];
    std::unique_ptr<BatchTraining<B>>& training = shared_->trainings[piece.batch];
    std::shared_ptr<B> context;
    if (piece.first) context = shared_->idle_contexts.take(batch.kind);
    lock_.unlock();

    const Timer timer;
    std::vector<double> initial;
    if (piece.first) {
        if (!context) context = std::make_shared<B>(shared_->make_context());
        initial = initial_thetas(*plan_, batch.members);
        training = std::make_unique<BatchTraining<B>>(*plan_, batch, initial, data(planned), context);
    }
    const std::int64_t before = training->epoch();
    BatchSnapshot<B> snapshot = training->advance_to(planned.epochs[static_cast<std::size_t>(piece.snapshot)],
                                                     [&] { return stopped(); });
    const double seconds = timer.seconds();
    training->add_seconds(seconds);

    lock_.lock();
    if (shared_->scheduler.stopping() || shared_->recorder.closed()) return;
    if (piece.first) shared_->recorder.training_began(batch, initial, training->method());
    shared_->recorder.trained(batch, training->epoch() - before, seconds);
    record_training(piece, std::move(snapshot));
}

/// Hands the snapshot on to its analysis, and ends the training after the last one.
template <Backend B>
void Worker<B>::record_training(const TrainingPiece& piece, BatchSnapshot<B> snapshot) {
    const TrainingBatch& batch = shared_->scheduler.batch(piece.batch);
    const auto report = shared_->scheduler.trained(piece, snapshot.diverged);
    for (const std::size_t row : report.diverged)
        shared_->recorder.diverged(batch.members[row], snapshot.diverged[row]);
    if (report.analysed)
        shared_->waiting_snapshots.emplace(std::pair(piece.batch, piece.snapshot), std::move(snapshot));
    if (!report.ended) return;
    const auto training = shared_->trainings.extract(piece.batch);
    const double seconds = training.mapped()->seconds() / static_cast<double>(batch.members.size());
    for (std::size_t row = 0; row < batch.members.size(); ++row)
        if (!shared_->scheduler.diverged(piece.batch, row))
            shared_->recorder.training_ended(batch.members[row], seconds);
    shared_->idle_contexts.give_back(batch.kind, training.mapped()->end());
}

template <Backend B>
void Worker<B>::carry_out(const AnalysisPiece& piece) {
    const TrainingBatch& batch = shared_->scheduler.batch(piece.batch);
    auto waiting = shared_->waiting_snapshots.extract({piece.batch, piece.snapshot});
    auto analysis = shared_->idle_analyses.take(batch.kind);
    lock_.unlock();

    const PlannedNetwork& planned = plan_->networks[batch.kind];
    std::vector<Analyzed> analyzed =
        analysis->analyze(planned, data(planned).train(), shared_->make_context, waiting.mapped().state,
                          piece.rows, waiting.mapped().ready);
    waiting.mapped().state = {};  // frees its memory for the next one

    lock_.lock();
    shared_->idle_analyses.give_back(batch.kind, std::move(analysis));
    if (shared_->recorder.closed()) return;
    std::vector<BatchMember> members;
    for (const Index row : piece.rows) members.push_back(batch.members[static_cast<std::size_t>(row)]);
    for (const BatchMember& member :
         shared_->recorder.analyzed(batch.kind, members, piece.snapshot, analyzed))
        shared_->scheduler.recorded(member, piece.snapshot);
}

template <Backend B>
void Worker<B>::carry_out(const SearchPiece& piece) {
    const PlannedNetwork& planned = plan_->networks[piece.network];
    if (!plan_->work.search_on_host(piece.network))
        return search(piece, shared_->idle_searches, data(planned), shared_->make_context);
    CpuContext context(1);
    search<CpuContext>(piece, shared_->idle_host_searches, ResidentData<CpuContext>(context, *planned.data),
                       [] { return CpuContext(1); });
}

/// Searches on the backend S; called and left with the lock held.
template <Backend B>
template <Backend S>
void Worker<B>::search(const SearchPiece& piece, IdlePool<ReplicaSearch<S>>& idle,
                       const ResidentData<S>& data, const std::function<S()>& make_context) {
    if (shared_->recorder.closed()) return;
    const std::vector<double> theta = shared_->recorder.theta(piece);
    auto search = idle.take(piece.network);
    lock_.unlock();

    bool stop = false;
    const CriticalPointRecord record = search->search(plan_->networks[piece.network], data, make_context,
                                                      theta, [&] { return stop = stopped(); });

    lock_.lock();
    idle.give_back(piece.network, std::move(search));
    if (!shared_->recorder.closed() && !stop) shared_->recorder.searched(piece, record);
    shared_->recorder.search_ended(piece.network);
}

}  // namespace espectra
