#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/experiments/store/dataset.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace espectra {

/// Lays out the groups of all networks in a new results.h5 (docs/file-formats.md): attributes, data, and all
/// datasets, allocated and filled with NaN.
void lay_out_networks(Hdf5File& file, const std::vector<PlannedNetwork>& networks);

/// Returns the bytes of all datasets, data sets that several networks share counted once.
std::size_t bytes_of_networks(const std::vector<PlannedNetwork>& networks);

/// Throws InputError unless the file has the group of this network with all datasets that its records need,
/// except those of later versions.
/// `recipe` is the recipe's path, for the message.
void require_network(const Hdf5File& file, const PlannedNetwork& planned, const std::string& recipe);

/// Lays out the datasets that this version has and the version that made the file did not have, filled with
/// NaN; returns true if there are any.
bool add_later_datasets(Hdf5File& file, const PlannedNetwork& planned);

/// Returns, for each entry of a marker's leading axes, true if the file has its record.
std::vector<bool> complete_records(const Hdf5File& file, const std::string& group, const Dataset& marker,
                                   const PlannedNetwork& planned);

}  // namespace espectra
