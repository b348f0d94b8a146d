#include "espectra/experiments/run/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace espectra {

Recorder::Recorder(const RunPlan& plan, ResultsFile results, const MissingWork& missing)
    : plan_(&plan),
      results_(std::move(results)),
      spectra_total_(missing.spectra()),
      searches_total_(missing.searches()) {
    outcome_.workers = plan.work.workers + plan.work.searchers;
    outcome_.replicas_per_batch = plan.work.largest_batch();
    for (std::size_t n = 0; n < plan.networks.size(); ++n)
        for (Index r = 0; r < plan.networks[n].recipe.replicas; ++r) {
            const Index spectra = missing.spectra(n, r);
            cost_total_ += plan.costs[n].spectrum * static_cast<double>(spectra) +
                           plan.costs[n].search * static_cast<double>(missing.searches(n, r)) +
                           (spectra > 0 ? plan.costs[n].training : 0);
        }
}

void Recorder::training_began(const TrainingBatch& batch, const std::vector<double>& thetas,
                              const std::string& method) {
    const Index p = plan_->networks[batch.kind].network.parameters();
    auto begin = thetas.begin();
    for (const BatchMember& member : batch.members) {
        results_->write_initial(member.network, member.replica, {begin, begin + p});
        begin += p;
    }
    outcome_.training_methods.insert(method);
}

void Recorder::trained(const TrainingBatch& batch, std::int64_t epochs, double seconds) {
    outcome_.training_seconds += seconds;
    if (const std::int64_t all = plan_->networks[batch.kind].recipe.epochs; all > 0)
        cost_done_ += plan_->costs[batch.kind].training * static_cast<double>(batch.members.size()) *
                      static_cast<double>(epochs) / static_cast<double>(all);
}

void Recorder::diverged(const BatchMember& member, std::int64_t epoch) {
    outcome_.failures.push_back({plan_->networks[member.network].name, member.replica,
                                 fmt::format("diverged: the cost is not finite at epoch {}", epoch)});
}

void Recorder::training_ended(const BatchMember& member, double seconds) {
    results_->write_training_seconds(member.network, member.replica, seconds);
}

std::vector<BatchMember> Recorder::analyzed(std::size_t kind, const std::vector<BatchMember>& members,
                                            Index snapshot, std::vector<Analyzed>& analyzed) {
    cost_done_ += plan_->costs[kind].spectrum * static_cast<double>(analyzed.size());
    std::vector<BatchMember> recorded;
    std::vector<Index> replicas;  // of one network
    std::vector<SnapshotRecord> records;
    for (std::size_t i = 0; i < analyzed.size(); ++i) {
        const auto [network, replica] = members[i];
        auto& [record, failure] = analyzed[i];
        if (!failure.empty()) {
            const PlannedNetwork& planned = plan_->networks[network];
            outcome_.failures.push_back(
                {planned.name, replica,
                 fmt::format("epoch {}: {}", planned.epochs[static_cast<std::size_t>(snapshot)], failure)});
        } else {
            outcome_.hessian_seconds += record.spectrum.seconds_hessian;
            outcome_.eigen_seconds += record.spectrum.seconds_eigen;
            replicas.push_back(replica);
            records.push_back(std::move(record));
            recorded.push_back(members[i]);
        }
        if (i + 1 < analyzed.size() && members[i + 1].network == network) continue;
        results_->write(network, replicas, snapshot, records);
        outcome_.spectra += std::ssize(records);
        replicas.clear();
        records.clear();
    }
    return recorded;
}

std::vector<double> Recorder::theta(const SearchPiece& search) const {
    return results_->theta(search.network, search.replica, search.snapshot);
}

void Recorder::searched(const SearchPiece& search, const CriticalPointRecord& record) {
    results_->write_critical_point(search.network, search.replica, search.index, record);
    ++outcome_.searches;
    outcome_.search_seconds += record.seconds;
}

RunProgress Recorder::progress() const {
    RunProgress state;
    state.seconds = timer_.seconds();
    state.fraction = cost_total_ > 0 ? std::min(1.0, cost_done_ / cost_total_) : 1.0;
    state.seconds_left = state.fraction > 0.005 ? state.seconds * (1.0 - state.fraction) / state.fraction
                                                : std::numeric_limits<double>::quiet_NaN();
    state.spectra_done = outcome_.spectra;
    state.spectra_total = spectra_total_;
    state.searches_done = outcome_.searches;
    state.searches_total = searches_total_;
    return state;
}

RunOutcome Recorder::close(bool interrupted, std::exception_ptr failure) {
    outcome_.state = interrupted || failure      ? RunState::interrupted
                     : outcome_.failures.empty() ? RunState::complete
                                                 : RunState::diverged;
    outcome_.wall_seconds = timer_.seconds();
    ResultsFile results = std::move(*results_);
    results_.reset();
    try {
        outcome_.summary = results.summary();
        if (outcome_.state != RunState::interrupted) {
            outcome_.statistics = results.write_statistics();
            outcome_.critical_points = results.summarize_critical_points();
        }
    } catch (...) {
        if (!failure) failure = std::current_exception();
        outcome_.state = RunState::interrupted;
    }
    outcome_.file = results.finish(outcome_.state, outcome_.wall_seconds);
    if (failure) std::rethrow_exception(failure);
    return outcome_;
}

}  // namespace espectra
