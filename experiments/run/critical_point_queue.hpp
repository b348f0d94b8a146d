#pragma once

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/store/results.hpp"
#include "espectra/models/critical_point.hpp"
#include "espectra/runtime/timer.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace espectra {

/// The searches for critical points of a run, one job for each replica and epoch. All calls are made under
/// the run's lock.
template <Backend B>
class CriticalPointQueue {
  public:
    /// Jobs of the snapshots that `results` has and whose search it lacks.
    CriticalPointQueue(const std::vector<PlannedNetwork>& networks, const ResultsFile& results)
        : networks_(&networks) {
        for (std::size_t n = 0; n < networks.size(); ++n)
            for (Index r = 0; r < networks[n].recipe.replicas; ++r)
                for (Index e = 0; e < networks[n].snapshots(); ++e)
                    if (results.complete(n, r, e)) add(n, r, e, results);
    }

    /// The search from a snapshot that is recorded now, if one is wanted and not there yet.
    void add(std::size_t network, Index replica, Index snapshot, const ResultsFile& results) {
        const PlannedNetwork& planned = (*networks_)[network];
        const std::vector<std::int64_t>& epochs = planned.recipe.critical_points.epochs;
        const std::int64_t epoch = planned.epochs[static_cast<std::size_t>(snapshot)];
        const auto found = std::ranges::lower_bound(epochs, epoch);
        if (found == epochs.end() || *found != epoch) return;
        const Index index = found - epochs.begin();
        if (!results.critical_point_complete(network, replica, index))
            jobs_.push_back({network, replica, snapshot, index});
    }

    bool empty() const { return jobs_.empty(); }
    Index done() const { return done_; }         ///< records written
    double seconds() const { return seconds_; }  ///< that their searches took, added over workers

    /// Searches of one replica that `results` lacks.
    Index missing(std::size_t network, Index replica, const ResultsFile& results) const {
        Index missing = 0;
        for (Index k = 0; k < (*networks_)[network].recipe.critical_points.count(); ++k)
            missing += results.critical_point_complete(network, replica, k) ? 0 : 1;
        return missing;
    }

    /// Does the next job, without the lock but for reading its θ and writing its record; a stop leaves it
    /// undone. `results` may be closed meanwhile. Returns the job's network.
    std::size_t work(std::unique_lock<std::mutex>& lock, std::optional<ResultsFile>& results,
                     const bool& stopping, const std::map<const DataSet*, ResidentData<B>>& data,
                     const std::function<B()>& make_context) {
        const Job job = jobs_.front();
        jobs_.pop_front();
        if (!results) return job.network;
        const std::vector<double> theta = results->theta(job.network, job.replica, job.snapshot);
        auto idle = std::ranges::find_if(idle_, [&](const auto& one) { return one->network == job.network; });
        if (idle == idle_.end()) idle = idle_.begin();
        auto search = std::make_unique<Search>();
        if (idle != idle_.end()) {
            search = std::move(*idle);
            idle_.erase(idle);
        }
        lock.unlock();

        const PlannedNetwork& planned = (*networks_)[job.network];
        const Timer timer;
        if (!search->context) search->context = std::make_unique<B>(make_context());
        if (search->network != job.network || !search->search) {
            search->search.reset();  // its memory goes before the next one's comes
            search->search = std::make_unique<CriticalPointSearch<B>>(*search->context, planned.network,
                                                                      data.at(planned.data.get()).train(),
                                                                      planned.recipe.critical_points.search);
            search->network = job.network;
        }
        CriticalPointRecord record;
        bool stopped = false;
        record.point = search->search->find(theta, [&] {
            const std::lock_guard guard(*lock.mutex());
            return stopped = stopping;
        });
        record.seconds = timer.seconds();

        lock.lock();
        idle_.push_back(std::move(search));
        if (results && !stopped) {
            results->write_critical_point(job.network, job.replica, job.index, record);
            ++done_;
            seconds_ += record.seconds;
        }
        return job.network;
    }

  private:
    struct Job {
        std::size_t network;
        Index replica, snapshot, index;  ///< of the epoch among all snapshots, and among those searched from
    };
    /// Kept while jobs of the same network come.
    struct Search {
        std::size_t network = 0;
        std::unique_ptr<B> context;
        std::unique_ptr<CriticalPointSearch<B>> search;
    };

    const std::vector<PlannedNetwork>* networks_;
    std::deque<Job> jobs_;
    Index done_ = 0;
    double seconds_ = 0;
    std::vector<std::unique_ptr<Search>> idle_;
};

}  // namespace espectra
