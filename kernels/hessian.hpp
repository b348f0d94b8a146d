#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/layer.hpp"
#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/view.hpp"

namespace espectra {

// The steps of the exact Hessian by structure, which docs/mathematics.md derives. Notation, per example and
// for layer l with n_l units, with the layers after l held fixed in the first four:
//   B_l = ∂²ℓ/∂a_l∂a_l,  A_l = ∂²ℓ/∂h_l∂h_l,  M_l = ∂²ℓ/∂β_l∂h_l,  D_l = ∂²ℓ/∂β_l∂β_l,
//   J_{k←l} = ∂a_k/∂a_l,  V_{k←l} = A_k ∂h_k/∂a_l,  U_{k←l} = M_k ∂h_k/∂a_l.
// J, V and U pass from l + 1 to l by a product with diag(φ_h) W of layer l + 1: pull_back.
// Per-example matrices are stored [R, rows, columns, m], examples contiguous. Hessians are [R, P, P],
// row-major; only the upper triangle is written, and every contraction adds to it.

/// Arguments of activation_curvature:
///   A = φ_h B φ_h + diag(δ^a φ_hh),  M = φ_β B φ_h + diag(δ^a φ_hβ),  D = φ_β B φ_β + diag(δ^a φ_ββ).
/// Without `output_delta` the diagonal terms are left out, which gives the Gauss–Newton part.
template <Space S>
struct ActivationCurvature {
    View<const double, 4, S> output_curvature;           ///< B [R, n, n, m]
    ActivationDerivatives<const double, S> derivatives;  ///< those of β empty where β is not trainable
    View<const double, 3, S> output_delta;               ///< δ^a [R, n, m], or empty
    View<double, 4, S> curvature;                        ///< A [R, n, n, m]
    View<double, 4, S> mixed;                            ///< M [R, n (β), n (h), m], or empty
    View<double, 4, S> beta_curvature;                   ///< D [R, n, n, m], or empty
};

/// Arguments of pull_back, which passes matrices through one layer towards the input, example by example:
///   Y = X diag(φ_h) W.
template <Space S>
struct PullBack {
    View<const double, 4, S> matrix;   ///< X [R, p, q, m]
    View<const double, 3, S> d_h;      ///< φ_h [R, q, m], or empty: Y = X W
    View<const double, 3, S> weights;  ///< W [R, q, i]
    View<double, 4, S> product;        ///< Y [R, p, i, m]
};

/// Arguments of weights_transposed_times: Y = Wᵀ X, example by example.
template <Space S>
struct WeightsTransposedTimes {
    View<const double, 3, S> weights;  ///< W [R, q, p]
    View<const double, 4, S> matrix;   ///< X [R, q, i, m]
    View<double, 4, S> product;        ///< Y [R, p, i, m]
};

/// Arguments of curvature_times_vector: product = curvature · vector, example by example.
template <Space S>
struct CurvatureTimesVector {
    View<const double, 4, S> curvature;  ///< [R, p, q, m]
    View<const double, 3, S> vector;     ///< [R, q, m]
    View<double, 3, S> product;          ///< [R, p, m]
};

/// Arguments of layer_jacobian: J = diag(φ_h) W, example by example.
template <Space S>
struct LayerJacobian {
    View<const double, 3, S> d_h;      ///< φ_h [R, p, m]
    View<const double, 3, S> weights;  ///< W [R, p, i]
    View<double, 4, S> jacobian;       ///< J [R, p, i, m]
};

/// Arguments of contract_layer_block, which adds the block of one layer's weights, biases and β with
/// themselves, where ã = (input, 1):
///   H[(i,j),(i',j')] += Σ A_{ii'} ã_j ã_{j'},  H[(i,j),(β,p)] += Σ M_{pi} ã_j,  H[(β,p),(β,p')] += Σ
///   D_{pp'}.
/// A and ã ãᵀ are symmetric, so that a quarter of the products suffices.
template <Space S>
struct LayerBlock {
    View<const double, 3, S> input;           ///< [R, k, m]
    View<const double, 4, S> curvature;       ///< A [R, n, n, m]
    View<const double, 4, S> mixed;           ///< M [R, n, n, m], or empty
    View<const double, 4, S> beta_curvature;  ///< D [R, n, n, m], or empty
    LayerOffsets offsets;
    View<double, 3, S> hessian;  ///< [R, P, P]
};

/// Arguments of contract_cross_block, which adds the block of layer l's parameters with those of a later
/// layer k. With V = V_{k←l}, U = U_{k←l}, J = J_{k−1←l}:
///   X_{i,(p,q)} = V_{pi} ã_q + δ^h_p J_{qi} (0 for the bias column),  X_{i,(β,p)} = U_{pi},
///   H[(l;i,j), c] += Σ ã_j φ_{h,i} X_{i,c},  H[(l;β,i), c] += Σ φ_{β,i} X_{i,c}.
template <Space S>
struct CrossBlock {
    View<const double, 3, S> input;        ///< a_{l−1} [R, k_l, m]
    View<const double, 3, S> d_h;          ///< φ_h of layer l [R, n_l, m]
    View<const double, 3, S> d_beta;       ///< φ_β of layer l, or empty
    View<const double, 3, S> later_input;  ///< a_{k−1} [R, k_k, m]
    View<const double, 4, S> curvature;    ///< V [R, n_k, n_l, m]
    View<const double, 4, S> mixed;        ///< U [R, n_k, n_l, m], or empty
    View<const double, 3, S> later_delta;  ///< δ^h of layer k [R, n_k, m], or empty: the Gauss–Newton part
    View<const double, 4, S> jacobian;     ///< J [R, k_k, n_l, m], or empty: the identity (k = l + 1)
    LayerOffsets offsets, later_offsets;
    View<double, 3, S> hessian;  ///< [R, P, P]
};

}  // namespace espectra
