#pragma once

#include "espectra/models/critical_point.hpp"
#include "espectra/models/spectrum/analyzer.hpp"

#include <limits>
#include <vector>

namespace espectra {

/// Everything recorded about one network at one epoch; all of it belongs to the same θ.
struct SnapshotRecord {
    std::vector<double> theta;  ///< [P]
    double cost = 0, gradient_norm = 0, accuracy_train = 0, accuracy_test = 0, zero_residuals = 0;
    Spectrum spectrum;
};

/// Everything recorded about one search for a critical point.
struct CriticalPointRecord {
    CriticalPoint point;
    double seconds = 0;

    /// The value, or NaN if the search ended where cost, gradient or Hessian are not finite.
    double if_finite(double value) const {
        return point.outcome == SearchOutcome::not_finite ? std::numeric_limits<double>::quiet_NaN() : value;
    }
};

}  // namespace espectra
