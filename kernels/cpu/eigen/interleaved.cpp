#include "espectra/kernels/cpu/eigen/interleaved.hpp"

#include "espectra/kernels/cpu/eigen/packed_matrices.hpp"
#include "espectra/kernels/cpu/eigen/tridiagonal_ql.hpp"
#include "espectra/kernels/cpu/eigen/tridiagonal_reduction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

namespace espectra {
namespace {

using namespace interleaved;

/// Vectors of tridiagonal matrices that are solved together, which hides the latency of division.
constexpr int most_vectors = 4;

constexpr std::size_t scratch_bytes(Index n, Index vector_lanes, Index vectors) {
    return static_cast<std::size_t>((reduction_vectors(n) + 2 * n * vectors) * vector_lanes + n) *
               sizeof(double) +
           8 * 64;
}

/// Solves `count` matrices, up to Vectors · lanes, beginning with matrix `begin`.
template <int Vectors, class V>
void solve(View<const double, 3> matrices, View<double, 2> values, Index begin, Index count, Arena& arena) {
    constexpr int width = lane_count<V> * Vectors;
    const Index n = matrices.extent[1];
    Arena::Frame frame(arena);
    Shape shapes[width];
    View<const double, 2> operands[width];
    auto* largest = arena.take<std::int64_t>(n);
    Index rows = 0, some = -1;
    for (int lane = 0; lane < count; ++lane) {
        operands[lane] = matrices[begin + lane];
        shapes[lane] = shape_of(operands[lane], largest);
        rows = std::max(rows, shapes[lane].coupled);
        if (shapes[lane].coupled > 0) some = lane;
    }
    for (int lane = 0; lane < count; ++lane)
        if (shapes[lane].coupled == 0) std::fill_n(&values(begin + lane, 0), n, not_a_number);
    if (some < 0) return;
    // Lanes without a matrix of their own repeat one.
    Shape used[width];
    for (int lane = 0; lane < width; ++lane) {
        const bool idle = lane >= count || shapes[lane].coupled == 0;
        used[lane] = shapes[idle ? some : lane];
        if (idle) operands[lane] = operands[some];
    }

    const ReductionScratch<V> scratch(arena, rows);
    V *diagonal = arena.take<V>(rows * Vectors), *squares = arena.take<V>(rows * Vectors);
    for (int k = 0; k < Vectors; ++k) {
        pack(operands + k * lane_count<V>, used + k * lane_count<V>, rows, scratch.packed);
        tridiagonalize(rows, scratch, diagonal + k, squares + k, Vectors);
    }
    sweep_until_diagonal<Vectors>(rows, diagonal, squares);
    for (int lane = 0; lane < width; ++lane)
        for (Index i = used[lane].coupled; i < rows; ++i)
            lane_of(diagonal + i * Vectors, lane) = std::numeric_limits<double>::infinity();
    sort_lanes(rows, Vectors, diagonal);
    for (int lane = 0; lane < count; ++lane) {
        const auto [coupled, scale, inverse] = shapes[lane];
        if (coupled == 0) continue;
        double* result = &values(begin + lane, 0);
        for (Index i = 0; i < coupled; ++i) result[i] = lane_of(diagonal + i * Vectors, lane) * inverse;
        if (coupled == n) continue;
        for (Index i = coupled; i < n; ++i) result[i] = operands[lane](i, i);
        std::sort(result + coupled, result + n);
        std::inplace_merge(result, result + coupled, result + n);
    }
}

/// Division of matrices into tasks: where possible each thread has equally many, and their vectors are full.
struct Division {
    Division(const CpuContext& context, Index matrices) {
        const Index threads = context.threads(), most = simd::lanes * most_vectors;
        const Index rounds = (matrices + threads * most - 1) / (threads * most);
        at_a_time = (matrices + threads * rounds - 1) / (threads * rounds);
        if (at_a_time > simd::lanes) at_a_time = (at_a_time + simd::lanes - 1) / simd::lanes * simd::lanes;
        tasks = (matrices + at_a_time - 1) / at_a_time;
    }
    Index at_a_time, tasks;
};

/// Solves `count` matrices in vectors of the smallest type that they fit into.
template <int Lanes = simd::lanes>
void solve_task(View<const double, 3> matrices, View<double, 2> values, Index begin, Index count,
                Arena& arena) {
    if constexpr (Lanes > 1)
        if (count <= Lanes / 2) return solve_task<Lanes / 2>(matrices, values, begin, count, arena);
    using V = simd::VectorOf<Lanes>;
    if constexpr (Lanes == simd::lanes) {
        static_assert(most_vectors == 4);
        if (count > 3 * Lanes) return solve<4, V>(matrices, values, begin, count, arena);
        if (count > 2 * Lanes) return solve<3, V>(matrices, values, begin, count, arena);
        if (count > Lanes) return solve<2, V>(matrices, values, begin, count, arena);
    }
    solve<1, V>(matrices, values, begin, count, arena);
}

}  // namespace

void interleaved_eigenvalues(CpuContext& context, View<const double, 3> matrices, View<double, 2> values) {
    const Index count = matrices.extent[0], n = matrices.extent[1];
    if (n == 0 || count == 0) return;
    const Division division(context, count);
    context.parallel_for(division.tasks, [&](Index task, int worker) {
        const Index begin = task * division.at_a_time;
        solve_task(matrices, values, begin, std::min(division.at_a_time, count - begin),
                   context.arena(worker));
    });
}

std::size_t interleaved_eigen_bytes(const CpuContext& context, Index matrices, Index n) {
    if (n == 0 || matrices == 0) return 0;
    const Division division(context, matrices);
    const auto workers = static_cast<std::size_t>(std::min<Index>(division.tasks, context.threads()));
    const Index width =
        std::bit_ceil(static_cast<std::size_t>(std::min<Index>(division.at_a_time, simd::lanes)));
    return workers * scratch_bytes(n, width, (division.at_a_time + width - 1) / width);
}

std::string interleaved_eigen_name() {
#ifdef __FMA__
    constexpr const char* arithmetic = " with fused multiply-add";
#else
    constexpr const char* arithmetic = "";
#endif
    return fmt::format("QL interleaved in {} lanes{}", simd::lanes, arithmetic);
}

}  // namespace espectra
