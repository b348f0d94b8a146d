#pragma once

#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>

namespace espectra {

// Values that change from one epoch to the next are stored in memory, so that an epoch can be recorded once
// and repeated: a counter [1] of the epochs done, t, and the learning rates of a segment of epochs for each
// replica (stride 0: one for all).

/// Rates stored at a time: the rate of epoch t is rates[r, t mod rate_segment].
inline constexpr Index rate_segment = 512;

/// Arguments of adam_step: Adam (Kingma and Ba, 2015) with ε outside the bias correction,
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

/// Arguments of gradient_descent_step: θ ← θ − rate·g.
template <Space S>
struct GradientDescentStep {
    View<const double, 2, S> rates;          ///< [R, rate_segment]
    View<const std::int64_t, 1, S> counter;  ///< [1]
    View<const double, 2, S> gradient;       ///< [R, P]
    View<double, 2, S> theta;                ///< [R, P]
};

/// Arguments of mark_divergence, which sets first_nonfinite[r] ← t where cost[r] is not finite and no earlier
/// epoch is marked.
template <Space S>
struct DivergenceMark {
    View<const double, 1, S> cost;             ///< [R]
    View<const std::int64_t, 1, S> counter;    ///< [1]
    View<std::int64_t, 1, S> first_nonfinite;  ///< [R] −1: none so far
};

/// Arguments of advance_counter, which adds `epochs` to the counter.
template <Space S>
struct CounterAdvance {
    View<std::int64_t, 1, S> counter;  ///< [1]
    std::int64_t epochs;
};

}  // namespace espectra
