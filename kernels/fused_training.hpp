#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/network_view.hpp"
#include "espectra/kernels/optimizer.hpp"
#include "espectra/runtime/view.hpp"

#include <cstddef>
#include <cstdint>

namespace espectra {

/// Returns true if fused_training can take such networks. Layers with more inputs than few_inputs are
/// excluded: the CPU backend sums them by BLAS, in an order of its own.
inline bool fused_training_takes(const NetworkView& network) {
    for (int l = 0; l < network.count; ++l)
        if (network.layers[l].inputs > few_inputs) return false;
    return FusedNetwork::holds(network);
}

/// Bytes that fused_training takes in addition to its arguments: on the host a copy of the examples.
template <Space S>
std::size_t fused_training_bytes(const NetworkView& network, Index examples) {
    if (S == Space::device || !fused_training_takes(network)) return 0;
    return static_cast<std::size_t>((network.inputs() + network.outputs()) * examples) * sizeof(double);
}

/// Arguments of fused_training, which trains R networks of P parameters on m examples for whole epochs in one
/// launch. An epoch is dense_forward, evaluate_loss, dense_backward, mark_divergence and adam_step (or
/// gradient_descent_step) of the CPU backend, and gives the same bits.
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

/// Returns true if fused_training can train `replicas` such networks on `examples` examples on this backend
/// and is expected to be faster than the operations one by one: each network is trained by one thread of the
/// CPU, or by one block of threads of a device.
bool fused_training_fits(CpuContext& context, const NetworkView& network, Index replicas, Index examples);
bool fused_training_fits(CudaContext& context, const NetworkView& network, Index replicas, Index examples);

}  // namespace espectra
