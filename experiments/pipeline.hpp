#pragma once

#include "espectra/experiments/results.hpp"
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
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace espectra {

/// How the work of a run is laid on the machine.
struct WorkPlan {
    int workers = 1;             ///< analyses at a time
    int threads_per_worker = 1;  ///< threads of each
    std::size_t bytes_needed = 0, bytes_available = 0;
};

/// One worker per core while their Hessians fit into memory, else as many as fit; a single one takes all
/// threads. Throws ResourceError "needs … GB, … GB available" if not even one fits.
WorkPlan plan_work(const std::vector<PlannedNetwork>& networks, int cores, std::size_t available);

/// A network that stopped before its last epoch.
struct Failure {
    std::string network;
    Index replica = 0;
    std::string reason;
};

/// What a run has done so far; `fraction` weighs training and analysis by their estimated cost.
struct RunProgress {
    double fraction = 0;
    double seconds = 0, seconds_left = 0;  ///< left: NaN until there is something to go by
    Index spectra_done = 0, spectra_total = 0;
};

struct RunOutcome {
    RunState state = RunState::complete;
    std::vector<Failure> failures;
    std::filesystem::path file;
    std::vector<SummaryRow> summary;
    Index spectra = 0;  ///< in this session
    int workers = 1;
    double wall_seconds = 0;  ///< of this session
    /// Sums over this session, each piece of work timed on its worker.
    double training_seconds = 0, hessian_seconds = 0, eigen_seconds = 0;
};

/// A data set on a backend: copied to a device once, on the host used where it is.
template <Backend B>
class ResidentData {
  public:
    ResidentData(B& context, const DataSet& data)
        : train_(
              place(context, data.x_train, data.y_train, data.features, data.outputs, data.train_examples)),
          test_(place(context, data.x_test, data.y_test, data.features, data.outputs, data.test_examples)) {
        context.synchronize();
    }
    Examples<B::space> train() const { return train_; }
    Examples<B::space> test() const { return test_; }

  private:
    const double* place(B& context, const std::vector<double>& values) {
        if constexpr (B::space == Space::host) return values.data();
        buffers_.emplace_back(context, static_cast<Index>(values.size()));
        copy(context, values.data(), buffers_.back().data(), buffers_.back().size());
        return buffers_.back().data();
    }
    Examples<B::space> place(B& context, const std::vector<double>& x, const std::vector<double>& y,
                             Index features, Index outputs, Index count) {
        return {make_view<B::space>(place(context, x), features, count),
                make_view<B::space>(place(context, y), outputs, count)};
    }

    std::vector<Buffer<double, B::space>> buffers_;
    Examples<B::space> train_, test_;
};

/// Trains the networks of a run and analyses their snapshots behind it, in bounded memory: a worker trains a
/// network to its next snapshot when too few snapshots wait, else it takes the oldest one and records its
/// spectrum. Each record goes to the file as soon as it is there. Results do not depend on the number of
/// workers; with a single one, whose eigensolves run on all threads, up to rounding of the eigenvalues.
template <Backend B>
class Pipeline {
  public:
    using Report = std::function<void(const RunProgress&)>;

    /// `make_context` makes the context of one worker or one network under training.
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
    /// One network of one replica under training, at rest between two snapshots.
    struct Training {
        std::size_t network;
        Index replica;
        Index next_snapshot = 0;
        double seconds = 0;
        std::shared_ptr<B> context;
        std::unique_ptr<Trainer<B>> trainer;
    };
    struct Waiting {
        std::size_t network;
        Index replica, snapshot;
        std::shared_ptr<B> context;  // the training's: buffers of a device go back to it
        Snapshot<B> state;
    };
    /// An analyzer, kept by its worker while the same network comes again.
    struct Analysis {
        std::size_t network = static_cast<std::size_t>(-1);
        std::unique_ptr<B> context;
        std::unique_ptr<SpectrumAnalyzer<B>> analyzer;
    };

    void work();
    bool work_left() const;
    std::unique_ptr<Training> next_training();
    void begin(Training& training) const;
    void train(std::unique_ptr<Training> training, std::unique_lock<std::mutex>& lock);
    void analyze(Waiting waiting, Analysis& analysis, std::unique_lock<std::mutex>& lock);
    SnapshotRecord make_record(const Waiting& waiting, Spectrum spectrum, B& context) const;
    bool needed(std::size_t network, Index replica) const;
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
    std::deque<Waiting> waiting_;
    int busy_ = 0;     // workers at something
    int running_ = 0;  // workers not returned
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
      data_context_(make_context_()) {
    for (const PlannedNetwork& planned : networks_)
        data_.try_emplace(planned.data.get(), data_context_, *planned.data);
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        const PlannedNetwork& planned = networks_[n];
        for (Index r = 0; r < planned.recipe.replicas; ++r) {
            Index missing = 0;
            for (Index e = 0; e < planned.snapshots(); ++e) missing += results_->complete(n, r, e) ? 0 : 1;
            outcome_.spectra += missing;
            cost_total_ += analysis_cost(n) * static_cast<double>(missing);
            if (!needed(n, r)) continue;
            cost_total_ += training_cost(n);
            auto training = std::make_unique<Training>();
            training->network = n;
            training->replica = r;
            trainings_.push_back(std::move(training));
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
bool Pipeline<B>::needed(std::size_t network, Index replica) const {
    for (Index e = 0; e < networks_[network].snapshots(); ++e)
        if (!results_->complete(network, replica, e)) return true;
    return false;
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
bool Pipeline<B>::work_left() const {
    return !trainings_.empty() || !waiting_.empty() || busy_ > 0;
}

template <Backend B>
void Pipeline<B>::work() {
    Analysis analysis;
    std::unique_lock lock(mutex_);
    while (!stopping_ && work_left()) {
        // Keep one snapshot per worker waiting: enough that none idles, few enough to bound the memory.
        const bool enough = std::ssize(waiting_) >= plan_.workers;
        if (trainings_.empty() && waiting_.empty()) {
            changed_.wait(lock);
            continue;
        }
        ++busy_;
        try {
            if (!waiting_.empty() && (enough || trainings_.empty())) {
                auto next = std::ranges::find(waiting_, analysis.network, &Waiting::network);
                if (next == waiting_.end()) next = waiting_.begin();
                Waiting snapshot = std::move(*next);
                waiting_.erase(next);
                analyze(std::move(snapshot), analysis, lock);
            } else {
                train(next_training(), lock);
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

/// One that has begun, so that few are in memory at a time; else the next.
template <Backend B>
std::unique_ptr<typename Pipeline<B>::Training> Pipeline<B>::next_training() {
    auto next =
        std::ranges::find_if(trainings_, [](const auto& training) { return training->trainer != nullptr; });
    if (next == trainings_.end()) next = trainings_.begin();
    auto training = std::move(*next);
    trainings_.erase(next);
    return training;
}

template <Backend B>
void Pipeline<B>::begin(Training& training) const {
    const PlannedNetwork& planned = networks_[training.network];
    const std::vector<double> theta =
        initial_theta(planned.network, planned.recipe.beta,
                      planned.recipe.seed + static_cast<std::uint64_t>(training.replica));
    training.context = std::make_shared<B>(make_context_());
    training.trainer =
        std::make_unique<Trainer<B>>(*training.context, planned.network, data_.at(planned.data.get()).train(),
                                     data_.at(planned.data.get()).test(), planned.recipe.training, theta);
}

template <Backend B>
void Pipeline<B>::train(std::unique_ptr<Training> training, std::unique_lock<std::mutex>& lock) {
    const PlannedNetwork& planned = networks_[training->network];
    const Index last = planned.snapshots();
    const bool fresh = training->trainer == nullptr;
    // Without a stop the next missing snapshot; a resumed run passes over those it has.
    while (training->next_snapshot < last &&
           results_->complete(training->network, training->replica, training->next_snapshot))
        ++training->next_snapshot;
    lock.unlock();

    const Timer timer;
    if (fresh) begin(*training);
    const std::int64_t before = training->trainer->epoch();
    Snapshot<B> state;
    std::int64_t diverged = -1;
    const std::int64_t epoch = planned.epochs[static_cast<std::size_t>(training->next_snapshot)];
    // In steps, so that a stop is heard and a divergence seen soon.
    constexpr std::int64_t step = 50;
    bool stopped = false;
    while (training->trainer->epoch() < epoch && diverged < 0 && !stopped) {
        training->trainer->advance_to(std::min(epoch, training->trainer->epoch() + step));
        diverged = training->trainer->diverged().front();
        std::lock_guard guard(mutex_);
        stopped = stopping_;
    }
    if (diverged < 0 && !stopped) {
        state = training->trainer->snapshot();
        diverged = training->trainer->diverged().front();
    }
    const double seconds = timer.seconds();
    training->seconds += seconds;

    lock.lock();
    if (stopping_ || !results_) return;
    outcome_.training_seconds += seconds;
    if (fresh) {
        const auto initial =
            initial_theta(planned.network, planned.recipe.beta,
                          planned.recipe.seed + static_cast<std::uint64_t>(training->replica));
        results_->write_initial(training->network, training->replica, initial);
    }
    if (planned.recipe.epochs > 0)
        cost_done_ += training_cost(training->network) *
                      static_cast<double>(training->trainer->epoch() - before) /
                      static_cast<double>(planned.recipe.epochs);
    if (diverged >= 0) {
        failures_.push_back({planned.name, training->replica,
                             fmt::format("diverged: the cost is not finite at epoch {}", diverged)});
        return;
    }
    waiting_.push_back(
        {training->network, training->replica, training->next_snapshot, training->context, std::move(state)});
    ++training->next_snapshot;
    while (training->next_snapshot < last &&
           results_->complete(training->network, training->replica, training->next_snapshot))
        ++training->next_snapshot;
    if (training->next_snapshot < last)
        trainings_.push_front(std::move(training));
    else
        results_->write_training_seconds(training->network, training->replica, training->seconds);
}

template <Backend B>
void Pipeline<B>::analyze(Waiting waiting, Analysis& analysis, std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    const PlannedNetwork& planned = networks_[waiting.network];
    if (analysis.network != waiting.network) {
        analysis.analyzer.reset();  // its memory goes before the next one's comes
        analysis.context = std::make_unique<B>(make_context_());
        analysis.analyzer = std::make_unique<SpectrumAnalyzer<B>>(*analysis.context, planned.network,
                                                                  data_.at(planned.data.get()).train(), 1,
                                                                  planned.recipe.spectrum);
        analysis.network = waiting.network;
    }
    const Index p = planned.network.parameters();
    SnapshotRecord record;
    std::string reason;
    try {
        auto spectra =
            analysis.analyzer->analyze(waiting.state.theta.view(1, p), waiting.state.gradient.view(1, p));
        record = make_record(waiting, std::move(spectra.front()), *analysis.context);
    } catch (const NumericalError& error) {
        reason = fmt::format("epoch {}: {}", waiting.state.epoch, error.what());
    }
    lock.lock();
    if (!results_) return;
    cost_done_ += analysis_cost(waiting.network);
    if (!reason.empty()) {
        failures_.push_back({planned.name, waiting.replica, reason});
        return;
    }
    results_->write(waiting.network, waiting.replica, waiting.snapshot, record);
    ++outcome_.spectra;
    outcome_.hessian_seconds += record.spectrum.seconds_hessian;
    outcome_.eigen_seconds += record.spectrum.seconds_eigen;
}

/// Everything about the snapshot, fetched from the device.
template <Backend B>
SnapshotRecord Pipeline<B>::make_record(const Waiting& waiting, Spectrum spectrum, B& context) const {
    const PlannedNetwork& planned = networks_[waiting.network];
    const auto fetch = [&](const Buffer<double, B::space>& buffer) {
        std::vector<double> values(static_cast<std::size_t>(buffer.size()));
        copy(context, buffer.data(), values.data(), buffer.size());
        context.synchronize();
        return values;
    };
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    const bool classes = planned.data->classes > 0;
    const Snapshot<B>& state = waiting.state;
    SnapshotRecord record;
    record.theta = fetch(state.theta);
    record.cost = fetch(state.cost).front();
    double squares = 0;
    for (const double g : fetch(state.gradient)) squares += g * g;
    record.gradient_norm = std::sqrt(squares);
    record.accuracy_train = classes ? fetch(state.accuracy).front() : none;
    record.accuracy_test =
        classes && state.accuracy_test.size() > 0 ? fetch(state.accuracy_test).front() : none;
    record.zero_residuals = fetch(state.zero_residuals).front();
    record.spectrum = std::move(spectrum);
    return record;
}

}  // namespace espectra
