#pragma once

#include "espectra/runtime/view.hpp"

namespace espectra {

class CpuContext;
class CudaContext;

// Symmetric matrices in a batch [R, n, n], row-major with rows at `stride[1]` elements; only the upper
// triangle is read.

/// Sets the upper triangles to zero.
void clear_upper(CpuContext& context, View<double, 3> matrices);
void clear_upper(CudaContext& context, View<double, 3, Space::device> matrices);

/// Copies the upper triangles to the lower ones.
void symmetrize(CpuContext& context, View<double, 3> matrices);
void symmetrize(CudaContext& context, View<double, 3, Space::device> matrices);

/// Per matrix: tr H, ‖H‖_F, and for each row whether it has an entry other than zero.
template <Space S>
struct MatrixSummary {
    View<const double, 3, S> matrices;      ///< [R, n, n]
    View<double, 1, S> trace, frobenius;    ///< [R]
    View<unsigned char, 2, S> nonzero_row;  ///< [R, n] 1 or 0
};

void summarize(CpuContext& context, const MatrixSummary<Space::host>& arguments);
void summarize(CudaContext& context, const MatrixSummary<Space::device>& arguments);

/// Residual of the scaling symmetries (docs/mathematics.md): each row T of `signs` (entries −1, 0, 1) is a
/// direction along which the loss does not change, so that H·(T∘θ) = −T∘∇ℓ at every θ. Per matrix, the
/// largest ‖H(T∘θ) + T∘∇ℓ‖ / (‖H‖_F ‖T∘θ‖); a direction with T∘θ = 0 counts as 0.
template <Space S>
struct ScalingResidual {
    View<const double, 3, S> matrices;         ///< H [R, n, n]
    View<const double, 2, S> signs;            ///< T [d, n]
    View<const double, 2, S> theta, gradient;  ///< [R, n]
    View<const double, 1, S> frobenius;        ///< ‖H‖_F [R]
    View<double, 1, S> residual;               ///< [R]
};

/// Vectors of length n that scaling_residual takes as scratch at most, for each worker.
inline constexpr Index scaling_residual_scratch = 128;

void scaling_residual(CpuContext& context, const ScalingResidual<Space::host>& arguments);
void scaling_residual(CudaContext& context, const ScalingResidual<Space::device>& arguments);

/// Moves the rows and columns marked in `keep` to the front, in place and in order: the leading
/// count × count part then is the deflated matrix, with unchanged row stride.
void compress_rows(CpuContext& context, View<double, 2> matrix, View<const unsigned char, 1> keep);
void compress_rows(CudaContext& context, View<double, 2, Space::device> matrix,
                   View<const unsigned char, 1, Space::device> keep);

/// Inverse participation ratios Σ_i v_i⁴ of the rows of [R, e, n].
void inverse_participation_ratios(CpuContext& context, View<const double, 3> vectors, View<double, 2> ratios);
void inverse_participation_ratios(CudaContext& context, View<const double, 3, Space::device> vectors,
                                  View<double, 2, Space::device> ratios);

}  // namespace espectra
