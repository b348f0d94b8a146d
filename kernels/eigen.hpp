#pragma once

#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/view.hpp"

#include <cstddef>

namespace espectra {

/// Arguments of symmetric_eigenvalues and symmetric_eigenvectors, which read the upper triangle (row-major)
/// of each matrix and overwrite all of it. symmetric_eigenvectors leaves in row e of each matrix the unit
/// eigenvector of eigenvalue e; symmetric_eigenvalues leaves nothing of use. Both throw NumericalError if the
/// algorithm does not converge, except that a batch on a device (EigenSolver::batched) has NaN for the
/// eigenvalues of such a matrix; entries that are not finite end in one of these or in eigenvalues that are
/// not finite. On the CPU small matrices are solved several at a time on each core
/// (kernels/cpu/eigen/interleaved.hpp), larger ones one per core, and a single large one by all cores.
template <Space S>
struct Eigenproblems {
    View<double, 3, S> matrices;     ///< [R, n, n]
    View<double, 2, S> eigenvalues;  ///< [R, n] ascending
};

/// Throws InputError if the shapes do not fit together.
template <Space S>
void require_shapes(const Eigenproblems<S>& a) {
    require_equal("eigenvalues: columns", a.matrices.extent[1], a.matrices.extent[2]);
    require_equal("eigenvalues: matrices", a.matrices.extent[0], a.eigenvalues.extent[0]);
    require_equal("eigenvalues: values per matrix", a.matrices.extent[1], a.eigenvalues.extent[1]);
}

/// Bytes of workspace, in addition to the matrices, for up to `matrices` at a time of up to n rows,
/// contiguous ones and contiguous eigenvalues, and for one of them by itself.
std::size_t eigen_workspace_bytes(const CpuContext& context, Index matrices, Index n, bool vectors);
std::size_t eigen_workspace_bytes(CudaContext& context, Index matrices, Index n, bool vectors);

/// The name of the solvers for records: "OpenBLAS 0.3.21 …; eigenvalues up to 200 rows: …".
const char* eigen_library(const CpuContext& context);
const char* eigen_library(const CudaContext& context);

/// Solvers of a CUDA device.
enum class EigenSolver {
    block,    ///< own kernel (kernels/group/eigen.hpp), one block per matrix
    batched,  ///< cusolverDnXsyevBatched
    single,   ///< cusolverDnXsyevd, one matrix at a time
};

/// Largest matrix of the own kernel.
inline constexpr Index most_block_rows = 64;

/// Largest matrix that is solved in a batch: one larger matrix fills a device.
inline constexpr Index most_batched_rows = 512;

/// The own kernel for eigenvalues alone of matrices that fit into it, else batches as long as one matrix does
/// not fill a device. Both limits are design values that have not been measured on a GPU.
constexpr EigenSolver cuda_eigen_solver(Index matrices, Index n, bool vectors) {
    if (!vectors && n <= most_block_rows) return EigenSolver::block;
    return matrices > 1 && n <= most_batched_rows ? EigenSolver::batched : EigenSolver::single;
}

/// Returns true if symmetric_eigenvectors is to be called for several matrices at once, which takes a copy of
/// them: on a device, where one call and one transfer take the place of one for each matrix. On the CPU each
/// matrix is solved where it is.
constexpr bool batches_eigenvectors(const CpuContext& /*context*/, Index /*matrices*/, Index /*n*/) {
    return false;
}
constexpr bool batches_eigenvectors(const CudaContext& /*context*/, Index matrices, Index n) {
    return cuda_eigen_solver(matrices, n, true) == EigenSolver::batched;
}

}  // namespace espectra
