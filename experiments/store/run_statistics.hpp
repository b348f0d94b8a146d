#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/experiments/statistics/statistics.hpp"
#include "espectra/experiments/store/schema.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace espectra {

/// Statistics of one combination over its replicas, at the last epoch.
struct CombinationStatistics {
    std::size_t network = 0;
    Estimate failed = {};  ///< fraction without a last record: diverged, or no spectrum
    /// Fraction of the others whose cost is at least 99 % of constant_cost; dead networks are among them.
    Estimate untrained = {};
    double constant_cost = 0;
    PerStatistic<Quartiles> columns;
};

/// Comparison of two combinations that differ in their activation alone (in β as well where only one has an
/// esp layer), over the same seeds.
struct ActivationComparison {
    std::size_t network = 0, other = 0;
    PerStatistic<PairedComparison> columns;
};

/// Statistics over combinations that differ in their hidden layers alone.
struct Consistency {
    std::string activation;
    std::vector<std::size_t> networks;
    Quartiles cost = {};              ///< of all replicas of all architectures
    Estimate spread_of_medians = {};  ///< of the cost: worst architecture's median minus the best one's
    double worst_median = 0;          ///< of the cost
    Estimate untrained = {};          ///< as above, over all; failed ones count
};

/// Statistics of the combinations with several replicas.
struct RunStatistics {
    std::vector<CombinationStatistics> combinations;
    std::vector<ActivationComparison> comparisons;
    std::vector<Consistency> consistency;
};

/// Returns the cost of the best prediction that does not depend on the features, for targets [C, m].
double constant_cost(const PlannedNetwork& network);

/// Lays out the datasets of a group's `statistics` (docs/file-formats.md), so that writing them later changes
/// neither the size nor the structure of the file.
void lay_out_statistics(Hdf5File& file, const std::vector<PlannedNetwork>& networks);

/// Computes the statistics of all combinations from their records, and writes them.
RunStatistics write_statistics(Hdf5File& file, const std::vector<PlannedNetwork>& networks);

/// Returns how many numbers the groups hold.
double statistics_size(const std::vector<PlannedNetwork>& networks);

/// Returns tables for people; empty where there are no statistics. Tables longer than `most_rows` end with
/// "…".
std::string statistics_text(const RunStatistics& statistics, const std::vector<PlannedNetwork>& networks,
                            std::size_t most_rows);

}  // namespace espectra
