#pragma once

#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/view.hpp"

namespace espectra {

// Symmetric matrices in a batch [R, n, n], row-major with rows at `stride[1]` elements; only the upper
// triangle is read.

/// Arguments of clear_upper, which sets the upper triangles to zero.
template <Space S>
struct UpperTriangles {
    View<double, 3, S> matrices;  ///< [R, n, n]
};

/// Arguments of symmetrize, which copies the upper triangles to the lower ones.
template <Space S>
struct SymmetricMatrices {
    View<double, 3, S> matrices;  ///< [R, n, n]
};

/// Arguments of summarize: tr H and ‖H‖_F of each matrix, and which of its rows have an entry other than
/// zero.
template <Space S>
struct MatrixSummary {
    View<const double, 3, S> matrices;      ///< [R, n, n]
    View<double, 1, S> trace, frobenius;    ///< [R]
    View<unsigned char, 2, S> nonzero_row;  ///< [R, n] 1 or 0
};

/// Arguments of scaling_residual, the residual of the scaling symmetries (docs/mathematics.md): each row T of
/// `signs` (entries −1, 0, 1) is a direction along which the loss does not change, so that H·(T∘θ) = −T∘∇ℓ at
/// every θ. The residual of a matrix is its largest ‖H(T∘θ) + T∘∇ℓ‖ / (‖H‖_F ‖T∘θ‖); a direction with T∘θ = 0
/// counts as 0.
template <Space S>
struct ScalingResidual {
    View<const double, 3, S> matrices;         ///< H [R, n, n]
    View<const double, 2, S> signs;            ///< T [d, n]
    View<const double, 2, S> theta, gradient;  ///< [R, n]
    View<const double, 1, S> frobenius;        ///< ‖H‖_F [R]
    View<double, 1, S> residual;               ///< [R]
};

/// Most vectors of length n that each worker takes as scratch in scaling_residual.
inline constexpr Index scaling_residual_scratch = 128;

/// Arguments of compress_rows, which moves the rows and columns marked in `keep` to the front, in place and
/// in order: the leading count × count part then is the deflated matrix, with the row stride as before.
template <Space S>
struct RowCompression {
    View<double, 2, S> matrix;             ///< [n, n]
    View<const unsigned char, 1, S> keep;  ///< [n] 1 or 0
};

/// Arguments of inverse_participation_ratios: Σ_i v_i⁴ of each vector.
template <Space S>
struct ParticipationRatios {
    View<const double, 3, S> vectors;  ///< [R, e, n]
    View<double, 2, S> ratios;         ///< [R, e]
};

}  // namespace espectra
