#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/experiments/statistics/critical_point_fit.hpp"
#include "espectra/experiments/store/records.hpp"

#include <string>
#include <vector>

namespace espectra {

/// Results of the searches of one network, all replicas and epochs.
struct CriticalPointSummary {
    std::string network;
    Index wanted = 0, done = 0, converged = 0;
    IndexLaw three_halves, free;  ///< α against cost at the converged ones
};

/// Lays out the group `critical_points` of a network in results.h5 (docs/file-formats.md) with everything
/// that it will hold; records and attributes are then written in place.
void lay_out_critical_points(Hdf5File& file, const PlannedNetwork& planned);
/// Returns how many numbers the group holds.
double critical_points_size(const PlannedNetwork& planned);
/// Returns, for each replica and epoch [R · K], true if the file has the record of its search.
std::vector<bool> complete_critical_points(const Hdf5File& file, const PlannedNetwork& planned);
void write_critical_point(Hdf5File& file, const PlannedNetwork& planned, Index replica, Index index,
                          const CriticalPointRecord& record);
/// Fits α against cost and writes the laws as attributes of the group.
CriticalPointSummary summarize_critical_points(Hdf5File& file, const PlannedNetwork& planned);

/// Returns lines for people; none where no network was to be searched.
std::string critical_points_text(const std::vector<CriticalPointSummary>& summaries);

}  // namespace espectra
