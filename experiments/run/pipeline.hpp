#pragma once

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/run/cost_estimate.hpp"
#include "espectra/experiments/run/critical_point_queue.hpp"
#include "espectra/experiments/run/outcome.hpp"
#include "espectra/experiments/run/snapshot_analysis.hpp"
#include "espectra/experiments/run/work_plan.hpp"
#include "espectra/experiments/store/results.hpp"
#include "espectra/models/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace espectra {

/// Trains the networks of a run and analyses their snapshots behind it, in bounded memory: a worker trains a
/// batch of replicas (of one network, or of several of a kind, see batch_kinds) to its next snapshot when too
/// few snapshots wait, else it takes the oldest one and records its spectra; searches for critical points
/// come last. Each record goes to the file at once. Results do not depend on the number of workers nor on the
/// size of the batches; up to rounding of the eigenvalues of networks with more than 200 parameters, where a
/// single worker solves with all threads or a padded batch is solved together.
template <Backend B>
class Pipeline {
  public:
    using Report = std::function<void(const RunProgress&)>;

    /// `make_context` makes the context of one batch under training or under analysis.
    Pipeline(std::vector<PlannedNetwork> networks, ResultsFile results, const WorkPlan& plan,
             std::function<B()> make_context);
    ~Pipeline();
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    /// Works until all is done, a resource fails (ResourceError) or `stop` is requested; the file is closed
    /// under its final name in every case. After a stop, analyses still under way are given up: workers may
    /// still be running, and the destructor waits for them.
    RunOutcome run(std::stop_token stop, const Report& report);

  private:
    struct Member {
        std::size_t network;
        Index replica;
    };
    /// A batch of networks of one kind under training, at rest between two snapshots.
    struct Training {
        std::size_t kind;  ///< the first network of the kind stands for all
        std::vector<Member> members;
        std::vector<bool> diverged;  ///< of each: no more of it is recorded
        Index next_snapshot = 0;
        double seconds = 0;
        std::shared_ptr<B> context;
        std::unique_ptr<Trainer<B>> trainer;
    };
    struct Waiting {
        std::size_t kind;
        Index snapshot;
        std::vector<Member> members;  ///< to be recorded
        std::vector<Index> rows;      ///< where they stand in `state`
        std::shared_ptr<B> context;   ///< the training's: buffers of a device go back to it
        Snapshot<B> state;
        typename B::Event ready;
    };

    void work();
    bool training_possible() const;
    std::unique_ptr<Training> next_training();
    std::vector<double> begin(Training& training);
    void train(std::unique_ptr<Training> training, std::unique_lock<std::mutex>& lock);
    void end(Training& training);
    void note_divergence(Training& training, const std::vector<std::int64_t>& epochs);
    std::vector<Index> missing_rows(const Training& training, Index snapshot) const;
    void pass_recorded_snapshots(Training& training) const;
    std::vector<double> initial_thetas(const Training& training) const;
    Waiting next_waiting();
    void analyze(Waiting waiting, std::unique_lock<std::mutex>& lock);
    void record(const Waiting& waiting, std::vector<Analyzed>& analyzed);
    RunProgress progress() const;

    std::vector<PlannedNetwork> networks_;
    std::optional<ResultsFile> results_;  // empty once closed
    WorkPlan plan_;
    std::function<B()> make_context_;
    B data_context_;
    std::map<const DataSet*, ResidentData<B>> data_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::unique_ptr<Training>> trainings_;  // at rest, not begun or parked
    int begun_ = 0;                                    // trainings begun and not ended, parked or not
    std::pair<std::size_t, std::vector<std::shared_ptr<B>>> idle_contexts_;  // of ended ones, by kind
    std::deque<Waiting> waiting_;
    int analyzing_ = 0;
    std::vector<std::unique_ptr<SnapshotAnalysis<B>>> idle_analyses_;
    CriticalPointQueue<B> searches_;  // counted among the analyses
    int busy_ = 0;                    // workers at something
    int running_ = 0;                 // workers not returned
    bool stopping_ = false;
    std::exception_ptr failure_;
    std::vector<Failure> failures_;
    RunOutcome outcome_;
    double cost_total_ = 0, cost_done_ = 0;
    Timer timer_;
    std::vector<std::thread> threads_;
};

template <Backend B>
Pipeline<B>::Pipeline(std::vector<PlannedNetwork> networks, ResultsFile results, const WorkPlan& plan,
                      std::function<B()> make_context)
    : networks_(std::move(networks)),
      results_(std::move(results)),
      plan_(plan),
      make_context_(std::move(make_context)),
      data_context_(make_context_()),
      searches_(networks_, *results_) {
    if (plan_.costs.empty()) plan_.costs = nominal_costs(networks_);
    for (const PlannedNetwork& planned : networks_)
        data_.try_emplace(planned.data.get(), data_context_, *planned.data);
    const std::vector<std::size_t> kinds = batch_kinds(networks_);
    std::map<std::size_t, Training*> unfilled;  // by kind
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        const PlannedNetwork& planned = networks_[n];
        Training*& batch = unfilled[kinds[n]];
        for (Index r = 0; r < planned.recipe.replicas; ++r) {
            Index missing = 0;
            for (Index e = 0; e < planned.snapshots(); ++e) missing += results_->complete(n, r, e) ? 0 : 1;
            const Index searches = searches_.missing(n, r, *results_);
            outcome_.spectra += missing;
            outcome_.searches += searches;
            cost_total_ += plan_.costs[n].spectrum * static_cast<double>(missing) +
                           plan_.costs[n].search * static_cast<double>(searches);
            if (missing == 0) continue;
            cost_total_ += plan_.costs[n].training;
            if (!batch || std::ssize(batch->members) == plan_.batch(n)) {
                trainings_.push_back(std::make_unique<Training>());
                batch = trainings_.back().get();
                batch->kind = kinds[n];
            }
            batch->members.push_back({n, r});
            batch->diverged.push_back(false);
        }
    }
}

template <Backend B>
Pipeline<B>::~Pipeline() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

template <Backend B>
RunOutcome Pipeline<B>::run(std::stop_token stop, const Report& report) {
    const Index spectra = std::exchange(outcome_.spectra, 0), searches = std::exchange(outcome_.searches, 0);
    outcome_.workers = plan_.workers;
    outcome_.replicas_per_batch = plan_.largest_batch();
    std::unique_lock lock(mutex_);
    timer_.restart();
    try {
        for (int worker = 0; worker < plan_.workers; ++worker) {
            threads_.emplace_back([this] { work(); });
            ++running_;
        }
    } catch (const std::system_error& error) {
        failure_ = std::make_exception_ptr(
            ResourceError(fmt::format("cannot start worker {}: {}", running_ + 1, error.code().message())));
        stopping_ = true;
        changed_.notify_all();
    }
    const std::stop_callback wake(stop, [this] { changed_.notify_all(); });
    while (running_ > 0 && !stop.stop_requested()) {
        changed_.wait_for(lock, std::chrono::milliseconds(200));
        RunProgress state = progress();
        state.spectra_total = spectra;
        state.searches_total = searches;
        lock.unlock();
        if (report) report(state);
        lock.lock();
    }
    if (stop.stop_requested() && running_ > 0) {
        stopping_ = true;
        changed_.notify_all();
        // Analyses under way may end within this time; what takes longer is given up.
        changed_.wait_for(lock, std::chrono::seconds(1), [&] { return running_ == 0; });
        outcome_.state = RunState::interrupted;
    } else if (failure_) {
        outcome_.state = RunState::interrupted;
    } else if (!failures_.empty()) {
        outcome_.state = RunState::diverged;
    }
    outcome_.failures = failures_;
    outcome_.wall_seconds = timer_.seconds();
    outcome_.searches = searches_.done();
    ResultsFile results = std::move(*results_);
    results_.reset();
    // Whatever comes of it, the file is closed; what failed first is said.
    try {
        outcome_.summary = results.summary();
        if (outcome_.state != RunState::interrupted) {
            outcome_.statistics = results.write_statistics();
            outcome_.critical_points = results.summarize_critical_points();
        }
    } catch (...) {
        if (!failure_) failure_ = std::current_exception();
        outcome_.state = RunState::interrupted;
    }
    outcome_.file = results.finish(outcome_.state, outcome_.wall_seconds);
    if (failure_) std::rethrow_exception(failure_);
    return outcome_;
}

template <Backend B>
RunProgress Pipeline<B>::progress() const {
    RunProgress state;
    state.seconds = timer_.seconds();
    state.fraction = cost_total_ > 0 ? std::min(1.0, cost_done_ / cost_total_) : 1.0;
    state.seconds_left = state.fraction > 0.005 ? state.seconds * (1.0 - state.fraction) / state.fraction
                                                : std::numeric_limits<double>::quiet_NaN();
    state.spectra_done = outcome_.spectra;
    state.searches_done = searches_.done();
    return state;
}

template <Backend B>
void Pipeline<B>::work() {
    std::unique_lock lock(mutex_);
    while (!stopping_ && (!trainings_.empty() || !waiting_.empty() || !searches_.empty() || busy_ > 0)) {
        // Keep one snapshot per worker waiting: enough that none idles, few enough to bound the memory.
        const bool enough = std::ssize(waiting_) >= plan_.workers;
        const bool can_train = !enough && training_possible();
        const bool can_analyze = analyzing_ < plan_.analyses && !(waiting_.empty() && searches_.empty());
        if (!can_train && !can_analyze) {
            changed_.wait(lock);
            continue;
        }
        ++busy_;
        try {
            if (can_train) {
                train(next_training(), lock);
            } else if (!waiting_.empty()) {
                analyze(next_waiting(), lock);
            } else {
                ++analyzing_;
                const std::size_t network = searches_.work(lock, results_, stopping_, data_, make_context_);
                cost_done_ += plan_.costs[network].search;
                outcome_.search_seconds = searches_.seconds();
                --analyzing_;
            }
        } catch (...) {
            if (!lock.owns_lock()) lock.lock();
            if (!failure_) failure_ = std::current_exception();
            stopping_ = true;
        }
        --busy_;
        changed_.notify_all();
    }
    --running_;
    changed_.notify_all();
}

template <Backend B>
bool Pipeline<B>::training_possible() const {
    return std::ranges::any_of(
        trainings_, [&](const auto& training) { return training->trainer || begun_ < plan_.trainings; });
}

/// One that has begun, so that few are in memory at a time; else the next.
template <Backend B>
std::unique_ptr<typename Pipeline<B>::Training> Pipeline<B>::next_training() {
    auto next =
        std::ranges::find_if(trainings_, [](const auto& training) { return training->trainer != nullptr; });
    if (next == trainings_.end()) {
        next = trainings_.begin();
        ++begun_;
        // A context keeps its memory for the next batch, but not for another kind's.
        auto& [kind, idle] = idle_contexts_;
        if (kind != (*next)->kind) idle.clear();
        kind = (*next)->kind;
        if (!idle.empty()) {
            (*next)->context = std::move(idle.back());
            idle.pop_back();
        }
    }
    auto training = std::move(*next);
    trainings_.erase(next);
    return training;
}

template <Backend B>
std::vector<double> Pipeline<B>::initial_thetas(const Training& training) const {
    std::vector<double> thetas;
    for (const Member& member : training.members) {
        const PlannedNetwork& planned = networks_[member.network];
        const auto theta = initial_theta(planned.network, planned.recipe.beta,
                                         planned.recipe.seed + static_cast<std::uint64_t>(member.replica));
        thetas.insert(thetas.end(), theta.begin(), theta.end());
    }
    return thetas;
}

/// Returns the initial θ of its members.
template <Backend B>
std::vector<double> Pipeline<B>::begin(Training& training) {
    const PlannedNetwork& planned = networks_[training.kind];
    if (!training.context) training.context = std::make_shared<B>(make_context_());
    std::vector<double> initial = initial_thetas(training);
    std::vector<TrainingSettings> settings;
    for (const Member& member : training.members)
        settings.push_back(networks_[member.network].recipe.training);
    const TrainingSettings first = settings.front();
    if (std::ranges::all_of(settings, [&](const auto& one) { return one == first; })) settings.clear();
    const ResidentData<B>& data = data_.at(planned.data.get());
    training.trainer = std::make_unique<Trainer<B>>(*training.context, planned.network, data.train(),
                                                    data.test(), first, initial, std::move(settings));
    return initial;
}

/// Rows of the batch whose record of this snapshot is wanted and not there.
template <Backend B>
std::vector<Index> Pipeline<B>::missing_rows(const Training& training, Index snapshot) const {
    std::vector<Index> rows;
    for (std::size_t row = 0; row < training.members.size(); ++row)
        if (const Member& member = training.members[row];
            !training.diverged[row] && !results_->complete(member.network, member.replica, snapshot))
            rows.push_back(static_cast<Index>(row));
    return rows;
}

/// A resumed run passes over the snapshots that it has.
template <Backend B>
void Pipeline<B>::pass_recorded_snapshots(Training& training) const {
    while (training.next_snapshot < networks_[training.kind].snapshots() &&
           missing_rows(training, training.next_snapshot).empty())
        ++training.next_snapshot;
}

template <Backend B>
void Pipeline<B>::note_divergence(Training& training, const std::vector<std::int64_t>& epochs) {
    for (std::size_t row = 0; row < epochs.size(); ++row) {
        if (epochs[row] < 0 || training.diverged[row]) continue;
        training.diverged[row] = true;
        const Member& member = training.members[row];
        failures_.push_back({networks_[member.network].name, member.replica,
                             fmt::format("diverged: the cost is not finite at epoch {}", epochs[row])});
    }
}

template <Backend B>
void Pipeline<B>::train(std::unique_ptr<Training> training, std::unique_lock<std::mutex>& lock) {
    const PlannedNetwork& planned = networks_[training->kind];
    const bool fresh = training->trainer == nullptr;
    pass_recorded_snapshots(*training);
    lock.unlock();

    const Timer timer;
    std::vector<double> initial;
    if (fresh) initial = begin(*training);
    Trainer<B>& trainer = *training->trainer;
    const std::int64_t before = trainer.epoch();
    const std::int64_t epoch = planned.epochs[static_cast<std::size_t>(training->next_snapshot)];
    std::vector<std::int64_t> diverged;
    const auto all_diverged = [&] {
        return !diverged.empty() && std::ranges::all_of(diverged, [](std::int64_t at) { return at >= 0; });
    };
    // In steps, so that a stop is heard and a divergence seen soon; longer ones where they take no time.
    std::int64_t step = 50;
    bool stopped = false;
    while (trainer.epoch() < epoch && !all_diverged() && !stopped) {
        const Timer step_timer;
        trainer.advance_to(std::min(epoch, trainer.epoch() + step));
        diverged = trainer.diverged();
        if (step_timer.seconds() < 0.05) step *= 2;
        std::lock_guard guard(mutex_);
        stopped = stopping_;
    }
    Snapshot<B> state;
    if (!all_diverged() && !stopped) {
        state = trainer.snapshot();
        diverged = trainer.diverged();
    }
    const auto ready = training->context->record();
    const double seconds = timer.seconds();
    training->seconds += seconds;

    lock.lock();
    if (stopping_ || !results_) return;
    outcome_.training_seconds += seconds;
    const auto count = std::ssize(training->members);
    if (fresh) {
        const Index p = planned.network.parameters();
        for (Index row = 0; row < count; ++row) {
            const Member& member = training->members[static_cast<std::size_t>(row)];
            results_->write_initial(member.network, member.replica,
                                    {initial.begin() + row * p, initial.begin() + (row + 1) * p});
        }
        outcome_.training_methods.insert(trainer.method());
    }
    if (planned.recipe.epochs > 0)
        cost_done_ += plan_.costs[training->kind].training * static_cast<double>(count) *
                      static_cast<double>(trainer.epoch() - before) /
                      static_cast<double>(planned.recipe.epochs);
    note_divergence(*training, diverged);
    const std::vector<Index> rows = missing_rows(*training, training->next_snapshot);
    if (!rows.empty()) {
        std::vector<Member> members;
        for (const Index row : rows) members.push_back(training->members[static_cast<std::size_t>(row)]);
        waiting_.push_back({training->kind, training->next_snapshot, std::move(members), rows,
                            training->context, std::move(state), ready});
    }
    ++training->next_snapshot;
    pass_recorded_snapshots(*training);
    if (training->next_snapshot < planned.snapshots())
        trainings_.push_front(std::move(training));
    else
        end(*training);
}

template <Backend B>
void Pipeline<B>::end(Training& training) {
    const double seconds = training.seconds / static_cast<double>(training.members.size());
    for (std::size_t row = 0; row < training.members.size(); ++row)
        if (const Member& member = training.members[row]; !training.diverged[row])
            results_->write_training_seconds(member.network, member.replica, seconds);
    training.trainer.reset();  // before its context is another one's
    --begun_;
    if (idle_contexts_.first == training.kind) idle_contexts_.second.push_back(std::move(training.context));
}

/// The oldest that an idle analyzer is made for, else the oldest.
template <Backend B>
typename Pipeline<B>::Waiting Pipeline<B>::next_waiting() {
    auto next = std::ranges::find_if(waiting_, [&](const Waiting& waiting) {
        return std::ranges::any_of(idle_analyses_,
                                   [&](const auto& idle) { return idle->analyzes(networks_[waiting.kind]); });
    });
    if (next == waiting_.end()) next = waiting_.begin();
    Waiting waiting = std::move(*next);
    waiting_.erase(next);
    return waiting;
}

template <Backend B>
void Pipeline<B>::analyze(Waiting waiting, std::unique_lock<std::mutex>& lock) {
    auto idle = std::ranges::find_if(
        idle_analyses_, [&](const auto& analysis) { return analysis->analyzes(networks_[waiting.kind]); });
    if (idle == idle_analyses_.end()) idle = idle_analyses_.begin();
    auto analysis = std::make_unique<SnapshotAnalysis<B>>();
    if (idle != idle_analyses_.end()) {
        analysis = std::move(*idle);
        idle_analyses_.erase(idle);
    }
    ++analyzing_;
    lock.unlock();
    std::vector<Analyzed> analyzed;
    try {
        const PlannedNetwork& planned = networks_[waiting.kind];
        analyzed = analysis->analyze(planned, data_.at(planned.data.get()).train(), make_context_,
                                     waiting.state, waiting.rows, waiting.ready);
    } catch (...) {
        analysis.reset();
        lock.lock();
        --analyzing_;
        throw;
    }
    waiting.state = {};  // its memory is free for the next one
    lock.lock();
    --analyzing_;
    idle_analyses_.push_back(std::move(analysis));
    if (!results_) return;
    cost_done_ += plan_.costs[waiting.kind].spectrum * static_cast<double>(analyzed.size());
    record(waiting, analyzed);
}

template <Backend B>
void Pipeline<B>::record(const Waiting& waiting, std::vector<Analyzed>& analyzed) {
    std::vector<Index> replicas;
    std::vector<SnapshotRecord> records;
    for (std::size_t i = 0; i < analyzed.size(); ++i) {
        const auto [network, replica] = waiting.members[i];
        auto& [record, failure] = analyzed[i];
        if (!failure.empty()) {
            const std::int64_t epoch = networks_[network].epochs[static_cast<std::size_t>(waiting.snapshot)];
            failures_.push_back(
                {networks_[network].name, replica, fmt::format("epoch {}: {}", epoch, failure)});
        } else {
            outcome_.hessian_seconds += record.spectrum.seconds_hessian;
            outcome_.eigen_seconds += record.spectrum.seconds_eigen;
            replicas.push_back(replica);
            records.push_back(std::move(record));
        }
        // Those of one network stand together.
        if (i + 1 < analyzed.size() && waiting.members[i + 1].network == network) continue;
        results_->write(network, replicas, waiting.snapshot, records);
        outcome_.spectra += std::ssize(records);
        for (const Index recorded : replicas) searches_.add(network, recorded, waiting.snapshot, *results_);
        replicas.clear();
        records.clear();
    }
}

}  // namespace espectra
