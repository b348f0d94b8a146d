#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/recipe/experiment.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace espectra {

/// One combination of a sweep with everything that is needed to run it.
struct PlannedNetwork {
    std::string name;  ///< its group in results.h5: <source>_<widths>_<activation>[_<key>=<value>…]
    Recipe recipe;
    Network network;
    std::shared_ptr<const DataSet> data;  ///< shared by combinations with the same data
    std::vector<std::int64_t> epochs;     ///< of the snapshots
    std::vector<std::pair<std::string, std::string>> swept = {};  ///< as in Combination
    /// The part of the name after the activation, for people: "seed=3, data_seed=1".
    std::string variant = {};
    /// The name of its group in files without the attribute format_revision (docs/file-formats.md).
    std::string older_name = {};

    /// Returns the initial θ of a replica, [P].
    std::vector<double> initial_theta(Index replica) const;
    Index snapshots() const { return static_cast<Index>(epochs.size()); }
};

/// Loads the data of every combination (each data set once) and determines the shapes of the networks. Throws
/// InputError where data and network do not fit.
std::vector<PlannedNetwork> plan_networks(const Experiment& experiment);

}  // namespace espectra
