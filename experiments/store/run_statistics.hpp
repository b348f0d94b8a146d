#pragma once

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/experiments/statistics/statistics.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace espectra {

/// What is compared: columns of a record, at the last epoch.
inline constexpr std::array<const char*, 7> statistics_columns = {
    "cost", "accuracy_train", "accuracy_test", "zero_residuals", "alpha", "gamma", "gamma_dead"};

/// One combination over its replicas at the last epoch.
struct CombinationStatistics {
    std::size_t network = 0;
    Estimate failed = {};  ///< fraction without a last record: diverged, or no spectrum
    Estimate untrained =
        {};  ///< fraction whose cost is 99 % of constant_cost or more; dead ones are among them
    double constant_cost = 0;
    std::array<Quartiles, statistics_columns.size()> columns = {};
};

/// Two combinations that differ in their activation alone (in β as well where only one has an esp layer),
/// over the same seeds.
struct ActivationComparison {
    std::size_t network = 0, other = 0;
    std::array<PairedComparison, statistics_columns.size()> columns = {};
};

/// Combinations that differ in their hidden layers alone.
struct Consistency {
    std::string activation;
    std::vector<std::size_t> networks;
    Quartiles cost = {};              ///< of all replicas of all architectures
    Estimate spread_of_medians = {};  ///< of the cost: worst architecture's median minus the best one's
    double worst_median = 0;          ///< of the cost
    Estimate untrained = {};          ///< as above, over all; failed ones count
};

/// Of the combinations with several replicas.
struct RunStatistics {
    std::vector<CombinationStatistics> combinations;
    std::vector<ActivationComparison> comparisons;
    std::vector<Consistency> consistency;
};

/// Cost of the best prediction that does not depend on the features, for targets [C, m].
double constant_cost(const PlannedNetwork& network);

/// Makes the datasets of a group's `statistics` (docs/file-formats.md), so that writing them later changes
/// neither the size nor the structure of the file.
void lay_out_statistics(Hdf5File& file, const std::vector<PlannedNetwork>& networks);

/// Computes the statistics of all combinations from their records, and writes them.
RunStatistics write_statistics(Hdf5File& file, const std::vector<PlannedNetwork>& networks);

/// Numbers that the groups hold.
double statistics_size(const std::vector<PlannedNetwork>& networks);

/// For people; empty where there are none. Tables longer than `most_rows` end with "…".
std::string statistics_text(const RunStatistics& statistics, const std::vector<PlannedNetwork>& networks,
                            std::size_t most_rows);

}  // namespace espectra
