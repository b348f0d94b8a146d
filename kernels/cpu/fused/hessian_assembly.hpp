#pragma once

#include "espectra/kernels/cpu/fused/hessian_chunk.hpp"
#include "espectra/kernels/cpu/fused/hessian_sums.hpp"
#include "espectra/kernels/fused_hessian.hpp"

#include <algorithm>

namespace espectra {

/// Numbers of rows and sums that a HessianAssembly takes.
struct AssemblySizes {
    Index width = 0, pairs = 0, mixed = 0, cross = 0, columns = 0, sums = 0;

    explicit AssemblySizes(const NetworkView& network);

    Index rows() const { return 3 * width + pairs + mixed + 7 * cross + columns; }
    /// Pointers to rows of a matrix, to ã and its products, or to the factors of both sides of a cross block.
    Index pointers() const { return std::max(width, 2 * rows_together + 4 + 2 * width); }
    Index factors() const {
        return std::max({width + 2 + std::max(cross_factor_rows, width + 2), width + 1 + triangle(width + 1),
                         2 * (width + 1) + std::max(2 * width, link_rows + width + 2)});
    }
};

/// Hessian of one network by the recursion of docs/mathematics.md, for any number of layers. Each chunk of
/// examples adds its share to the sums of all blocks; after the last chunk the sums are written to the
/// matrix.
class HessianAssembly : ChunkStates {
  public:
    HessianAssembly(const FusedHessian& arguments, Index replica, Arena& arena);
    void assemble();

  private:
    LayerPlan plan(int l) const { return plan_layer(layer(l), separate_outputs(a_.network, l)); }

    // The recursion (hessian_assembly.cpp).

    /// Adds the share of `count` examples from `begin` on. Sums are stored in the order in which they are
    /// formed.
    void add_chunk(Index begin, Index count);
    /// Forms V_{k←k−1} = A_k W_k in moving_[0], and where β is trained U_{k←k−1} = M_k W_k in moving_[1].
    void form_neighbour_factors(int k, bool separate) const;
    /// Adds the blocks of layer k with all earlier layers, moving V, U and J towards the input; returns the
    /// end of their sums.
    double* add_cross_blocks(int k, double* sums) const;
    /// Row of A with pair (i, j) or (j, i).
    double* pair_row(Index i, Index j) const {
        return curvature_ + (i <= j ? pair_index(i, j) : pair_index(j, i)) * length_;
    }
    /// Returns rows (i, j), i ≤ j, of B_l, stored consecutively; where outputs do not interact (j, j) alone.
    const double* output_curvature(int l, Index j) const {
        return l + 1 == a_.network.count ? loss_curvature(j) : pulled_curvature(l, j);
    }
    /// Rows of B of the last layer, ∂²ℓ/∂z∂z.
    const double* loss_curvature(Index j) const;
    /// Rows of B_l = Wᵀ V with W and V = V_{l+1←l} of layer l + 1.
    const double* pulled_curvature(int l, Index j) const;
    /// Y = X W of layer l, for `count` rows [p] of X given by pointer(p, q).
    template <class Pointer>
    void times_weights(Index l, Index count, Pointer&& pointer, double* product) const;
    /// Y = X diag(φ_h) W of layer l; returns Y.
    double* move(Index l, Index count, const double* matrix, double* product) const;
    /// diag(d) W of layer l for a diagonal d of rows.
    void scale_weights(Index l, const double* diagonal, double* product) const;

    // Block of a layer with itself (hessian_layer_block.cpp).

    /// Forms A, M and the sums of D of layer l from B and δ^a, and adds the layer's block: rows of A and M
    /// are multiplied while they are in the first cache.
    template <bool Beta>
    void add_layer_block(int l, const LayerPlan& plan, const LayerSums& sums) const;
    /// Writes pointers to ã to `features`, followed by pointers to its products in the order of pair_index,
    /// and returns where these begin. The last entry of ã is 1: products with it need no rows of their own.
    const double** form_feature_pairs(Index l, const double** features) const;
    /// Off-diagonal units i < j: A_ij, M_ij (β of i, h of j), M_ji; returns Σ D_ij.
    template <bool Beta>
    double couple(const double* b, const double* d_h_i, const double* d_h_j, const double* d_beta_i,
                  const double* d_beta_j, double* a, double* mixed_ij, double* mixed_ji) const;
    /// The diagonal: A_ii, M_ii; returns Σ D_ii.
    template <bool Beta>
    double square(const double* b, const double* delta, const double* d_h, const double* d_hh,
                  const double* d_beta, const double* d_hbeta, const double* d_betabeta, double* a,
                  double* mixed) const;
    void write_layer_block(const Layer& dense, bool separate, const LayerSums& sums) const;

    // Blocks of two layers (hessian_cross_block.cpp).

    /// Adds the block of layers l < k by the factor X; jacobian: ∂a_{k−1}/∂a_l, or nullptr: the identity.
    void add_cross_block(Index l, Index k, const double* v, const double* u, const double* jacobian,
                         double* sums) const;
    /// Adds the block of layers l and l + 1 with the units of layer l scaled (LinkSums).
    void add_link_block(Index l, const double* v, const double* u, double* sums) const;
    void write_cross_block(const Layer& dense, const Layer& later, double* sums) const;
    void write_link_block(const Layer& dense, const Layer& later, double* sums) const;

    /// Copies every sum to its one or two places in the upper triangle.
    void write() const;

    double *sums_, *delta_h_, *scaled_, *curvature_, *mixed_, *moving_[7], *left_factor_, *right_factor_;
    const double **pointers_, **factors_;
};

}  // namespace espectra
