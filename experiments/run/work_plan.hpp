#pragma once

#include "espectra/experiments/run/run_plan.hpp"
#include "espectra/models/critical_point.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace espectra {

/// Lays out the work for the CPU: small networks in batches, as many of them as keep all workers busy, others
/// alone; one worker per core while their Hessians fit into memory, else as many as fit; a single one takes
/// all threads. Throws ResourceError "needs … GB, … GB available" if not even one fits.
WorkPlan plan_work(const RunPlan& run, int cores, std::size_t available);

/// Memory that batches of one network take, in bytes, by their number of replicas.
struct BatchMemory {
    Index parameters = 0;
    Index replicas = 1;  ///< of all networks of the kind
    bool eigenvectors = false;
    std::function<std::size_t(Index replicas)> training, analysis;  ///< on the device
};

/// Lays out the work for a device with memory of its own: one batch is trained while another one is analysed,
/// each as large as fits next to the other and as its work stays a matter of seconds. `shared_bytes`: memory
/// of the data. Throws ResourceError "needs … GB, … GB free" if single networks do not fit.
WorkPlan plan_batches(const std::vector<BatchMemory>& networks, std::size_t shared_bytes,
                      std::size_t device_available, std::size_t host_available);

/// Chooses the networks that are searched on the host, and the number of its threads that search: the `cores`
/// that the workers of the plan leave, as far as their searches fit into half of `host_available`.
void place_searches(const RunPlan& run, int cores, std::size_t host_available, WorkPlan& plan);

/// Lays out the work of a run on the backend of `context`, with the host's `cores` for small searches.
template <Backend B>
WorkPlan plan_batches(B& context, const RunPlan& run, std::size_t device_available,
                      std::size_t host_available, int cores) {
    WorkPlan places;
    place_searches(run, cores, host_available, places);
    std::vector<BatchMemory> memory;
    std::map<const DataSet*, std::size_t> data;
    for (std::size_t n = 0; n < run.networks.size(); ++n) {
        const PlannedNetwork& planned = run.networks[n];
        const DataSet& set = *planned.data;
        data[&set] = (set.x_train.size() + set.y_train.size() + set.x_test.size() + set.y_test.size()) *
                     sizeof(double);
        BatchMemory one;
        one.parameters = planned.network.parameters();
        one.replicas = 0;
        for (std::size_t other = 0; other < run.networks.size(); ++other)
            if (run.kinds[other] == run.kinds[n]) one.replicas += run.networks[other].recipe.replicas;
        one.eigenvectors = planned.recipe.spectrum.eigenvectors;
        one.training = [&planned, &set](Index replicas) {
            return Trainer<B>::bytes(planned.network, set.train_examples, set.test_examples, replicas);
        };
        const bool search = run.searched[n] && !places.search_on_host(n);
        one.analysis = [&planned, &set, &context, search](Index replicas) {
            return SpectrumAnalyzer<B>::bytes(context, planned.network, set.train_examples, replicas,
                                              planned.recipe.spectrum) +
                   (search ? CriticalPointSearch<B>::bytes(context, planned.network, set.train_examples) : 0);
        };
        memory.push_back(std::move(one));
    }
    std::size_t shared = 0;
    for (const auto& [set, bytes] : data) shared += bytes;
    WorkPlan plan = plan_batches(memory, shared, device_available, host_available);
    plan.searchers = places.searchers;
    plan.searches_on_host = places.searches_on_host;
    return plan;
}

}  // namespace espectra
