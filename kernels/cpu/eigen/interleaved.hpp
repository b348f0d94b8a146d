#pragma once

#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/view.hpp"

#include <cstddef>
#include <string>

namespace espectra {

/// Largest matrix for which the interleaved solver is used. Measured with `espectra benchmark eigen` on one
/// core with AVX-512: at this size a single matrix takes as long as with dsyevd, and 64 of them a fifth.
inline constexpr Index most_interleaved_rows = 200;

/// Eigenvalues [R, n], ascending, of the upper triangles of [R, n, n], n ≤ most_interleaved_rows; the
/// matrices are not changed. Several matrices are solved at a time, one per lane of the vector registers:
/// Householder's reduction to tridiagonal form (Golub and Van Loan, algorithm 8.3.1), then the QL algorithm
/// without square roots (Pal, Walker and Kahan; Parlett, The Symmetric Eigenvalue Problem, 1980, section
/// 8.15). The bits of a spectrum depend on its matrix alone, not on R, the other matrices, or the number of
/// threads; rows after the last one with a non-zero off-diagonal entry do not change the other eigenvalues
/// either. The eigenvalues of a matrix with entries that are not finite are NaN.
void interleaved_eigenvalues(CpuContext& context, View<const double, 3> matrices, View<double, 2> values);

/// Bytes of scratch that all threads of interleaved_eigenvalues take together.
std::size_t interleaved_eigen_bytes(const CpuContext& context, Index matrices, Index n);

/// Returns the name of the solver, for example "QL interleaved in 8 lanes with fused multiply-add".
std::string interleaved_eigen_name();

}  // namespace espectra
