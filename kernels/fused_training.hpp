#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/network_view.hpp"
#include "espectra/kernels/optimizer.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>

namespace espectra {

class CpuContext;
class CudaContext;

/// Returns true if fused_training can take such networks. Layers with more inputs than few_inputs are
/// excluded: the CPU backend sums them by BLAS, in an order of its own.
inline bool fused_training_takes(const NetworkView& network) {
    for (int l = 0; l < network.count; ++l)
        if (network.layers[l].inputs > few_inputs) return false;
    return FusedNetwork::holds(network);
}

/// Whole epochs of training of R networks, m examples, P parameters, in one launch. An epoch is
/// dense_forward, evaluate_loss, dense_backward, mark_divergence and adam_step (or gradient_descent_step)
/// of the CPU backend, whose very bits come out.
template <Space S>
struct FusedTraining {
    NetworkView network;
    std::int64_t epochs;                             ///< ≥ 1, within one segment of rates
    double beta1, beta2, epsilon;                    ///< of Adam
    View<const double, 2, S> rates;                  ///< [R, rate_segment], as in AdamStep
    View<std::int64_t, 1, S> counter;                ///< [1] epochs done, advanced by `epochs`
    View<const double, 2, S> features;               ///< [k, m]
    View<const double, 2, S> targets;                ///< [C, m]
    View<double, 2, S> theta;                        ///< [R, P]
    View<double, 2, S> first_moment, second_moment;  ///< [R, P], or empty: gradient descent
    View<double, 1, S> cost;                         ///< [R] before the last update, or empty
    View<double, 2, S> gradient;                     ///< [R, P] of the last update, or empty
    View<std::int64_t, 1, S> first_nonfinite;        ///< [R], as in mark_divergence
};

void fused_training(CpuContext& context, const FusedTraining<Space::host>& arguments);
void fused_training(CudaContext& context, const FusedTraining<Space::device>& arguments);

/// Whether `context` can train R such networks on m examples in one launch, and that is the better way: one
/// thread of the CPU, or one block of threads of a device, works on each network.
bool fused_training_fits(CpuContext& context, const NetworkView& network, Index replicas, Index examples);
bool fused_training_fits(CudaContext& context, const NetworkView& network, Index replicas, Index examples);

}  // namespace espectra
