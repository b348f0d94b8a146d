#pragma once

#include "espectra/runtime/view.hpp"

#include <cstddef>

namespace espectra {

class CpuContext;
class CudaContext;

/// Eigenvalues of symmetric matrices, ascending. Reads the upper triangle (row-major) of each of the [R, n,
/// n] matrices and destroys both triangles; eigenvalues are [R, n]. Throws NumericalError if the algorithm
/// does not converge; entries that are not finite end in that or in eigenvalues that are not finite. On the
/// CPU small matrices are solved several at a time on each core (kernels/cpu/eigen/interleaved.hpp), larger
/// ones one per core, a single large one with all cores.
void symmetric_eigenvalues(CpuContext& context, View<double, 3> matrices, View<double, 2> eigenvalues);
void symmetric_eigenvalues(CudaContext& context, View<double, 3, Space::device> matrices,
                           View<double, 2, Space::device> eigenvalues);

/// As symmetric_eigenvalues; row e of each matrix becomes the unit eigenvector of eigenvalue e.
void symmetric_eigenvectors(CpuContext& context, View<double, 3> matrices, View<double, 2> eigenvalues);
void symmetric_eigenvectors(CudaContext& context, View<double, 3, Space::device> matrices,
                            View<double, 2, Space::device> eigenvalues);

/// Bytes of workspace, beside the matrices, that `matrices` of size n at a time take.
std::size_t eigen_workspace_bytes(const CpuContext& context, Index matrices, Index n, bool vectors);
std::size_t eigen_workspace_bytes(CudaContext& context, Index matrices, Index n, bool vectors);

/// What solves them, for records: "OpenBLAS 0.3.21 …; eigenvalues up to 200 rows: …".
const char* eigen_library(const CpuContext& context);
const char* eigen_library(const CudaContext& context);

/// What solves them on a CUDA device.
enum class EigenSolver {
    block,    ///< own kernel (kernels/group/eigen.hpp), one block per matrix
    batched,  ///< cusolverDnXsyevBatched
    single,   ///< cusolverDnXsyevd, one matrix after the other
};

/// Largest matrix of the own kernel.
inline constexpr Index most_block_rows = 64;

/// Own kernel where a matrix fits into it and no vectors are asked for; batches as long as one matrix alone
/// does not fill a device. Both limits are design values: not measured on a GPU yet.
constexpr EigenSolver cuda_eigen_solver(Index matrices, Index n, bool vectors) {
    constexpr Index most_batched_rows = 512;
    if (!vectors && n <= most_block_rows) return EigenSolver::block;
    return matrices > 1 && n <= most_batched_rows ? EigenSolver::batched : EigenSolver::single;
}

}  // namespace espectra
