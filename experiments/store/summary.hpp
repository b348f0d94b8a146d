#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/experiments/store/schema.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace espectra {

/// One line of the summary of a run.
struct SummaryRow {
    std::string name, activation;
    std::int64_t epoch = -1;  ///< the last epoch that has a record of any replica; −1: none has
    Index replicas = 0;       ///< that have a record at this epoch
    PerColumn<SummaryColumn, double> values;
    double lambda_min = 0, lambda_max = 0;  ///< medians over the replicas, at this epoch
    double seconds_training = 0;            ///< of all replicas
};

/// Reads one row for each network.
std::vector<SummaryRow> summarize(const Hdf5File& file, const std::vector<PlannedNetwork>& networks);

}  // namespace espectra
