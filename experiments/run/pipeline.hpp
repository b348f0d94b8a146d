#pragma once

#include "espectra/experiments/run/worker.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <functional>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace espectra {

/// Trains the networks of a run and analyses their snapshots behind it, in bounded memory. Each worker takes
/// the piece of work that the Scheduler gives it; each record is written to the file at once. Results do not
/// depend on the number of workers nor on the size of the batches, up to rounding of the eigenvalues of
/// networks with more than 200 parameters where a single worker solves with all threads or a padded batch is
/// solved together.
template <Backend B>
class Pipeline {
  public:
    using Report = std::function<void(const RunProgress&)>;

    /// `missing`: the records that `results` lacks, which is the work of this run. `make_context` makes the
    /// context of one batch under training, of an analysis or of a search. The plan has to outlive the
    /// pipeline.
    Pipeline(const RunPlan& plan, const MissingWork& missing, ResultsFile results,
             std::function<B()> make_context)
        : shared_(plan, missing, std::move(results), std::move(make_context)) {}
    ~Pipeline() {
        {
            const std::lock_guard lock(shared_.mutex);
            shared_.scheduler.stop();
        }
        shared_.changed.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    /// Works until all is done, a worker fails or `stop` is requested; the file is closed under its final
    /// name in every case. Rethrows the first failure of a worker; throws ResourceError where a worker cannot
    /// be started. After a stop, analyses still under way are given up: workers may still be running, and the
    /// destructor waits for them.
    RunOutcome run(std::stop_token stop, const Report& report) {
        std::unique_lock lock(shared_.mutex);
        shared_.recorder.start();
        start_workers();
        const std::stop_callback wake(stop, [this] { shared_.changed.notify_all(); });
        while (shared_.running > 0 && !stop.stop_requested()) {
            shared_.changed.wait_for(lock, std::chrono::milliseconds(200));
            const RunProgress progress = shared_.recorder.progress();
            lock.unlock();
            if (report) report(progress);
            lock.lock();
        }
        const bool interrupted = stop.stop_requested() && shared_.running > 0;
        if (interrupted) {
            shared_.scheduler.stop();
            shared_.changed.notify_all();
            // Analyses under way may end within this time; those that take longer are given up.
            shared_.changed.wait_for(lock, std::chrono::seconds(1), [&] { return shared_.running == 0; });
        }
        return shared_.recorder.close(interrupted, shared_.failure);
    }

  private:
    void start_workers() {
        try {
            const WorkPlan& work = shared_.plan.work;
            for (int worker = 0; worker < work.workers + work.searchers; ++worker) {
                threads_.emplace_back([this] { Worker<B>(shared_).run(); });
                ++shared_.running;
            }
        } catch (const std::system_error& error) {
            shared_.failure = std::make_exception_ptr(ResourceError(
                fmt::format("cannot start worker {}: {}", shared_.running + 1, error.code().message())));
            shared_.scheduler.stop();
            shared_.changed.notify_all();
        }
    }

    SharedWork<B> shared_;
    std::vector<std::thread> threads_;
};

}  // namespace espectra
