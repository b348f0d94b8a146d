#pragma once

#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace espectra {

class CpuContext;
class CudaContext;

/// With z the logits, y the targets, C outputs, m examples:
///   sigmoid_cross_entropy  ℓ = (1/mC) Σ −y log σ(z) − (1−y) log σ(−z)     (y may be any number in [0, 1])
///   softmax_cross_entropy  ℓ = (1/m)  Σ −y log softmax(z)                  (each example's y sums to 1)
///   mean_squared_error     ℓ = (1/mC) Σ (z − y)²
enum class Loss : std::uint8_t { sigmoid_cross_entropy, softmax_cross_entropy, mean_squared_error };

std::optional<Loss> loss_from_name(std::string_view name);
std::string_view loss_name(Loss loss);

/// Arguments of evaluate_loss. R replicas, C outputs, m examples (possibly a part of all).
template <Space S>
struct LossEvaluation {
    Loss loss;
    Index total_examples;              ///< what the mean is taken over; equal to m unless these are a part
    View<const double, 3, S> logits;   ///< [R, C, m]
    View<const double, 3, S> targets;  ///< [R, C, m]
    View<double, 1, S> cost;           ///< [R] this part's share of ℓ, or empty
    View<double, 3, S> delta;          ///< [R, C, m] ∂ℓ/∂z, or empty
    View<double, 4, S> curvature;      ///< [R, C, C, m] ∂²ℓ/∂z∂z of each example, or empty
};

void evaluate_loss(CpuContext& context, const LossEvaluation<Space::host>& arguments);
void evaluate_loss(CudaContext& context, const LossEvaluation<Space::device>& arguments);

/// Arguments of score_outputs.
template <Space S>
struct OutputScore {
    Loss loss;
    double zero_residual_tolerance;     ///< a residual |ŷ − y| up to this counts as zero (the paper: 1e-5)
    View<const double, 3, S> logits;    ///< [R, C, m]
    View<const double, 3, S> targets;   ///< [R, C, m]
    View<double, 1, S> accuracy;        ///< [R] fraction of examples classified right
    View<double, 1, S> zero_residuals;  ///< [R] fraction of the m·C residuals that are zero
};

/// ŷ is σ(z), softmax(z) or z. With one output the class is ŷ > ½, else the largest output (the first of
/// equals).
void score_outputs(CpuContext& context, const OutputScore<Space::host>& arguments);
void score_outputs(CudaContext& context, const OutputScore<Space::device>& arguments);

}  // namespace espectra
