#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/layer.hpp"
#include "espectra/runtime/view.hpp"

namespace espectra {

class CpuContext;
class CudaContext;

// The steps of the exact Hessian by structure; the derivation is in docs/mathematics.md. Notation, per
// example and for layer l with n_l units:
//   B_l = ∂²ℓ/∂a_l∂a_l,  A_l = ∂²ℓ/∂h_l∂h_l,  M_l = ∂²ℓ/∂β_l∂h_l,  D_l = ∂²ℓ/∂β_l∂β_l     (the rest
//   downstream of layer l) J_{k←l} = ∂a_k/∂a_l,  V_{k←l} = A_k ∂h_k/∂a_l,  U_{k←l} = M_k ∂h_k/∂a_l
// All three move from l + 1 to l by a product with diag(φ_h) W of layer l + 1: pull_back.
// Per-example matrices are stored [R, rows, columns, m], examples contiguous. Hessians are [R, P, P],
// row-major, and only the upper triangle is written; every contraction adds to it.

/// A = φ_h B φ_h + diag(δ^a φ_hh);  M = φ_β B φ_h + diag(δ^a φ_hβ);  D = φ_β B φ_β + diag(δ^a φ_ββ).
/// Without `output_delta` the diagonal terms are left out: the Gauss–Newton part.
template <Space S>
struct ActivationCurvature {
    View<const double, 4, S> output_curvature;           ///< B [R, n, n, m]
    ActivationDerivatives<const double, S> derivatives;  ///< those of β empty where β is not trainable
    View<const double, 3, S> output_delta;               ///< δ^a [R, n, m], or empty
    View<double, 4, S> curvature;                        ///< A [R, n, n, m]
    View<double, 4, S> mixed;                            ///< M [R, n (β), n (h), m], or empty
    View<double, 4, S> beta_curvature;                   ///< D [R, n, n, m], or empty
};

void activation_curvature(CpuContext& context, const ActivationCurvature<Space::host>& arguments);
void activation_curvature(CudaContext& context, const ActivationCurvature<Space::device>& arguments);

/// Through one layer towards the input: Y = X diag(φ_h) W, example by example, or Y = X W where `d_h` is
/// empty. [R, p, q, m] · [R, q, m] · [R, q, i] → [R, p, i, m].
template <Space S>
struct PullBack {
    View<const double, 4, S> matrix;
    View<const double, 3, S> d_h;
    View<const double, 3, S> weights;
    View<double, 4, S> product;
};

void pull_back(CpuContext& context, const PullBack<Space::host>& arguments);
void pull_back(CudaContext& context, const PullBack<Space::device>& arguments);

/// Y = Wᵀ X, example by example: [R, q, p] · [R, q, i, m] → [R, p, i, m].
template <Space S>
struct WeightsTransposedTimes {
    View<const double, 3, S> weights;
    View<const double, 4, S> matrix;
    View<double, 4, S> product;
};

void weights_transposed_times(CpuContext& context, const WeightsTransposedTimes<Space::host>& arguments);
void weights_transposed_times(CudaContext& context, const WeightsTransposedTimes<Space::device>& arguments);

/// product [R, p, m] = curvature [R, p, q, m] · vector [R, q, m], example by example.
void curvature_times_vector(CpuContext& context, View<const double, 4> curvature,
                            View<const double, 3> vector, View<double, 3> product);
void curvature_times_vector(CudaContext& context, View<const double, 4, Space::device> curvature,
                            View<const double, 3, Space::device> vector,
                            View<double, 3, Space::device> product);

/// J = diag(φ_h) W for each example: [R, p, m] · [R, p, i] → [R, p, i, m].
template <Space S>
struct LayerJacobian {
    View<const double, 3, S> d_h;
    View<const double, 3, S> weights;
    View<double, 4, S> jacobian;
};

void layer_jacobian(CpuContext& context, const LayerJacobian<Space::host>& arguments);
void layer_jacobian(CudaContext& context, const LayerJacobian<Space::device>& arguments);

/// Block of one layer's weights, biases and β with themselves, ã = (input, 1):
///   H[(i,j),(i',j')] += Σ A_{ii'} ã_j ã_{j'},  H[(i,j),(β,p)] += Σ M_{pi} ã_j,  H[(β,p),(β,p')] += Σ
///   D_{pp'}.
/// A is symmetric, so is ã ãᵀ: a quarter of the products is formed.
template <Space S>
struct LayerBlock {
    View<const double, 3, S> input;           ///< [R, k, m]
    View<const double, 4, S> curvature;       ///< A [R, n, n, m]
    View<const double, 4, S> mixed;           ///< M [R, n, n, m], or empty
    View<const double, 4, S> beta_curvature;  ///< D [R, n, n, m], or empty
    LayerOffsets offsets;
    View<double, 3, S> hessian;  ///< [R, P, P]
};

void contract_layer_block(CpuContext& context, const LayerBlock<Space::host>& arguments);
void contract_layer_block(CudaContext& context, const LayerBlock<Space::device>& arguments);

/// Block of layer l's parameters with those of a later layer k. With V = V_{k←l}, U = U_{k←l}, J = J_{k−1←l}:
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

void contract_cross_block(CpuContext& context, const CrossBlock<Space::host>& arguments);
void contract_cross_block(CudaContext& context, const CrossBlock<Space::device>& arguments);

}  // namespace espectra
