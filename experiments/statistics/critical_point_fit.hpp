#pragma once

#include "espectra/experiments/statistics/statistics.hpp"

#include <limits>
#include <optional>
#include <vector>

namespace espectra {

/// Cost and index α of one critical point.
struct IndexAtCost {
    double cost = 0, alpha = 0;
    Index replica = 0;  ///< points of one replica depend on each other
};

/// α = coefficient · (ε − critical_cost)^exponent where ε > critical_cost, else 0.
struct IndexLaw {
    Estimate exponent, coefficient, critical_cost;
    double residual = std::numeric_limits<double>::quiet_NaN();  ///< root mean square of α less the law
    /// True if the law does not describe α: the best numbers are at an end of their range, or fewer distinct
    /// costs lie above critical_cost than the law has free numbers, so that α does not determine these.
    bool at_limit = false;

    bool found() const { return residual == residual; }
};

/// The exponent of Pennington and Bahri (2017).
inline constexpr double theoretical_exponent = 1.5;

/// Fits the law to all points by least squares, with a given exponent or, if none is given, with the best one
/// from 0.1 to 10. critical_cost is below the largest cost, and below the smallest by up to the spread of all
/// costs. Costs that differ by less than 1e-6 of the largest belong to one critical point. No law is found
/// (NaN) if fewer than three points have α > 0, all have the same α, or there are not more distinct costs
/// than the law has free numbers (coefficient, critical cost, exponent). Intervals are percentiles of a
/// bootstrap over replicas, always with the same resamples; resamples without a law do not count, and if
/// these are more than 5 %, or there are fewer than two replicas, the intervals are NaN.
IndexLaw fit_index_law(const std::vector<IndexAtCost>& points, std::optional<double> exponent);

}  // namespace espectra
