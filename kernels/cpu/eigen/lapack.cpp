#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/cpu/eigen/interleaved.hpp"
#include "espectra/kernels/cpu/eigen/two_stage_lapack.hpp"
#include "espectra/kernels/eigen.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <lapacke.h>

#include <algorithm>
#include <string>

namespace espectra {

namespace {

/// Size from which the reduction in two stages is faster than dsyevd, whose first half is bound by memory;
/// measured with `espectra benchmark eigen`.
constexpr Index two_stage_from = 2400;

/// Size from which one matrix is solved on several threads.
constexpr Index threaded_from = 384;

/// Width of the band between the stages.
constexpr int band = 48;

// The row-major upper triangle is LAPACK's column-major lower one.
constexpr char lower = 'L';

/// A symmetric matrix in LAPACK's terms.
struct Operand {
    explicit Operand(View<double, 2> matrix)
        : n(static_cast<int>(matrix.extent[0])), ld(static_cast<int>(matrix.stride[0])), data(matrix.data) {}
    int n, ld;
    double* data;
};

/// Sizes of dsyevd's two workspaces.
struct Workspace {
    Index doubles;
    int integers;
};

Workspace dsyevd_workspace(int n, bool vectors) {
    double size = 0;
    int integers = 0;
    const char job = vectors ? 'V' : 'N';
    // The size for vectors, 1 + 6n + 2n², has to fit LAPACK's 32-bit integers.
    constexpr int most = 32765;
    if (vectors && n > most)
        throw ResourceError(fmt::format(
            "eigenvectors: at most {} parameters (LAPACK's 32-bit workspace size), got {}", most, n));
    check_lapack("dsyevd", LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, lower, n, nullptr, std::max(1, n),
                                               nullptr, &size, -1, &integers, -1));
    return {static_cast<Index>(size), integers};
}

void dsyevd(Operand a, double* values, bool vectors, Arena& arena) {
    const Workspace sizes = dsyevd_workspace(a.n, vectors);
    Arena::Frame frame(arena);
    double* work = arena.take<double>(sizes.doubles);
    int* integers = arena.take<int>(sizes.integers);
    // With vectors: columns of the column-major result are rows of the row-major one.
    check_lapack("dsyevd",
                 LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, vectors ? 'V' : 'N', lower, a.n, a.data, a.ld, values,
                                     work, static_cast<int>(sizes.doubles), integers, sizes.integers));
}

/// Sizes of the arrays that the two stages take.
struct TwoStageSizes {
    int first_work = 0, reflectors = 0, second_work = 0;
};

TwoStageSizes two_stage_sizes(int n) {
    const int ldab = band + 1, query = -1;
    int info = 0;
    double first = 0, reflectors = 0, second = 0;
    dsytrd_sy2sb_(&lower, &n, &band, nullptr, &n, nullptr, &ldab, nullptr, &first, &query, &info, 1);
    check_lapack("dsytrd_sy2sb", info);
    dsytrd_sb2st_("Y", "N", &lower, &n, &band, nullptr, &ldab, nullptr, nullptr, &reflectors, &query, &second,
                  &query, &info, 1, 1, 1);
    check_lapack("dsytrd_sb2st", info);
    return {static_cast<int>(first), static_cast<int>(reflectors), static_cast<int>(second)};
}

/// Computes eigenvalues by the two stages. The first consists of matrix products and uses all threads; the
/// second consists of many small steps, which several threads only slow down: `between` is called before it.
template <class Between>
void two_stage(Operand a, double* values, Arena& arena, Between&& between) {
    const TwoStageSizes sizes = two_stage_sizes(a.n);
    const int ldab = band + 1;
    int info = 0;
    Arena::Frame frame(arena);
    double* ab = arena.take<double>(static_cast<Index>(ldab) * a.n);
    double* tau = arena.take<double>(a.n);
    double* off_diagonal = arena.take<double>(a.n);
    double* reflectors = arena.take<double>(sizes.reflectors);
    double* work = arena.take<double>(std::max(sizes.first_work, sizes.second_work));
    dsytrd_sy2sb_(&lower, &a.n, &band, a.data, &a.ld, ab, &ldab, tau, work, &sizes.first_work, &info, 1);
    check_lapack("dsytrd_sy2sb", info);
    between();
    dsytrd_sb2st_("Y", "N", &lower, &a.n, &band, ab, &ldab, values, off_diagonal, reflectors,
                  &sizes.reflectors, work, &sizes.second_work, &info, 1, 1, 1);
    check_lapack("dsytrd_sb2st", info);
    check_lapack("dsterf", LAPACKE_dsterf_work(a.n, values, off_diagonal));
}

/// Returns true if the squares of the entries stay in the range of double. dsyevd scales other matrices; the
/// two stages do not.
bool in_range(View<double, 2> matrix) {
    const double largest =
        LAPACKE_dlansy_work(LAPACK_COL_MAJOR, 'M', lower, static_cast<int>(matrix.extent[0]), matrix.data,
                            static_cast<int>(matrix.stride[0]), nullptr);
    return largest > 1e-140 && largest < 1e140;
}

bool on_all_threads(const CpuContext& context, Index matrices, Index n) {
    return n >= threaded_from && matrices < context.threads();
}

/// Calls solve(matrix index, arena, between) for each matrix: several matrices one per thread, a single large
/// one on all threads of the library, which `between` sets back to one.
template <class Solve>
void solve_batch(CpuContext& context, View<double, 3> matrices, Solve&& solve) {
    const Index count = matrices.extent[0], n = matrices.extent[1];
    if (n == 0) return;
    if (on_all_threads(context, count, n)) {
        blas::SeveralThreads threads(context.threads());
        for (Index r = 0; r < count; ++r) {
            solve(r, context.arena(), [&] { threads.set(1); });
            threads.set(context.threads());
        }
    } else {
        context.parallel_for(count, [&](Index r, int worker) {
            const blas::OneThread one;
            solve(r, context.arena(worker), [] {});
        });
    }
}

}  // namespace

void symmetric_eigenvalues(CpuContext& context, const Eigenproblems<Space::host>& problems) {
    require_shapes(problems);
    const auto& matrices = problems.matrices;
    const auto& values = problems.eigenvalues;
    if (matrices.extent[1] <= most_interleaved_rows)
        return interleaved_eigenvalues(context, matrices, values);
    solve_batch(context, matrices, [&](Index r, Arena& arena, auto&& between) {
        if (matrices.extent[1] >= two_stage_from && in_range(matrices[r]))
            two_stage(Operand(matrices[r]), &values(r, 0), arena, between);
        else
            dsyevd(Operand(matrices[r]), &values(r, 0), false, arena);
    });
}

void symmetric_eigenvectors(CpuContext& context, const Eigenproblems<Space::host>& problems) {
    require_shapes(problems);
    const auto& matrices = problems.matrices;
    const auto& values = problems.eigenvalues;
    solve_batch(context, matrices, [&](Index r, Arena& arena, auto&&) {
        dsyevd(Operand(matrices[r]), &values(r, 0), true, arena);
    });
}

std::size_t eigen_workspace_bytes(const CpuContext& context, Index matrices, Index n, bool vectors) {
    if (n == 0 || matrices == 0) return 0;
    if (n <= most_interleaved_rows && !vectors) return interleaved_eigen_bytes(context, matrices, n);
    const int size = static_cast<int>(n);
    const Workspace dense = dsyevd_workspace(size, vectors);
    std::size_t bytes = static_cast<std::size_t>(dense.doubles) * sizeof(double) +
                        static_cast<std::size_t>(dense.integers) * sizeof(int);
    if (n >= two_stage_from && !vectors) {
        const TwoStageSizes stages = two_stage_sizes(size);
        const Index doubles =
            (band + 3) * n + stages.reflectors + std::max(stages.first_work, stages.second_work);
        bytes = std::max(bytes, static_cast<std::size_t>(doubles) * sizeof(double));
    }
    const Index at_a_time =
        on_all_threads(context, matrices, n) ? 1 : std::min<Index>(matrices, context.threads());
    return static_cast<std::size_t>(at_a_time) * bytes;
}

const char* eigen_library(const CpuContext& /*context*/) {
    static const std::string library = fmt::format("{}; eigenvalues up to {} rows: {}", blas::library(),
                                                   most_interleaved_rows, interleaved_eigen_name());
    return library.c_str();
}

}  // namespace espectra
