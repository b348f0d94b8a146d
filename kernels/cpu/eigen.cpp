#include "espectra/kernels/eigen.hpp"

#include <algorithm>
#include <vector>

#include <lapacke.h>

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/runtime/error.hpp"

namespace espectra {

namespace {

/// From this size on the two-stage reduction (to a band, then to tridiagonal form) is faster on one thread; measured
/// with `espectra benchmark eigen`.
constexpr Index two_stage_from = 2500;

/// From this size on one matrix is worth several threads.
constexpr Index threaded_from = 512;

// Row-major upper is LAPACK's column-major lower.
constexpr char lower = 'L';

double* workspace(Arena& arena, double size) { return arena.take<double>(static_cast<Index>(size)); }

void eigenvalues(View<double, 2> matrix, double* values, bool two_stage, Arena& arena) {
    const auto n = static_cast<lapack_int>(matrix.extent[0]);
    const auto ld = static_cast<lapack_int>(std::max<Index>(1, matrix.stride[0]));
    const auto routine = two_stage ? LAPACKE_dsyevd_2stage_work : LAPACKE_dsyevd_work;
    const char* name = two_stage ? "dsyevd_2stage" : "dsyevd";
    double size = 0;
    lapack_int integer_size = 0;
    check_lapack(name, routine(LAPACK_COL_MAJOR, 'N', lower, n, matrix.data, ld, values, &size, -1, &integer_size, -1));
    Arena::Frame frame(arena);
    double* work = workspace(arena, size);
    lapack_int* integers = arena.take<lapack_int>(integer_size);
    check_lapack(name, routine(LAPACK_COL_MAJOR, 'N', lower, n, matrix.data, ld, values, work,
                               static_cast<lapack_int>(size), integers, integer_size));
}

void eigenvectors(View<double, 2> matrix, double* values, Arena& arena) {
    const auto n = static_cast<lapack_int>(matrix.extent[0]);
    const auto ld = static_cast<lapack_int>(std::max<Index>(1, matrix.stride[0]));
    double size = 0;
    lapack_int integer_size = 0;
    check_lapack("dsyevd", LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', lower, n, matrix.data, ld, values, &size, -1,
                                               &integer_size, -1));
    Arena::Frame frame(arena);
    double* work = workspace(arena, size);
    lapack_int* integers = arena.take<lapack_int>(integer_size);
    // Columns of the column-major result are rows of ours.
    check_lapack("dsyevd", LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', lower, n, matrix.data, ld, values, work,
                                               static_cast<lapack_int>(size), integers, integer_size));
}

/// Several matrices: one per thread. A single large one: all threads.
template <class Solve>
void solve_batch(CpuContext& context, View<double, 3> matrices, Solve&& solve) {
    const Index count = matrices.extent[0], n = matrices.extent[1];
    if (n == 0) return;
    blas::use_one_thread();
    if (n >= threaded_from && count < context.threads()) {
        const blas::Threads threads(context.threads());
        for (Index r = 0; r < count; ++r) solve(r, true, context.arena());
    } else {
        context.parallel_for(count, [&](Index r, int worker) { solve(r, false, context.arena(worker)); });
    }
}

}  // namespace

void symmetric_eigenvalues(CpuContext& context, View<double, 3> matrices, View<double, 2> values) {
    require_equal("symmetric_eigenvalues: columns", matrices.extent[1], matrices.extent[2]);
    solve_batch(context, matrices, [&](Index r, bool, Arena& arena) {
        eigenvalues(matrices[r], &values(r, 0), matrices.extent[1] >= two_stage_from, arena);
    });
}

void symmetric_eigenvectors(CpuContext& context, View<double, 3> matrices, View<double, 2> values) {
    require_equal("symmetric_eigenvectors: columns", matrices.extent[1], matrices.extent[2]);
    solve_batch(context, matrices,
                [&](Index r, bool, Arena& arena) { eigenvectors(matrices[r], &values(r, 0), arena); });
}

std::size_t eigen_workspace_bytes(const CpuContext& /*context*/, Index n, bool vectors) {
    // dsyevd: 2n + 1 without, 1 + 6n + 2n² with vectors, and 3 + 5n integers; two-stage: a band of 32 to 128 and its
    // reflectors.
    const auto size = static_cast<std::size_t>(n);
    const std::size_t doubles = vectors ? 1 + 6 * size + 2 * size * size : (n >= two_stage_from ? 300 : 2) * size + 1;
    return doubles * sizeof(double) + (3 + 5 * size) * sizeof(lapack_int);
}

const char* eigen_library(const CpuContext& /*context*/) { return blas::library(); }

}  // namespace espectra
