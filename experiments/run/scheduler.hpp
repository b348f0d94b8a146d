#pragma once

#include "espectra/experiments/run/missing_work.hpp"
#include "espectra/experiments/run/run_plan.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <variant>
#include <vector>

namespace espectra {

/// One replica of one network.
struct BatchMember {
    std::size_t network = 0;
    Index replica = 0;
};

/// Replicas of networks of one kind that are trained together.
struct TrainingBatch {
    std::size_t kind = 0;              ///< see RunPlan::kinds
    std::vector<BatchMember> members;  ///< rows of the batch, those of one network next to each other
};

/// The work that is given to a worker at a time: a batch is trained up to a snapshot, ...
struct TrainingPiece {
    std::size_t batch = 0;
    Index snapshot = 0;
    bool first = false;  ///< the batch's training begins
};
/// ... rows of a batch at a snapshot are analysed, ...
struct AnalysisPiece {
    std::size_t batch = 0;
    Index snapshot = 0;
    std::vector<Index> rows;
};
/// ... or a critical point is searched for from a recorded snapshot.
struct SearchPiece {
    std::size_t network = 0;
    Index replica = 0, snapshot = 0;
    Index index = 0;  ///< of the epoch among those of the recipe's critical_points
};
using WorkPiece = std::variant<TrainingPiece, AnalysisPiece, SearchPiece>;

/// Decides which piece of work comes next, given what is done: training before analyses while few snapshots
/// wait, analyses before searches. Searches on the host are limited by their own number of threads only. Has
/// no threads, no clock and no files; not thread-safe.
///
/// Every piece that next() returns ends with finished(). Before that, a training that came to its snapshot is
/// reported with trained(), and a record that was written with recorded().
class Scheduler {
  public:
    /// The plan has to outlive it.
    Scheduler(const RunPlan& plan, MissingWork missing);

    /// Returns the next piece of work, or nothing while there is none that may be begun. Of the snapshots
    /// that wait, the oldest one whose kind is `prepared` comes first (an idle analyzer is made for it), else
    /// the oldest.
    std::optional<WorkPiece> next(const std::function<bool(std::size_t kind)>& prepared);

    /// Returns true when nothing is left to do, or after a stop.
    bool over() const;
    /// No further piece is begun.
    void stop() { stopping_ = true; }
    bool stopping() const { return stopping_; }

    struct Trained {
        std::vector<std::size_t> diverged;  ///< rows that have diverged since the last report
        bool analysed;                      ///< the snapshot waits for its analysis
        bool ended;                         ///< the batch is not trained any further
    };
    /// `diverged`: by row the first epoch whose cost was not finite, or −1; may be empty.
    Trained trained(const TrainingPiece& piece, const std::vector<std::int64_t>& diverged);
    void recorded(const BatchMember& member, Index snapshot);
    void finished(const WorkPiece& piece);

    const TrainingBatch& batch(std::size_t index) const { return batches_[index]; }
    /// Returns true if no more of this row of a batch is recorded.
    bool diverged(std::size_t batch, std::size_t row) const { return states_[batch].diverged[row]; }

  private:
    /// A batch between two snapshots.
    struct BatchState {
        std::vector<bool> diverged;  // by row
        Index next_snapshot = 0;
    };

    bool training_possible() const;
    bool analysis_possible() const;
    TrainingPiece next_training();
    AnalysisPiece next_analysis(const std::function<bool(std::size_t kind)>& prepared);
    std::vector<Index> missing_rows(std::size_t batch) const;
    bool pass_recorded_snapshots(std::size_t batch);
    void add_search(std::size_t network, Index replica, Index snapshot);

    const RunPlan* plan_;
    MissingWork missing_;  // when the run began
    std::vector<TrainingBatch> batches_;
    std::vector<BatchState> states_;
    std::size_t next_batch_ = 0;        // the first whose training has not begun
    std::vector<std::size_t> resting_;  // batches between two snapshots; the last one is continued first
    std::deque<AnalysisPiece> waiting_;
    std::deque<SearchPiece> searches_, host_searches_;
    int training_ = 0;   // batches begun and not ended, resting or not
    int analysing_ = 0;  // analyses, and searches on the backend, under way
    int searching_ = 0;  // searches on the host under way
    int busy_ = 0;       // pieces under way
    bool stopping_ = false;
};

}  // namespace espectra
