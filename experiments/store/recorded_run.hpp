#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/models/network.hpp"
#include "espectra/models/trainer.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace espectra {

/// One network's training as a file holds it: a recorded run (attributes widths, hidden_activation, …; data/;
/// theta; …, docs/file-formats.md), or one replica of one combination of a results.h5. All shapes are checked
/// when it is opened.
class RecordedRun {
  public:
    std::string label;  ///< file, or file:combination[replica]
    Network network;
    TrainingSettings training;
    DataSet data;
    std::vector<std::int64_t> epoch;  ///< [E]
    /// Recorded runs hold θ after update `epoch` (counted from 0) and the cost before it; results.h5 holds
    /// all at the θ after `epoch` updates.
    bool cost_before_update = true;

    Index snapshots() const { return static_cast<Index>(epoch.size()); }
    /// Updates done when θ of snapshot k was recorded, and when its cost was.
    std::int64_t updates(Index k) const {
        return epoch[static_cast<std::size_t>(k)] + (cost_before_update ? 1 : 0);
    }
    std::int64_t cost_updates(Index k) const { return epoch[static_cast<std::size_t>(k)]; }

    bool has(const std::string& dataset) const;
    std::vector<double> theta_initial() const;       ///< [P]
    std::vector<double> theta(Index k) const;        ///< [P]
    std::vector<double> eigenvalues(Index k) const;  ///< [P]
    std::vector<double> hessian(Index k) const;      ///< [P, P]
    std::vector<double> residual(Index k) const;     ///< [m]
    std::vector<double> cost() const;                ///< [E]
    std::vector<double> dead_fraction() const;       ///< [E] fraction of exactly zero Hessian rows

  private:
    friend std::vector<RecordedRun> open_recorded_runs(const std::filesystem::path& path);
    RecordedRun(std::shared_ptr<Hdf5File> file, const std::string& group, Index replica, bool results);
    void check_shapes() const;
    std::vector<double> row(const std::string& dataset, Index k) const;
    std::string name(const std::string& dataset) const;

    std::shared_ptr<Hdf5File> file_;
    std::string group_;
    Index replica_ = 0;
    bool results_ = false;       // of a results.h5: data sets have a leading replica axis
    bool single_theta_ = false;  // theta is [P]
};

/// All runs in a file. Throws InputError that names file, object, what was expected and what is there.
std::vector<RecordedRun> open_recorded_runs(const std::filesystem::path& path);

}  // namespace espectra
