#pragma once

#include "espectra/experiments/statistics/statistics.hpp"

#include <limits>
#include <optional>
#include <vector>

namespace espectra {

/// Index of one critical point against its cost.
struct IndexAtCost {
    double cost = 0, alpha = 0;
    Index replica = 0;  ///< points of one replica are not independent of each other
};

/// α = coefficient · (ε − critical_cost)^exponent where ε > critical_cost, else 0.
struct IndexLaw {
    Estimate exponent, coefficient, critical_cost;
    double residual = std::numeric_limits<double>::quiet_NaN();  ///< root mean square of α less the law
    /// The best numbers are at an end of their range, or fewer distinct costs lie above critical_cost than
    /// the law has free numbers, so that α does not determine these: the law does not describe α.
    bool at_limit = false;

    bool found() const { return residual == residual; }
};

/// The exponent of Pennington and Bahri (2017).
inline constexpr double theoretical_exponent = 1.5;

/// Least squares over all points, with a given exponent or, where none is given, with the best one from 0.1
/// to 10. critical_cost lies at most the spread of all costs below the smallest, and below the largest. Costs
/// that differ by less than 1e-6 of the largest are those of one critical point. No law is found (NaN) where
/// fewer than three points have α > 0, all have the same α, or there are not more distinct costs than the law
/// has free numbers (coefficient, critical cost, exponent). Intervals are those of a bootstrap over replicas
/// (percentiles, always the same resamples); resamples from which no law is found do not count, and where
/// these are more than 5 %, or there are fewer than two replicas, the intervals are NaN.
IndexLaw fit_index_law(const std::vector<IndexAtCost>& points, std::optional<double> exponent);

}  // namespace espectra
