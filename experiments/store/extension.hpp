#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"

#include <vector>

namespace espectra {

/// Copies everything that a results file has of these networks' records into a new one, in which they are
/// laid out with the epochs of `earlier` and more: initial θ, complete records of snapshots, complete
/// searches for critical points. Throws InputError where the file has other networks.
void copy_records(const Hdf5File& earlier, Hdf5File& file, const std::vector<PlannedNetwork>& networks);

}  // namespace espectra
