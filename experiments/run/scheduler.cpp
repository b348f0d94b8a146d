#include "espectra/experiments/run/scheduler.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace espectra {

Scheduler::Scheduler(const RunPlan& plan, MissingWork missing) : plan_(&plan), missing_(std::move(missing)) {
    constexpr auto none = static_cast<std::size_t>(-1);
    std::vector<std::size_t> unfilled(plan.networks.size(), none);  // batch, by kind
    for (std::size_t n = 0; n < plan.networks.size(); ++n) {
        const PlannedNetwork& planned = plan.networks[n];
        std::size_t& batch = unfilled[plan.kinds[n]];
        for (Index r = 0; r < planned.recipe.replicas; ++r) {
            for (Index e = 0; e < planned.snapshots(); ++e)
                if (!missing_.spectrum(n, r, e)) add_search(n, r, e);
            if (missing_.spectra(n, r) == 0) continue;
            if (batch == none || std::ssize(batches_[batch].members) == plan.work.batch(n)) {
                batch = batches_.size();
                batches_.push_back({.kind = plan.kinds[n], .members = {}});
                states_.emplace_back();
            }
            batches_[batch].members.push_back({n, r});
            states_[batch].diverged.push_back(false);
        }
    }
}

bool Scheduler::over() const {
    const bool idle = next_batch_ == batches_.size() && resting_.empty() && waiting_.empty() &&
                      searches_.empty() && host_searches_.empty() && busy_ == 0;
    return stopping_ || idle;
}

std::optional<WorkPiece> Scheduler::next(const std::function<bool(std::size_t kind)>& prepared) {
    if (over()) return {};
    // Keep one snapshot per worker waiting: enough that none idles, few enough to bound the memory.
    const bool enough = std::ssize(waiting_) >= plan_->work.workers;
    std::optional<WorkPiece> piece;
    if (!enough && training_possible()) {
        piece = next_training();
    } else if (analysis_possible() && !waiting_.empty()) {
        piece = next_analysis(prepared);
        ++analysing_;
    } else if (analysis_possible() && !searches_.empty()) {
        piece = searches_.front();
        searches_.pop_front();
        ++analysing_;
    } else if (searching_ < plan_->work.searchers && !host_searches_.empty()) {
        piece = host_searches_.front();
        host_searches_.pop_front();
        ++searching_;
    }
    if (piece) ++busy_;
    return piece;
}

bool Scheduler::training_possible() const {
    return !resting_.empty() || (next_batch_ < batches_.size() && training_ < plan_->work.trainings);
}

bool Scheduler::analysis_possible() const { return analysing_ < plan_->work.analyses; }

/// Continues a batch that has begun, so that few are in memory at a time; else begins the next one.
TrainingPiece Scheduler::next_training() {
    const bool first = resting_.empty();
    std::size_t batch = next_batch_;
    if (first) {
        ++next_batch_;
        ++training_;
        pass_recorded_snapshots(batch);
    } else {
        batch = resting_.back();
        resting_.pop_back();
    }
    return {.batch = batch, .snapshot = states_[batch].next_snapshot, .first = first};
}

AnalysisPiece Scheduler::next_analysis(const std::function<bool(std::size_t kind)>& prepared) {
    auto next = std::ranges::find_if(
        waiting_, [&](const AnalysisPiece& waiting) { return prepared(batches_[waiting.batch].kind); });
    if (next == waiting_.end()) next = waiting_.begin();
    AnalysisPiece piece = std::move(*next);
    waiting_.erase(next);
    return piece;
}

/// Returns the rows of the batch whose record of its next snapshot is wanted and not there.
std::vector<Index> Scheduler::missing_rows(std::size_t batch) const {
    const TrainingBatch& members = batches_[batch];
    const BatchState& state = states_[batch];
    std::vector<Index> rows;
    for (std::size_t row = 0; row < members.members.size(); ++row)
        if (const BatchMember& member = members.members[row];
            !state.diverged[row] && missing_.spectrum(member.network, member.replica, state.next_snapshot))
            rows.push_back(static_cast<Index>(row));
    return rows;
}

/// A resumed run passes over the snapshots that it has. Returns true if there is one that it lacks.
bool Scheduler::pass_recorded_snapshots(std::size_t batch) {
    const Index snapshots = plan_->networks[batches_[batch].kind].snapshots();
    Index& next = states_[batch].next_snapshot;
    while (next < snapshots && missing_rows(batch).empty()) ++next;
    return next < snapshots;
}

Scheduler::Trained Scheduler::trained(const TrainingPiece& piece, const std::vector<std::int64_t>& diverged) {
    BatchState& state = states_[piece.batch];
    Trained report{.diverged = {}, .analysed = false, .ended = false};
    for (std::size_t row = 0; row < diverged.size(); ++row) {
        if (diverged[row] < 0 || state.diverged[row]) continue;
        state.diverged[row] = true;
        report.diverged.push_back(row);
    }
    std::vector<Index> rows = missing_rows(piece.batch);
    report.analysed = !rows.empty();
    if (report.analysed) waiting_.push_back({piece.batch, piece.snapshot, std::move(rows)});
    ++state.next_snapshot;
    report.ended = !pass_recorded_snapshots(piece.batch);
    if (report.ended)
        --training_;
    else
        resting_.push_back(piece.batch);
    return report;
}

void Scheduler::recorded(const BatchMember& member, Index snapshot) {
    add_search(member.network, member.replica, snapshot);
}

/// Adds the search from a snapshot that is recorded, if one is wanted and not there yet.
void Scheduler::add_search(std::size_t network, Index replica, Index snapshot) {
    const PlannedNetwork& planned = plan_->networks[network];
    const std::vector<std::int64_t>& epochs = planned.recipe.critical_points.epochs;
    const std::int64_t epoch = planned.epochs[static_cast<std::size_t>(snapshot)];
    const auto found = std::ranges::lower_bound(epochs, epoch);
    if (found == epochs.end() || *found != epoch) return;
    const Index index = found - epochs.begin();
    if (missing_.search(network, replica, index))
        (plan_->work.search_on_host(network) ? host_searches_ : searches_)
            .push_back({network, replica, snapshot, index});
}

void Scheduler::finished(const WorkPiece& piece) {
    --busy_;
    if (std::holds_alternative<TrainingPiece>(piece)) return;
    const auto* search = std::get_if<SearchPiece>(&piece);
    --(search && plan_->work.search_on_host(search->network) ? searching_ : analysing_);
}

}  // namespace espectra
