#pragma once

#include "espectra/runtime/view.hpp"

#include <cstdint>

namespace espectra {

class CpuContext;
class CudaContext;

/// Adam (Kingma and Ba, 2015) with ε outside the bias correction:
///   m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  θ ← θ − rate·m/(√v + ε),
/// with `rate` = lr·√(1−β₂^t)/(1−β₁^t) for update t = 1, 2, …, computed by the caller.
template <Space S>
struct AdamStep {
    double rate, beta1, beta2, epsilon;
    View<const double, 2, S> gradient;                      ///< [R, P]
    View<double, 2, S> theta, first_moment, second_moment;  ///< [R, P]
};

void adam_step(CpuContext& context, const AdamStep<Space::host>& arguments);
void adam_step(CudaContext& context, const AdamStep<Space::device>& arguments);

/// θ ← θ − rate·g.
template <Space S>
struct GradientDescentStep {
    double rate;
    View<const double, 2, S> gradient;  ///< [R, P]
    View<double, 2, S> theta;           ///< [R, P]
};

void gradient_descent_step(CpuContext& context, const GradientDescentStep<Space::host>& arguments);
void gradient_descent_step(CudaContext& context, const GradientDescentStep<Space::device>& arguments);

/// first_nonfinite[r] ← epoch where cost[r] is not finite and no earlier epoch was marked (−1: none so far).
void mark_divergence(CpuContext& context, View<const double, 1> cost, std::int64_t epoch,
                     View<std::int64_t, 1> first_nonfinite);
void mark_divergence(CudaContext& context, View<const double, 1, Space::device> cost, std::int64_t epoch,
                     View<std::int64_t, 1, Space::device> first_nonfinite);

}  // namespace espectra
