#pragma once

#include "espectra/experiments/recipe/planned_network.hpp"

#include <cstddef>
#include <limits>
#include <vector>

namespace espectra {

/// Seconds that one replica's whole training, one of its spectra and one search for a critical point take on
/// a worker, as the replica's share of a batch.
struct NetworkCost {
    double training = 0, spectrum = 0, search = 0;
};

/// Seconds that all replicas of one or several networks take on one worker.
struct WorkSeconds {
    double training = 0, spectra = 0, searches = 0;
    double total() const { return training + spectra + searches; }
};

/// The layout of a run's work on the machine. Replicas of networks of one kind are trained and analysed in
/// batches.
struct WorkPlan {
    int workers = 1;                                  ///< host threads that train or analyse
    int threads_per_worker = 1;                       ///< threads of each
    int trainings = std::numeric_limits<int>::max();  ///< limit of batches under training at a time
    int analyses = std::numeric_limits<int>::max();   ///< limit of batches analysed at a time
    std::vector<Index> replicas_per_batch = {};       ///< limit, by network; empty: one
    int searchers = 0;                                ///< additional threads, which search on the CPU
    std::vector<bool> searches_on_host = {};          ///< by network; empty: none
    std::size_t bytes_needed = 0, bytes_available = 0;

    Index batch(std::size_t network) const {
        return replicas_per_batch.empty() ? 1 : replicas_per_batch[network];
    }
    Index largest_batch() const;
    /// Returns true if searches of this network run on the host, whatever the backend of the run is.
    bool search_on_host(std::size_t network) const {
        return !searches_on_host.empty() && searches_on_host[network];
    }
    /// Returns true if one worker trains while another one analyses, as on a device.
    bool separate_analysis() const { return trainings == 1 && analyses == 1; }
};

/// A run: its networks, which of them share batches, the layout of the work and its estimated costs. Built
/// once; results file, workers and texts refer to it.
struct RunPlan {
    /// Finds the kinds and sets nominal costs; the layout is to follow (plan_work, plan_batches).
    explicit RunPlan(std::vector<PlannedNetwork> networks, WorkPlan work = {});

    std::vector<PlannedNetwork> networks;
    /// By network: the first network that it may share a batch with. They differ in nothing but the number of
    /// their replicas, how the initial θ of these is drawn, and their learning rates.
    std::vector<std::size_t> kinds;
    /// By network: true if critical points are searched for from any network of its kind.
    std::vector<bool> searched;
    WorkPlan work;
    std::vector<NetworkCost> costs;  ///< estimates, by network

    WorkSeconds seconds(std::size_t network) const;
};

/// Totals of a run from its beginning.
struct RunTotals {
    Index replicas = 0, spectra = 0, searches = 0;
    Index largest = 0;      ///< number of parameters
    std::size_t kinds = 0;  ///< of networks that share batches
    WorkSeconds seconds;    ///< on one worker

    explicit RunTotals(const RunPlan& plan);
};

/// Returns the estimated wall time of the whole run in seconds. Workers share the work, unless one trains
/// while another one analyses; searchers share the searches on the host meanwhile.
double estimated_seconds(const RunPlan& plan);

}  // namespace espectra
