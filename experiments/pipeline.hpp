#pragma once

#include "espectra/experiments/critical_point_queue.hpp"
#include "espectra/experiments/resident_data.hpp"
#include "espectra/experiments/results.hpp"
#include "espectra/experiments/run_outcome.hpp"
#include "espectra/experiments/work_plan.hpp"
#include "espectra/models/spectrum.hpp"
#include "espectra/models/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace espectra {

/// Trains the networks of a run and analyses their snapshots behind it, in bounded memory: a worker trains a
/// batch of replicas to its next snapshot when too few snapshots wait, else it takes the oldest one and
/// records its spectra; searches for critical points come last. Each record goes to the file at once. Results
/// do not depend on the number of workers nor on the size of the batches; up to rounding of the eigenvalues,
/// where a single worker solves with all threads or a batch is solved together.
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
    /// A batch of replicas of one network under training, at rest between two snapshots.
    struct Training {
        std::size_t network;
        std::vector<Index> replicas;
        std::vector<bool> diverged;  ///< of each: no more of it is recorded
        Index next_snapshot = 0;
        double seconds = 0;
        std::shared_ptr<B> context;
        std::unique_ptr<Trainer<B>> trainer;
    };
    struct Waiting {
        std::size_t network;
        Index snapshot;
        std::vector<Index> replicas, rows;  ///< to be recorded, and where they stand in `state`
        std::shared_ptr<B> context;         ///< the training's: buffers of a device go back to it
        Snapshot<B> state;
        typename B::Event ready;
    };
    /// An analyzer, kept while snapshots of the same network come.
    struct Analysis {
        std::size_t network = static_cast<std::size_t>(-1);
        std::unique_ptr<B> context;
        std::unique_ptr<SpectrumAnalyzer<B>> analyzer;
        Index replicas = 0;  ///< at a time
    };
    /// What came of one replica's analysis.
    struct Analyzed {
        SnapshotRecord record;
        std::string failure;
    };

    void work();
    bool training_possible() const;
    std::unique_ptr<Training> next_training();
    void begin(Training& training);
    void train(std::unique_ptr<Training> training, std::unique_lock<std::mutex>& lock);
    void end(Training& training);
    void note_divergence(Training& training, const std::vector<std::int64_t>& epochs);
    std::vector<Index> missing_rows(const Training& training, Index snapshot) const;
    void pass_recorded_snapshots(Training& training) const;
    std::vector<double> initial_thetas(const Training& training) const;
    Waiting next_waiting();
    void analyze(Waiting waiting, std::unique_lock<std::mutex>& lock);
    SpectrumAnalyzer<B>& analyzer(Analysis& analysis, std::size_t network, Index replicas) const;
    std::vector<Analyzed> analyze(const Waiting& waiting, Analysis& analysis) const;
    void describe(const Waiting& waiting, B& context, std::vector<Analyzed>& analyzed) const;
    RunProgress progress() const;
    double training_cost(std::size_t network) const;
    double analysis_cost(std::size_t network) const;

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
    std::pair<std::size_t, std::vector<std::shared_ptr<B>>> idle_contexts_;  // of ended ones, by network
    std::deque<Waiting> waiting_;
    int analyzing_ = 0;
    std::vector<std::unique_ptr<Analysis>> idle_analyses_;
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
    for (const PlannedNetwork& planned : networks_)
        data_.try_emplace(planned.data.get(), data_context_, *planned.data);
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        const PlannedNetwork& planned = networks_[n];
        for (Index r = 0; r < planned.recipe.replicas; ++r) {
            Index missing = 0;
            for (Index e = 0; e < planned.snapshots(); ++e) missing += results_->complete(n, r, e) ? 0 : 1;
            outcome_.spectra += missing;
            cost_total_ += analysis_cost(n) * static_cast<double>(missing) + searches_.cost(n, r, *results_);
            if (missing == 0) continue;
            cost_total_ += training_cost(n);
            if (trainings_.empty() || trainings_.back()->network != n ||
                std::ssize(trainings_.back()->replicas) == plan_.batch(n)) {
                trainings_.push_back(std::make_unique<Training>());
                trainings_.back()->network = n;
            }
            trainings_.back()->replicas.push_back(r);
            trainings_.back()->diverged.push_back(false);
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

// Multiply-adds; products run about three times as fast as the reduction to tridiagonal form.
template <Backend B>
double Pipeline<B>::training_cost(std::size_t network) const {
    const PlannedNetwork& planned = networks_[network];
    return 4.0 * static_cast<double>(planned.recipe.epochs) *
           static_cast<double>(planned.data->train_examples) *
           static_cast<double>(planned.network.parameters());
}

template <Backend B>
double Pipeline<B>::analysis_cost(std::size_t network) const {
    const PlannedNetwork& planned = networks_[network];
    const auto p = static_cast<double>(planned.network.parameters());
    return 3.0 * p * p * p + 0.5 * static_cast<double>(planned.data->train_examples) * p * p;
}

template <Backend B>
RunOutcome Pipeline<B>::run(std::stop_token stop, const Report& report) {
    const Index total = std::exchange(outcome_.spectra, 0);
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
        state.spectra_total = total;
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
    ResultsFile results = std::move(*results_);
    results_.reset();
    outcome_.summary = results.summary();
    outcome_.critical_points = results.summarize_critical_points();
    outcome_.searches = searches_.done();
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
                cost_done_ += searches_.work(lock, results_, stopping_, data_, make_context_);
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
        // A context keeps its memory for the next batch, but not for another network's.
        auto& [network, idle] = idle_contexts_;
        if (network != (*next)->network) idle.clear();
        network = (*next)->network;
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
    const PlannedNetwork& planned = networks_[training.network];
    std::vector<double> thetas;
    for (const Index replica : training.replicas) {
        const auto theta = initial_theta(planned.network, planned.recipe.beta,
                                         planned.recipe.seed + static_cast<std::uint64_t>(replica));
        thetas.insert(thetas.end(), theta.begin(), theta.end());
    }
    return thetas;
}

template <Backend B>
void Pipeline<B>::begin(Training& training) {
    const PlannedNetwork& planned = networks_[training.network];
    if (!training.context) training.context = std::make_shared<B>(make_context_());
    training.trainer = std::make_unique<Trainer<B>>(
        *training.context, planned.network, data_.at(planned.data.get()).train(),
        data_.at(planned.data.get()).test(), planned.recipe.training, initial_thetas(training));
}

/// Rows of the batch whose record of this snapshot is wanted and not there.
template <Backend B>
std::vector<Index> Pipeline<B>::missing_rows(const Training& training, Index snapshot) const {
    std::vector<Index> rows;
    for (std::size_t row = 0; row < training.replicas.size(); ++row)
        if (!training.diverged[row] &&
            !results_->complete(training.network, training.replicas[row], snapshot))
            rows.push_back(static_cast<Index>(row));
    return rows;
}

/// A resumed run passes over the snapshots that it has.
template <Backend B>
void Pipeline<B>::pass_recorded_snapshots(Training& training) const {
    while (training.next_snapshot < networks_[training.network].snapshots() &&
           missing_rows(training, training.next_snapshot).empty())
        ++training.next_snapshot;
}

template <Backend B>
void Pipeline<B>::note_divergence(Training& training, const std::vector<std::int64_t>& epochs) {
    for (std::size_t row = 0; row < epochs.size(); ++row) {
        if (epochs[row] < 0 || training.diverged[row]) continue;
        training.diverged[row] = true;
        failures_.push_back({networks_[training.network].name, training.replicas[row],
                             fmt::format("diverged: the cost is not finite at epoch {}", epochs[row])});
    }
}

template <Backend B>
void Pipeline<B>::train(std::unique_ptr<Training> training, std::unique_lock<std::mutex>& lock) {
    const PlannedNetwork& planned = networks_[training->network];
    const bool fresh = training->trainer == nullptr;
    pass_recorded_snapshots(*training);
    lock.unlock();

    const Timer timer;
    if (fresh) begin(*training);
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
    const auto count = std::ssize(training->replicas);
    if (fresh) {
        const std::vector<double> initial = initial_thetas(*training);
        const Index p = planned.network.parameters();
        for (Index row = 0; row < count; ++row)
            results_->write_initial(training->network, training->replicas[static_cast<std::size_t>(row)],
                                    {initial.begin() + row * p, initial.begin() + (row + 1) * p});
        outcome_.training_method = trainer.method();
    }
    if (planned.recipe.epochs > 0)
        cost_done_ += training_cost(training->network) * static_cast<double>(count) *
                      static_cast<double>(trainer.epoch() - before) /
                      static_cast<double>(planned.recipe.epochs);
    note_divergence(*training, diverged);
    const std::vector<Index> rows = missing_rows(*training, training->next_snapshot);
    if (!rows.empty()) {
        std::vector<Index> replicas;
        for (const Index row : rows) replicas.push_back(training->replicas[static_cast<std::size_t>(row)]);
        waiting_.push_back({training->network, training->next_snapshot, std::move(replicas), rows,
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
    const double seconds = training.seconds / static_cast<double>(training.replicas.size());
    for (std::size_t row = 0; row < training.replicas.size(); ++row)
        if (!training.diverged[row])
            results_->write_training_seconds(training.network, training.replicas[row], seconds);
    training.trainer.reset();  // before its context is another one's
    --begun_;
    if (idle_contexts_.first == training.network)
        idle_contexts_.second.push_back(std::move(training.context));
}

/// The oldest that an idle analyzer is made for, else the oldest.
template <Backend B>
typename Pipeline<B>::Waiting Pipeline<B>::next_waiting() {
    auto next = std::ranges::find_if(waiting_, [&](const Waiting& waiting) {
        return std::ranges::any_of(idle_analyses_,
                                   [&](const auto& idle) { return idle->network == waiting.network; });
    });
    if (next == waiting_.end()) next = waiting_.begin();
    Waiting waiting = std::move(*next);
    waiting_.erase(next);
    return waiting;
}

template <Backend B>
void Pipeline<B>::analyze(Waiting waiting, std::unique_lock<std::mutex>& lock) {
    auto idle = std::ranges::find_if(
        idle_analyses_, [&](const auto& analysis) { return analysis->network == waiting.network; });
    if (idle == idle_analyses_.end()) idle = idle_analyses_.begin();
    auto analysis = std::make_unique<Analysis>();
    if (idle != idle_analyses_.end()) {
        analysis = std::move(*idle);
        idle_analyses_.erase(idle);
    }
    ++analyzing_;
    lock.unlock();
    std::vector<Analyzed> analyzed;
    try {
        analyzed = analyze(waiting, *analysis);
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
    const PlannedNetwork& planned = networks_[waiting.network];
    const std::int64_t epoch = planned.epochs[static_cast<std::size_t>(waiting.snapshot)];
    cost_done_ += analysis_cost(waiting.network) * static_cast<double>(analyzed.size());
    std::vector<Index> replicas;
    std::vector<SnapshotRecord> records;
    for (std::size_t i = 0; i < analyzed.size(); ++i) {
        auto& [record, failure] = analyzed[i];
        if (!failure.empty()) {
            failures_.push_back(
                {planned.name, waiting.replicas[i], fmt::format("epoch {}: {}", epoch, failure)});
            continue;
        }
        outcome_.hessian_seconds += record.spectrum.seconds_hessian;
        outcome_.eigen_seconds += record.spectrum.seconds_eigen;
        replicas.push_back(waiting.replicas[i]);
        records.push_back(std::move(record));
    }
    results_->write(waiting.network, replicas, waiting.snapshot, records);
    outcome_.spectra += std::ssize(records);
    for (const Index replica : replicas) searches_.add(waiting.network, replica, waiting.snapshot, *results_);
}

template <Backend B>
SpectrumAnalyzer<B>& Pipeline<B>::analyzer(Analysis& analysis, std::size_t network, Index replicas) const {
    if (analysis.network == network && analysis.replicas == replicas) return *analysis.analyzer;
    const PlannedNetwork& planned = networks_[network];
    analysis.analyzer.reset();  // its memory goes before the next one's comes
    if (analysis.network != network) analysis.context = std::make_unique<B>(make_context_());
    analysis.analyzer = std::make_unique<SpectrumAnalyzer<B>>(*analysis.context, planned.network,
                                                              data_.at(planned.data.get()).train(), replicas,
                                                              planned.recipe.spectrum);
    analysis.network = network;
    analysis.replicas = replicas;
    return *analysis.analyzer;
}

/// The spectra of the replicas wanted, together; where one of them fails, one by one.
template <Backend B>
std::vector<typename Pipeline<B>::Analyzed> Pipeline<B>::analyze(const Waiting& waiting,
                                                                 Analysis& analysis) const {
    const Index p = networks_[waiting.network].network.parameters();
    const Index all = waiting.state.theta.size() / p, count = std::ssize(waiting.rows);
    analyzer(analysis, waiting.network, count);
    B& context = *analysis.context;
    context.wait_for(waiting.ready);
    Buffer<double, B::space> gathered;
    auto theta = waiting.state.theta.view(all, p), gradient = waiting.state.gradient.view(all, p);
    if (count < all) {
        gathered = Buffer<double, B::space>(context, 2 * count * p);
        for (Index i = 0; i < count; ++i) {
            const Index row = waiting.rows[static_cast<std::size_t>(i)];
            copy(context, theta[row].data, gathered.data() + i * p, p);
            copy(context, gradient[row].data, gathered.data() + (count + i) * p, p);
        }
        const auto both = gathered.view(2 * count, p);
        theta = both.slice(0, 0, count);
        gradient = both.slice(0, count, count);
    }

    std::vector<Analyzed> analyzed(static_cast<std::size_t>(count));
    const auto solve = [&](Index first, Index replicas) {
        auto spectra = analyzer(analysis, waiting.network, replicas)
                           .analyze(theta.slice(0, first, replicas), gradient.slice(0, first, replicas));
        for (Index i = 0; i < replicas; ++i) {
            Analyzed& one = analyzed[static_cast<std::size_t>(first + i)];
            one.record.spectrum = std::move(spectra[static_cast<std::size_t>(i)]);
            one.failure = one.record.spectrum.failure;
        }
    };
    try {
        solve(0, count);
    } catch (const NumericalError& whole) {
        if (count == 1) analyzed.front().failure = whole.what();
        for (Index i = 0; i < count && count > 1; ++i) {
            try {
                solve(i, 1);
            } catch (const NumericalError& error) {
                analyzed[static_cast<std::size_t>(i)].failure = error.what();
            }
        }
    }
    describe(waiting, context, analyzed);
    context.synchronize();  // buffers of the training's context are not in use any more
    return analyzed;
}

/// Everything about the snapshot beside the spectra, fetched from the device.
template <Backend B>
void Pipeline<B>::describe(const Waiting& waiting, B& context, std::vector<Analyzed>& analyzed) const {
    const PlannedNetwork& planned = networks_[waiting.network];
    const Snapshot<B>& state = waiting.state;
    const auto values = [&](const Buffer<double, B::space>& buffer) {
        return fetch(context, buffer.data(), buffer.size());
    };
    const bool classes = planned.data->classes > 0, test = classes && state.accuracy_test.size() > 0;
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    const auto theta = values(state.theta), gradient = values(state.gradient), cost = values(state.cost),
               accuracy = values(state.accuracy), zero_residuals = values(state.zero_residuals),
               accuracy_test = values(state.accuracy_test);
    const Index p = planned.network.parameters();
    for (std::size_t i = 0; i < analyzed.size(); ++i) {
        const auto row = static_cast<std::size_t>(waiting.rows[i]);
        const Index begin = waiting.rows[i] * p;
        SnapshotRecord& record = analyzed[i].record;
        record.theta.assign(theta.begin() + begin, theta.begin() + begin + p);
        record.cost = cost[row];
        const auto first = gradient.begin() + begin;
        record.gradient_norm = std::sqrt(std::inner_product(first, first + p, first, 0.0));
        record.accuracy_train = classes ? accuracy[row] : none;
        record.accuracy_test = test ? accuracy_test[row] : none;
        record.zero_residuals = zero_residuals[row];
    }
}

}  // namespace espectra
