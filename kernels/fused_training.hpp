#pragma once

#include "espectra/kernels/activation.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/optimizer.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>

namespace espectra {

class CpuContext;
class CudaContext;

/// Layers at most, and inputs of a layer at most: above them the CPU backend sums by BLAS, in its own order.
inline constexpr int fused_training_layers = 8, fused_training_inputs = 16;

/// A dense layer of a small network; weights (row-major [n, k]), bias and β are where they begin in θ.
struct FusedLayer {
    int inputs, units;
    Activation activation;
    bool trainable_beta;
    double fixed_beta;
    int weights, bias, beta;
};

struct FusedNetwork {
    int layers = 0;
    FusedLayer layer[fused_training_layers] = {};
    int parameters = 0;
    Loss loss = Loss::sigmoid_cross_entropy;
};

/// Whole epochs of training of R networks, m examples, P parameters, in one launch. An epoch is
/// dense_forward, evaluate_loss, dense_backward, mark_divergence and adam_step (or gradient_descent_step)
/// of the CPU backend, whose very bits come out.
template <Space S>
struct FusedTraining {
    FusedNetwork network;
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
bool fused_training_fits(CpuContext& context, const FusedNetwork& network, Index replicas, Index examples);
bool fused_training_fits(CudaContext& context, const FusedNetwork& network, Index replicas, Index examples);

}  // namespace espectra
