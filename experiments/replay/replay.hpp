#pragma once

#include "espectra/experiments/device/device.hpp"
#include "espectra/experiments/store/recorded_run.hpp"

#include <functional>
#include <limits>
#include <vector>

namespace espectra {

/// Differences between recorded and computed numbers. NaN: not recorded, or not applicable.
struct ReplayReport {
    static constexpr double none = std::numeric_limits<double>::quiet_NaN();
    double hessian_relative_error_max = none;  ///< ‖H − H_recorded‖_F / ‖H_recorded‖_F
    double residual_error_max = none;          ///< |σ(z) − y − recorded|
    double eigenvalue_error_max = none;        ///< |λ − λ_recorded| / |λ|_max
    Index gamma_dead_mismatches = 0;           ///< records whose number of zero Hessian rows differs
    Index negative_count_mismatches = 0;       ///< records whose number of λ < −1e-6·|λ|_max differs
    double theta_error_median = none;  ///< ‖θ − θ_recorded‖ / ‖θ_recorded‖, retrained from theta_initial
    double theta_error_max = none;
    double cost_error_max = none;  ///< |cost − recorded| / max(recorded, cost), retrained
    double symmetry_residual_max = none;
    double trace_error_max = 0;
    Index snapshots = 0, parameters = 0;
    double seconds_training = 0, seconds_hessian = 0, seconds_eigen = 0;
};

/// Computes everything that the runs record again: on the CPU with one worker per core for the spectra, on a
/// device with as many snapshots at a time as fit. progress(done, total spectra) is called by one worker at a
/// time.
ReplayReport replay(const std::vector<RecordedRun>& runs, const Device& device,
                    const std::function<void(Index done, Index total)>& progress);

}  // namespace espectra
