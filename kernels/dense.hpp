#pragma once

#include "espectra/kernels/activation.hpp"
#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/view.hpp"

#include <concepts>
#include <type_traits>

namespace espectra {

/// Examples per partial sum: sums over examples add the sums of chunks of this many in order, so that results
/// do not depend on the number of threads.
inline constexpr Index dense_chunk = 512;

/// Most inputs of a layer that is computed operation by operation in a fixed order, the same on all backends
/// and machines; layers with more inputs are computed by matrix products.
inline constexpr Index few_inputs = 16;

/// Examples per share of the gradient of a layer with many inputs on a device; the shares are added in order.
/// Small enough that a single network fills a device too.
inline constexpr Index gradient_share = 256;

/// Derivatives of a layer's activation at each unit and example, all [R, n, m]. Those with an empty view are
/// not computed.
template <class T, Space S>
struct ActivationDerivatives {
    View<T, 3, S> d_h, d_beta;
    View<T, 3, S> d_hh, d_hbeta, d_betabeta;

    template <std::same_as<const T> U>
    requires(!std::is_const_v<T>) ESPECTRA_HD operator ActivationDerivatives<U, S>() const {
        return {d_h, d_beta, d_hh, d_hbeta, d_betabeta};
    }
};

/// Arguments of dense_forward, which computes a dense layer of R replicas with k inputs and n units for m
/// examples, and the derivatives of φ that have a view:
///   h = W·input + b,  output = φ(h, β).
template <Space S>
struct DenseForward {
    Activation activation;
    View<const double, 3, S> weights;  ///< [R, n, k]
    View<const double, 2, S> bias;     ///< [R, n]
    View<const double, 2, S> beta;     ///< [R, n], or empty: fixed_beta for all units
    double fixed_beta = 1.0;
    View<const double, 3, S> input;  ///< [R, k, m]
    View<double, 3, S> output;       ///< [R, n, m]
    ActivationDerivatives<double, S> derivatives;
};

/// Throws InputError if the shapes do not fit together.
template <Space S>
void require_shapes(const DenseForward<S>& a) {
    require_equal("dense_forward: weights, units", a.output.extent[1], a.weights.extent[1]);
    require_equal("dense_forward: weights, inputs", a.input.extent[1], a.weights.extent[2]);
    require_equal("dense_forward: input, examples", a.output.extent[2], a.input.extent[2]);
}

/// Arguments of dense_backward, the backpropagation through a dense layer:
///   δ^h = δ^a ∘ φ_h (in place),
///   ∂ℓ/∂W = Σ δ^h inputᵀ,  ∂ℓ/∂b = Σ δ^h,  ∂ℓ/∂β = Σ δ^a ∘ φ_β,  δ_input = Wᵀ δ^h.
template <Space S>
struct DenseBackward {
    View<const double, 3, S> weights;  ///< [R, n, k]
    View<const double, 3, S> input;    ///< [R, k, m]
    View<const double, 3, S> d_h;      ///< [R, n, m] φ_h
    View<const double, 3, S> d_beta;   ///< [R, n, m] φ_β, or empty
    View<double, 3, S> delta;          ///< [R, n, m] in: δ^a, out: δ^h
    /// [R, n, k], or empty: no gradients at all, bias_gradient and beta_gradient being empty too.
    View<double, 3, S> weights_gradient;
    View<double, 2, S> bias_gradient;  ///< [R, n]
    View<double, 2, S> beta_gradient;  ///< [R, n], or empty
    View<double, 3, S> input_delta;    ///< [R, k, m], or empty; must not overlap delta
};

template <Space S>
void require_shapes(const DenseBackward<S>& a) {
    require_equal("dense_backward: weights, units", a.delta.extent[1], a.weights.extent[1]);
    require_equal("dense_backward: weights, inputs", a.input.extent[1], a.weights.extent[2]);
}

/// Returns the doubles that dense_backward takes for shares of the gradients: on the host one for every
/// dense_chunk examples, on a device one for every gradient_share examples of a layer with many inputs.
template <Space S>
Index dense_backward_scratch(Index replicas, Index units, Index inputs, Index examples) {
    if (S == Space::host) return replicas * (examples / dense_chunk + 1) * units * (inputs + 2);
    const Index shares = (examples + gradient_share - 1) / gradient_share;
    return inputs <= few_inputs ? 0 : replicas * shares * units * inputs;
}

/// Arguments of dense_tangent_forward, the tangent (R-operator, Pearlmutter 1994) of dense_forward in the
/// direction (Ẇ, ḃ, β̇, input˙):
///   h˙ = Ẇ·input + W·input˙ + ḃ,  output˙ = φ_h h˙ + φ_β β̇.
template <Space S>
struct DenseTangentForward {
    View<const double, 3, S> weights, weights_tangent;         ///< [R, n, k]
    View<const double, 2, S> bias_tangent;                     ///< [R, n]
    View<const double, 2, S> beta_tangent;                     ///< [R, n], or empty
    View<const double, 3, S> input;                            ///< [R, k, m]
    View<const double, 3, S> input_tangent;                    ///< [R, k, m], or empty: 0
    ActivationDerivatives<const double, S> derivatives;        ///< d_h, and d_beta with β
    View<double, 3, S> preactivation_tangent, output_tangent;  ///< [R, n, m]
};

/// Arguments of dense_tangent_backward, the tangent of dense_backward:
///   δ˙^h = φ_h δ˙^a + δ^a (φ_hh h˙ + φ_hβ β̇);  ∂ℓ/∂β˙ = Σ δ˙^a φ_β + δ^a (φ_hβ h˙ + φ_ββ β̇);
///   ∂ℓ/∂W˙ = Σ δ˙^h inputᵀ + δ^h input˙ᵀ;  δ˙_input = Ẇᵀ δ^h + Wᵀ δ˙^h.
template <Space S>
struct DenseTangentBackward {
    View<const double, 3, S> weights, weights_tangent;   ///< [R, n, k]
    View<const double, 2, S> beta_tangent;               ///< [R, n], or empty
    View<const double, 3, S> input, input_tangent;       ///< [R, k, m]; input_tangent empty: 0
    View<const double, 3, S> preactivation_tangent;      ///< [R, n, m]
    ActivationDerivatives<const double, S> derivatives;  ///< all that apply
    View<const double, 3, S> output_delta;               ///< [R, n, m] δ^a
    View<const double, 3, S> delta;                      ///< [R, n, m] δ^h
    View<double, 3, S> delta_tangent;                    ///< [R, n, m] in: δ˙^a, out: δ˙^h
    View<double, 3, S> weights_gradient;                 ///< [R, n, k]
    View<double, 2, S> bias_gradient;                    ///< [R, n]
    View<double, 2, S> beta_gradient;                    ///< [R, n], or empty
    View<double, 3, S> input_delta_tangent;              ///< [R, k, m], or empty
};

}  // namespace espectra
