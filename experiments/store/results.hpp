#pragma once

#include "espectra/experiments/files/folder_lock.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/experiments/store/critical_points.hpp"
#include "espectra/experiments/store/records.hpp"
#include "espectra/experiments/store/run_statistics.hpp"
#include "espectra/experiments/store/summary.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace espectra {

enum class RunState { running, interrupted, diverged, complete };
const char* run_state_name(RunState state);

/// The file results.h5 of a run (format: docs/file-formats.md). While the run lasts it is called
/// results.h5.partial: its groups, datasets and attributes are all laid out and allocated at the beginning,
/// and records are then written in place, so that it can be read (and resumed) whenever the process ends.
/// Until it is laid out its name is results.h5.new, which a later run replaces. Not thread-safe.
class ResultsFile {
  public:
    static std::filesystem::path final_path(const std::filesystem::path& folder) {
        return folder / "results.h5";
    }
    static std::filesystem::path partial_path(const std::filesystem::path& folder) {
        return folder / "results.h5.partial";
    }

    /// Lays out a new file in `folder`. Throws ResourceError if the disk is too small, before anything is
    /// computed.
    static ResultsFile create(const std::filesystem::path& folder, const Experiment& experiment,
                              const std::vector<PlannedNetwork>& networks, const std::string& device,
                              const std::string& versions);

    /// Opens the file of an earlier run in `folder` (final or partial) to resume it. Throws InputError if it
    /// was made from another recipe or by a version that had fewer datasets.
    static ResultsFile resume(const std::filesystem::path& folder, const Experiment& experiment,
                              const std::vector<PlannedNetwork>& networks);

    ResultsFile(ResultsFile&&) noexcept = default;

    /// Returns the bytes of all datasets of a file for these networks.
    static std::size_t bytes(const std::vector<PlannedNetwork>& networks);

    bool complete(std::size_t network, Index replica, Index snapshot) const;
    void write(std::size_t network, Index replica, Index snapshot, const SnapshotRecord& record);
    /// Writes the records of some replicas, ascending; those of neighbouring replicas take one write for each
    /// dataset.
    void write(std::size_t network, std::span<const Index> replicas, Index snapshot,
               std::span<const SnapshotRecord> records);
    /// Returns θ of a complete record.
    std::vector<double> theta(std::size_t network, Index replica, Index snapshot) const;
    /// `index` is the position of the epoch in the recipe's critical_points.
    bool critical_point_complete(std::size_t network, Index replica, Index index) const;
    void write_critical_point(std::size_t network, Index replica, Index index,
                              const CriticalPointRecord& record);
    void write_initial(std::size_t network, Index replica, const std::vector<double>& theta);
    void write_training_seconds(std::size_t network, Index replica, double seconds);

    std::vector<SummaryRow> summary() const;
    /// Computes the statistics over replicas from the records and writes them.
    RunStatistics write_statistics();
    /// Fits the laws of each network's critical points and writes them.
    std::vector<CriticalPointSummary> summarize_critical_points();

    /// Writes state and wall time (earlier sessions included), closes the file, gives it its final name and
    /// returns this.
    std::filesystem::path finish(RunState state, double wall_seconds);

  private:
    void write_neighbours(std::size_t network, Index first, Index snapshot,
                          std::span<const SnapshotRecord> records);
    ResultsFile(FolderLock lock, std::filesystem::path folder, std::vector<PlannedNetwork> networks,
                Hdf5File file);

    FolderLock lock_;
    std::filesystem::path folder_;
    std::vector<PlannedNetwork> networks_;  // a copy: their names are those of the groups in this file
    Hdf5File file_;
    std::vector<std::vector<bool>> complete_;  // per network: replica · snapshots + snapshot
    std::vector<std::vector<bool>> searched_;  // per network: replica · epochs + index, of critical points
    double earlier_seconds_ = 0;               // wall time of earlier sessions
};

}  // namespace espectra
