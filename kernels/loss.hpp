#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/names.hpp"
#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace espectra {

/// With z the logits, y the targets, C outputs, m examples:
///   sigmoid_cross_entropy  ℓ = (1/mC) Σ −y log σ(z) − (1−y) log σ(−z)     (y may be any number in [0, 1])
///   softmax_cross_entropy  ℓ = (1/m)  Σ −y log softmax(z)                  (each example's y sums to 1)
///   mean_squared_error     ℓ = (1/mC) Σ (z − y)²
enum class Loss : std::uint8_t { sigmoid_cross_entropy, softmax_cross_entropy, mean_squared_error };

/// Aliases are those of PyTorch, Keras and TensorFlow for the same function of the logits.
constexpr Names names_of(Loss loss) {
    switch (loss) {
        case Loss::sigmoid_cross_entropy:
            return {"sigmoid_cross_entropy",
                    {"bce", "BCELoss", "binary_cross_entropy", "BCEWithLogitsLoss",
                     "binary_cross_entropy_with_logits", "sigmoid_cross_entropy_with_logits"}};
        case Loss::softmax_cross_entropy:
            return {"softmax_cross_entropy",
                    {"cross_entropy", "CrossEntropyLoss", "categorical_cross_entropy",
                     "sparse_categorical_cross_entropy", "softmax_cross_entropy_with_logits"}};
        case Loss::mean_squared_error:
            return {"mean_squared_error", {"mse", "MSELoss"}};
    }
    return {};
}

constexpr std::string_view loss_name(Loss loss) { return names_of(loss).name; }

/// Targets for which a loss is defined.
enum class LossTargets : std::uint8_t {
    numbers,        ///< any
    probabilities,  ///< each in [0, 1]
    distributions,  ///< those of an example in [0, 1], with sum 1: one output for each class
};

struct LossTraits {
    bool elementwise;  ///< each output adds a term of its own, else each example adds one
    bool exponential;  ///< a term is made of e^−|z|
    LossTargets targets;
};

ESPECTRA_HD constexpr LossTraits traits_of(Loss loss) {
    switch (loss) {
        case Loss::sigmoid_cross_entropy:
            return {.elementwise = true, .exponential = true, .targets = LossTargets::probabilities};
        case Loss::softmax_cross_entropy:
            return {.elementwise = false, .exponential = false, .targets = LossTargets::distributions};
        case Loss::mean_squared_error:
            return {.elementwise = true, .exponential = false, .targets = LossTargets::numbers};
    }
    __builtin_unreachable();
}

/// Number of terms that one example adds to the sum under the mean.
ESPECTRA_HD constexpr Index loss_terms(Loss loss, Index outputs) {
    return traits_of(loss).elementwise ? outputs : 1;
}

/// Weight of one term in the mean over all examples.
ESPECTRA_HD constexpr double loss_weight(Loss loss, Index outputs, Index total_examples) {
    return 1.0 / static_cast<double>(total_examples * loss_terms(loss, outputs));
}

/// Returns visit(std::integral_constant<Loss, …>) of the loss: a compile-time constant.
template <class Visitor>
ESPECTRA_HD decltype(auto) visit_loss(Loss loss, Visitor&& visit) {
    using enum Loss;
    switch (loss) {
        case sigmoid_cross_entropy:
            return visit(std::integral_constant<Loss, sigmoid_cross_entropy>{});
        case softmax_cross_entropy:
            return visit(std::integral_constant<Loss, softmax_cross_entropy>{});
        case mean_squared_error:
            return visit(std::integral_constant<Loss, mean_squared_error>{});
    }
    __builtin_unreachable();
}

/// Arguments of evaluate_loss, which computes the loss and its derivatives of R replicas with C outputs for m
/// examples, possibly a part of all.
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

/// Returns the doubles that evaluate_loss takes on a device: the sums of dense_chunk examples each, and the
/// outputs of softmax. On the host they are not counted: they are one number for each of these sums.
template <Space S>
Index evaluate_loss_scratch(Loss loss, Index replicas, Index outputs, Index examples) {
    if (S == Space::host) return 0;
    const Index sums = (examples + dense_chunk - 1) / dense_chunk * loss_terms(loss, outputs);
    return replicas * (sums + (traits_of(loss).elementwise ? 0 : outputs * examples));
}

/// Arguments of score_outputs, which compares the predictions ŷ with the targets: ŷ is σ(z), softmax(z) or z.
/// With one output the class is ŷ > ½, else the largest output (the first of equals).
template <Space S>
struct OutputScore {
    Loss loss;
    double zero_residual_tolerance;     ///< a residual |ŷ − y| up to this counts as zero (the paper: 1e-5)
    View<const double, 3, S> logits;    ///< [R, C, m]
    View<const double, 3, S> targets;   ///< [R, C, m]
    View<double, 1, S> accuracy;        ///< [R] fraction of examples classified right
    View<double, 1, S> zero_residuals;  ///< [R] fraction of the m·C residuals that are zero
};

/// Returns the doubles that score_outputs takes on a device, for the predictions.
template <Space S>
Index score_outputs_scratch(Index replicas, Index outputs, Index examples) {
    return S == Space::host ? 0 : replicas * outputs * examples;
}

}  // namespace espectra
