#pragma once

#include "espectra/runtime/view.hpp"

#include <cstdint>

namespace espectra {

class CpuContext;
class CudaContext;

// What changes from one epoch to the next stands in memory, so that an epoch can be recorded once and
// repeated: a counter [1] of the epochs done, t, and the learning rates of a segment of epochs, for each
// replica (stride 0: one for all).

/// Rates that are in memory at a time: the rate of epoch t is rates[r, t mod rate_segment].
inline constexpr Index rate_segment = 512;

/// Adam (Kingma and Ba, 2015) with ε outside the bias correction:
///   m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  θ ← θ − rate·m/(√v + ε),
/// with rate = lr·√(1−β₂^(t+1))/(1−β₁^(t+1)), computed by the caller.
template <Space S>
struct AdamStep {
    double beta1, beta2, epsilon;
    View<const double, 2, S> rates;                         ///< [R, rate_segment]
    View<const std::int64_t, 1, S> counter;                 ///< [1]
    View<const double, 2, S> gradient;                      ///< [R, P]
    View<double, 2, S> theta, first_moment, second_moment;  ///< [R, P]
};

void adam_step(CpuContext& context, const AdamStep<Space::host>& arguments);
void adam_step(CudaContext& context, const AdamStep<Space::device>& arguments);

/// θ ← θ − rate·g.
template <Space S>
struct GradientDescentStep {
    View<const double, 2, S> rates;          ///< [R, rate_segment]
    View<const std::int64_t, 1, S> counter;  ///< [1]
    View<const double, 2, S> gradient;       ///< [R, P]
    View<double, 2, S> theta;                ///< [R, P]
};

void gradient_descent_step(CpuContext& context, const GradientDescentStep<Space::host>& arguments);
void gradient_descent_step(CudaContext& context, const GradientDescentStep<Space::device>& arguments);

/// first_nonfinite[r] ← t where cost[r] is not finite and no earlier epoch was marked (−1: none so far).
void mark_divergence(CpuContext& context, View<const double, 1> cost, View<const std::int64_t, 1> counter,
                     View<std::int64_t, 1> first_nonfinite);
void mark_divergence(CudaContext& context, View<const double, 1, Space::device> cost,
                     View<const std::int64_t, 1, Space::device> counter,
                     View<std::int64_t, 1, Space::device> first_nonfinite);

/// counter[0] ← counter[0] + epochs.
void advance_counter(CpuContext& context, View<std::int64_t, 1> counter, std::int64_t epochs);
void advance_counter(CudaContext& context, View<std::int64_t, 1, Space::device> counter, std::int64_t epochs);

}  // namespace espectra
