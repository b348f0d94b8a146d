#pragma once

#include "espectra/experiments/store/recorded_run.hpp"

#include <vector>

namespace espectra {

/// Differences between the numbers that two files hold of the same networks.
struct RunComparison {
    Index snapshots = 0;
    Index different_theta = 0, different_eigenvalues = 0;  ///< snapshots with any other bit in them
    double theta_error_max = 0;                            ///< ‖θ − θ_first‖ / ‖θ_first‖
    double eigenvalue_error_max = 0;                       ///< |λ − λ_first| / |λ_first|_max
    double cost_error_max = 0;  ///< |cost − first| / max(first, cost); NaN if one cost alone is NaN

    bool same_bits() const { return different_theta == 0 && different_eigenvalues == 0; }
};

/// Compares θ, eigenvalues and costs of all snapshots. Throws InputError where the runs are not of the same
/// networks and epochs.
RunComparison compare(const std::vector<RecordedRun>& first, const std::vector<RecordedRun>& second);

}  // namespace espectra
