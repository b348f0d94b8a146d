#pragma once

#include "espectra/runtime/view.hpp"

#include <cstddef>

namespace espectra {

class CpuContext;
class CudaContext;

/// Eigenvalues of symmetric matrices, ascending. Reads the upper triangle (row-major) of each of the [R, n,
/// n] matrices and destroys both triangles; eigenvalues are [R, n]. Throws NumericalError if the algorithm
/// does not converge. On the CPU several matrices are solved one per core, a single large one with all cores.
void symmetric_eigenvalues(CpuContext& context, View<double, 3> matrices, View<double, 2> eigenvalues);
void symmetric_eigenvalues(CudaContext& context, View<double, 3, Space::device> matrices,
                           View<double, 2, Space::device> eigenvalues);

/// As symmetric_eigenvalues; row e of each matrix becomes the unit eigenvector of eigenvalue e.
void symmetric_eigenvectors(CpuContext& context, View<double, 3> matrices, View<double, 2> eigenvalues);
void symmetric_eigenvectors(CudaContext& context, View<double, 3, Space::device> matrices,
                            View<double, 2, Space::device> eigenvalues);

/// Bytes of workspace, beside the matrix, that one matrix of size n takes.
std::size_t eigen_workspace_bytes(const CpuContext& context, Index n, bool vectors);
std::size_t eigen_workspace_bytes(const CudaContext& context, Index n, bool vectors);

/// What solves them, for records: "OpenBLAS 0.3.21 dsyevd, …".
const char* eigen_library(const CpuContext& context);

}  // namespace espectra
