#pragma once

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/recipe/experiment.hpp"

#include <cstdint>
#include <functional>
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
    std::size_t combination = 0;  ///< its place in Experiment::combinations
    bool stored_data = false;     ///< the data come from StoredData
    /// The recorded run that θ comes from; empty for a network that is trained.
    std::string recorded_from = {};

    /// The initial θ of a replica, [P].
    std::vector<double> initial_theta(Index replica) const;
    Index snapshots() const { return static_cast<Index>(epochs.size()); }
};

/// Returns the beginning of the name of a group, <source>_<widths>_<activation>.
std::string group_stem(const std::string& source, const Network& network);

/// The data of a combination from another place than its source; null where there are none.
using StoredData = std::function<std::shared_ptr<const DataSet>(std::size_t combination)>;

/// Loads the data of every combination (each data set once) and determines the shapes of the networks. Where
/// the file of the data does not exist, `stored` is asked. Throws InputError where data and network do not
/// fit.
std::vector<PlannedNetwork> plan_networks(const Experiment& experiment, const StoredData& stored = {});

}  // namespace espectra
