#pragma once

#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"

#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace espectra {

/// For each network the first one that it may share a batch with: they differ in nothing but how many
/// replicas they have, how the initial θ of these is drawn, and their learning rates.
std::vector<std::size_t> batch_kinds(const std::vector<PlannedNetwork>& networks);

/// Of each network, whether critical points are looked for from any network of its kind.
std::vector<bool> searched_kinds(const std::vector<PlannedNetwork>& networks);

/// Seconds that one replica's whole training, one of its spectra and one search for a critical point take on
/// a worker, as its share of a batch.
struct NetworkCost {
    double training = 0, spectrum = 0, search = 0;
};

/// How the work of a run is laid on the machine. Replicas of networks of one kind are trained and analysed in
/// batches.
struct WorkPlan {
    int workers = 1;                                  ///< host threads that train or analyse
    int threads_per_worker = 1;                       ///< threads of each
    int trainings = std::numeric_limits<int>::max();  ///< batches under training at a time
    int analyses = std::numeric_limits<int>::max();   ///< batches analysed at a time
    std::vector<Index> replicas_per_batch = {};       ///< at most, by network; empty: one
    std::vector<NetworkCost> costs = {};              ///< estimates, by network
    std::size_t bytes_needed = 0, bytes_available = 0;

    Index batch(std::size_t network) const {
        return replicas_per_batch.empty() ? 1 : replicas_per_batch[network];
    }
    Index largest_batch() const;
};

/// For the CPU: small networks in batches, as many of them as keep all workers busy, others alone; one worker
/// per core while their Hessians fit into memory, else as many as fit; a single one takes all threads. Throws
/// ResourceError "needs … GB, … GB available" if not even one fits.
WorkPlan plan_work(const std::vector<PlannedNetwork>& networks, int cores, std::size_t available);

/// What a batch of one network takes, in bytes, by its number of replicas.
struct BatchMemory {
    Index parameters = 0, replicas = 1;
    bool eigenvectors = false;
    std::function<std::size_t(Index replicas)> training, analysis;  ///< on the device
};

/// For a device with memory of its own: one batch is trained while another one is analysed, each as large as
/// fits beside the other and as its work stays a matter of seconds. `shared_bytes`: what the data take.
/// Throws ResourceError "needs … GB, … GB free" if single networks do not fit.
WorkPlan plan_batches(const std::vector<BatchMemory>& networks, std::size_t shared_bytes,
                      std::size_t device_available, std::size_t host_available);

/// As above for the networks of a run on the backend of `context`.
template <Backend B>
WorkPlan plan_batches(B& context, const std::vector<PlannedNetwork>& networks, std::size_t device_available,
                      std::size_t host_available) {
    const std::vector<std::size_t> kinds = batch_kinds(networks);
    const std::vector<bool> searched = searched_kinds(networks);
    std::vector<BatchMemory> memory;
    std::map<const DataSet*, std::size_t> data;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const PlannedNetwork& planned = networks[n];
        const DataSet& set = *planned.data;
        data[&set] = (set.x_train.size() + set.y_train.size() + set.x_test.size() + set.y_test.size()) *
                     sizeof(double);
        BatchMemory one;
        one.parameters = planned.network.parameters();
        one.replicas = 0;
        for (std::size_t other = 0; other < networks.size(); ++other)
            if (kinds[other] == kinds[n]) one.replicas += networks[other].recipe.replicas;
        one.eigenvectors = planned.recipe.spectrum.eigenvectors;
        one.training = [&planned, &set](Index replicas) {
            return Trainer<B>::bytes(planned.network, set.train_examples, set.test_examples, replicas);
        };
        one.analysis = [&planned, &set, &context, search = searched[n]](Index replicas) {
            return SpectrumAnalyzer<B>::bytes(context, planned.network, set.train_examples, replicas,
                                              planned.recipe.spectrum) +
                   (search ? CriticalPointSearch<B>::bytes(context, planned.network, set.train_examples) : 0);
        };
        memory.push_back(std::move(one));
    }
    std::size_t shared = 0;
    for (const auto& [set, bytes] : data) shared += bytes;
    return plan_batches(memory, shared, device_available, host_available);
}

}  // namespace espectra
