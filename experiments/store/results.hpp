#pragma once

#include "espectra/experiments/files/folder_lock.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/experiments/store/critical_points.hpp"
#include "espectra/experiments/store/run_statistics.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace espectra {

/// Everything recorded about one network at one epoch; all of it belongs to the same θ.
struct SnapshotRecord {
    std::vector<double> theta;  ///< [P]
    double cost = 0, gradient_norm = 0, accuracy_train = 0, accuracy_test = 0, zero_residuals = 0;
    Spectrum spectrum;
};

/// One line of the summary: medians over the replicas of the last epoch that has a spectrum.
struct SummaryRow {
    std::string name, activation;
    std::int64_t epoch = -1;  ///< −1: no spectrum yet
    Index replicas = 0;       ///< that have one
    double cost = 0, accuracy_train = 0, accuracy_test = 0, alpha = 0, gamma = 0, gamma_dead = 0,
           lambda_min = 0, lambda_max = 0;
    double seconds_training = 0, seconds_hessian = 0, seconds_eigen = 0;  ///< of all replicas and epochs
    double trace_error = 0, symmetry_residual = 0;                        ///< largest; NaN: does not apply
};

enum class RunState { running, interrupted, diverged, complete };
const char* run_state_name(RunState state);

/// The file results.h5 of a run (format: docs/file-formats.md). While the run lasts it is called
/// results.h5.partial: its groups, data sets and attributes are all laid out and allocated at the beginning,
/// records are then written in place, so that it can be read (and resumed) whenever the process ends. Until
/// it is laid out its name is results.h5.new, which a later run replaces. Not thread-safe.
class ResultsFile {
  public:
    static std::filesystem::path final_path(const std::filesystem::path& folder) {
        return folder / "results.h5";
    }
    static std::filesystem::path partial_path(const std::filesystem::path& folder) {
        return folder / "results.h5.partial";
    }

    /// Lays out a new file in `folder`. Throws ResourceError before anything is computed if the disk is too
    /// small.
    static ResultsFile create(const std::filesystem::path& folder, const Experiment& experiment,
                              const std::vector<PlannedNetwork>& networks, const std::string& device,
                              const std::string& versions);

    /// Opens what an earlier run left in `folder` (final or partial) to go on. Throws InputError if it was
    /// made from another recipe.
    static ResultsFile resume(const std::filesystem::path& folder, const Experiment& experiment,
                              const std::vector<PlannedNetwork>& networks);

    ResultsFile(ResultsFile&&) noexcept = default;

    static std::size_t bytes(const std::vector<PlannedNetwork>& networks);

    bool complete(std::size_t network, Index replica, Index snapshot) const;
    void write(std::size_t network, Index replica, Index snapshot, const SnapshotRecord& record);
    /// The records of some replicas, ascending, at once: those of neighbouring replicas take one write for
    /// each dataset.
    void write(std::size_t network, std::span<const Index> replicas, Index snapshot,
               std::span<const SnapshotRecord> records);
    /// θ of a record that is there.
    std::vector<double> theta(std::size_t network, Index replica, Index snapshot) const;
    /// `index` is that of the epoch in the recipe's critical_points.
    bool critical_point_complete(std::size_t network, Index replica, Index index) const;
    void write_critical_point(std::size_t network, Index replica, Index index,
                              const CriticalPointRecord& record);
    void write_initial(std::size_t network, Index replica, const std::vector<double>& theta);
    void write_training_seconds(std::size_t network, Index replica, double seconds);

    std::vector<SummaryRow> summary() const;
    /// Computes the statistics over replicas from the records and writes them.
    RunStatistics write_statistics();
    /// One of each network; also written to the file.
    std::vector<CriticalPointSummary> summarize_critical_points();

    /// Notes state and wall time (that of earlier sessions included), closes, and gives the file its final
    /// name.
    std::filesystem::path finish(RunState state, double wall_seconds);

  private:
    void write_neighbours(std::size_t network, Index first, Index snapshot,
                          std::span<const SnapshotRecord> records);
    ResultsFile(FolderLock lock, std::filesystem::path folder, std::vector<PlannedNetwork> networks,
                Hdf5File file);

    FolderLock lock_;
    std::filesystem::path folder_;
    std::vector<PlannedNetwork> networks_;
    Hdf5File file_;
    std::vector<std::vector<bool>> complete_;  // per network: replica · snapshots + snapshot
    std::vector<std::vector<bool>> searched_;  // per network: replica · epochs + index, of critical points
    double earlier_seconds_ = 0;               // wall time of earlier sessions
};

}  // namespace espectra
