#pragma once

#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace espectra {

// Statistics over replicas. NaN values do not count.

/// An estimate with a 95 % interval; NaN if there are no values.
struct Estimate {
    double value = std::numeric_limits<double>::quiet_NaN();
    double low = std::numeric_limits<double>::quiet_NaN(), high = std::numeric_limits<double>::quiet_NaN();
};

struct Quartiles {
    Estimate median;  ///< with a bootstrap interval
    double first, third;
    Index count = 0;  ///< values that are not NaN
};

/// Quantile q of ascending values by linear interpolation between neighbours (type 7 of Hyndman and Fan,
/// 1996).
double quantile(std::span<const double> ascending, double q);

/// Percentile bootstrap (Efron, 1979) of medians. The median of a resample depends only on the drawn ranks,
/// which therefore are drawn once for all samples of one size; they are a function of size and stream.
class MedianBootstrap {
  public:
    static constexpr int resamples = 2000;

    explicit MedianBootstrap(Index size, std::uint64_t stream = 0);

    Index size() const { return size_; }
    /// Median of resample b of `size` ascending values.
    double median(std::span<const double> ascending, int b) const {
        const auto [low, high] = ranks_[static_cast<std::size_t>(b)];
        return 0.5 * (ascending[static_cast<std::size_t>(low)] + ascending[static_cast<std::size_t>(high)]);
    }
    /// The median of `size` ascending values with its interval.
    Estimate estimate(std::span<const double> ascending) const;

  private:
    Index size_;
    std::vector<std::pair<std::int32_t, std::int32_t>> ranks_;  // of the two middle values
};

/// The quantiles 2.5 % and 97.5 % of the resampled values.
std::pair<double, double> percentile_interval(std::vector<double> resampled);

/// Statistics of samples; keeps the draws of every size that occurs.
class Statistics {
  public:
    /// Quartiles of values in any order.
    Quartiles quartiles(std::vector<double> values);

    /// Largest minus smallest median of several samples in any order, which are resampled independently.
    Estimate spread_of_medians(std::vector<std::vector<double>> samples);

    /// Quartiles of all values of several samples, which are resampled independently.
    Quartiles pooled_quartiles(std::vector<std::vector<double>> samples);

  private:
    const MedianBootstrap& bootstrap(Index size, std::uint64_t stream = 0);
    std::vector<std::pair<std::uint64_t, MedianBootstrap>> kept_;
};

/// Fraction `part` of `whole` with Wilson's score interval (1927).
Estimate fraction(Index part, Index whole);

/// Comparison of two samples over the same seeds, value by value; pairs with a NaN do not count.
struct PairedComparison {
    Estimate difference;  ///< median of a − b
    Estimate lower;       ///< fraction of pairs with a < b, a tie counts half
    Index count = 0;
};
PairedComparison compare_pairs(std::span<const double> a, std::span<const double> b, Statistics& statistics);

}  // namespace espectra
