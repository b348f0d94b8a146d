#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/experiments/statistics/critical_point_fit.hpp"
#include "espectra/models/critical_point.hpp"

#include <string>
#include <vector>

namespace espectra {

/// What is recorded of one search.
struct CriticalPointRecord {
    CriticalPoint point;
    double seconds = 0;
};

/// The searches of one network, all replicas and epochs.
struct CriticalPointSummary {
    std::string network;
    Index wanted = 0, done = 0, converged = 0;
    IndexLaw three_halves, free;  ///< α against cost at the converged ones
};

/// Group critical_points/ of a network in results.h5 (docs/file-formats.md): laid out with everything that it
/// will hold; records and attributes are then written in place. `converged` is written last: a record that
/// has it is complete.
void create_critical_points(Hdf5File& file, const PlannedNetwork& planned);
/// Numbers that the group holds.
double critical_points_size(const PlannedNetwork& planned);
/// Of each replica and epoch (R · K), whether the file has its record.
std::vector<bool> complete_critical_points(const Hdf5File& file, const PlannedNetwork& planned);
void write_critical_point(Hdf5File& file, const PlannedNetwork& planned, Index replica, Index index,
                          const CriticalPointRecord& record);
/// Fits α against cost and writes the laws as attributes of the group.
CriticalPointSummary summarize_critical_points(Hdf5File& file, const PlannedNetwork& planned);

/// For people; empty where no network was to be searched.
std::string critical_points_text(const std::vector<CriticalPointSummary>& summaries);

}  // namespace espectra
