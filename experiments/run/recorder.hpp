#pragma once

#include "espectra/experiments/run/outcome.hpp"
#include "espectra/experiments/run/scheduler.hpp"
#include "espectra/runtime/timer.hpp"

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace espectra {

/// The record of one replica's snapshot, or the reason why there is none.
struct Analyzed {
    SnapshotRecord record;
    std::string failure;  ///< or empty
};

/// Writes the results of a run to its file and counts what is done. All calls are made under the run's lock.
class Recorder {
  public:
    /// The plan has to outlive it. `missing`: what the run is to add to `results`.
    Recorder(const RunPlan& plan, ResultsFile results, const MissingWork& missing);

    /// Starts the clock of the session.
    void start() { timer_.restart(); }
    /// Returns true once the file is closed; after a stop, workers may still be at work then. Nothing may be
    /// recorded any more.
    bool closed() const { return !results_; }

    /// `thetas` [members, P]: initial θ of a batch; `method`: that of its trainer.
    void training_began(const TrainingBatch& batch, const std::vector<double>& thetas,
                        const std::string& method);
    /// `epochs` of each member were done in `seconds`.
    void trained(const TrainingBatch& batch, std::int64_t epochs, double seconds);
    void diverged(const BatchMember& member, std::int64_t epoch);
    /// `seconds`: the time of one member's whole training.
    void training_ended(const BatchMember& member, double seconds);

    /// Writes the records of these members at a snapshot, those of one network at once, and notes failures.
    /// Returns the members that have a record now.
    std::vector<BatchMember> analyzed(std::size_t kind, const std::vector<BatchMember>& members,
                                      Index snapshot, std::vector<Analyzed>& analyzed);

    /// θ of a recorded snapshot.
    std::vector<double> theta(const SearchPiece& search) const;
    void searched(const SearchPiece& search, const CriticalPointRecord& record);
    /// Counts a search as done for the progress; `network`: that of the search.
    void search_ended(std::size_t network) { cost_done_ += plan_->costs[network].search; }

    RunProgress progress() const;

    /// Closes the file under its final name in every case, with statistics unless the run was interrupted.
    /// Rethrows `failure`, which also counts as an interruption, or else the first failure here.
    RunOutcome close(bool interrupted, std::exception_ptr failure);

  private:
    const RunPlan* plan_;
    std::optional<ResultsFile> results_;  // empty once closed
    RunOutcome outcome_;
    Index spectra_total_, searches_total_;
    double cost_total_ = 0, cost_done_ = 0;
    Timer timer_;
};

}  // namespace espectra
