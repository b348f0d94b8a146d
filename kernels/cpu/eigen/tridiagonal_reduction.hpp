#pragma once

#include "espectra/kernels/cpu/eigen/packed_matrices.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <algorithm>
#include <utility>

// Householder's reduction to tridiagonal form of packed matrices, one per lane (Golub and Van Loan, algorithm
// 8.3.1).

namespace espectra::interleaved {

// Internal linkage lets GCC specialise and inline these functions for their callers.
namespace {

using simd::broadcast, simd::multiply_add;

/// Scratch of the reduction, in vectors.
template <class V>
struct ReductionScratch {
    ReductionScratch(Arena& arena, Index n)
        : packed(arena.take<V>(row_begin(n))),
          v(arena.take<V>(n)),
          w(arena.take<V>(n)),
          u(arena.take<V>(n)),
          p(arena.take<V>(n)) {}
    V *packed, *v, *w, *u, *p;
};
/// Number of these vectors.
constexpr Index reduction_vectors(Index n) { return row_begin(n) + 4 * n; }

/// Subtracts v wᵀ + w vᵀ from `Rows` rows of A, beginning at row `begin`, and forms these rows' part of
/// p = A u. The order of the terms of p does not depend on Rows.
template <int Rows, class V>
void update_rows(Index begin, V* packed, const V* v, const V* w, const V* u, V* p) {
    V* rows[Rows];
    V vi[Rows], wi[Rows], ui[Rows], sum[Rows];
    for (int r = 0; r < Rows; ++r) {
        rows[r] = packed + row_begin(begin + r);
        vi[r] = -v[begin + r];
        wi[r] = -w[begin + r];
        ui[r] = u[begin + r];
        sum[r] = V{};
    }
    for (Index j = 0; j < begin; ++j) {
        const V vj = v[j], wj = w[j], uj = u[j];
        V pj = p[j];
        for (int r = 0; r < Rows; ++r) {
            const V a = multiply_add(vi[r], wj, multiply_add(wi[r], vj, rows[r][j]));
            rows[r][j] = a;
            sum[r] = multiply_add(a, uj, sum[r]);
            pj = multiply_add(a, ui[r], pj);
        }
        p[j] = pj;
    }
    for (int r = 0; r < Rows; ++r) {
        for (int c = 0; c <= r; ++c) {
            const Index j = begin + c;
            const V a = multiply_add(vi[r], w[j], multiply_add(wi[r], v[j], rows[r][j]));
            rows[r][j] = a;
            sum[r] = multiply_add(a, u[j], sum[r]);
            if (c < r) p[j] = multiply_add(a, ui[r], p[j]);
        }
        p[begin + r] = sum[r];
    }
}

/// Σ term(i), i < count, in four partial sums.
template <class V, class Term>
V sum_in_four(Index count, Term&& term) {
    V partial[4] = {};
    Index i = 0;
    for (; i + 4 <= count; i += 4)
        for (int k = 0; k < 4; ++k) partial[k] = term(i + k, partial[k]);
    for (int k = 0; i < count; ++i, ++k) partial[k] = term(i, partial[k]);
    return (partial[0] + partial[1]) + (partial[2] + partial[3]);
}

/// Reduces packed matrices from the last row to the first, and writes the diagonal and the squares of the
/// subdiagonal entries, `stride` apart. The update of a step is applied in the next step's pass over the
/// matrix.
template <class V>
void tridiagonalize(Index n, const ReductionScratch<V>& scratch, V* diagonal, V* squares, Index stride) {
    V *v = scratch.v, *w = scratch.w, *u = scratch.u, *p = scratch.p;
    std::fill_n(v, n, V{});
    std::fill_n(w, n, V{});
    const auto finish_row = [&](Index k) {
        V* row = scratch.packed + row_begin(k);
        for (Index j = 0; j <= k; ++j) row[j] = multiply_add(-v[k], w[j], multiply_add(-w[k], v[j], row[j]));
        diagonal[k * stride] = row[k];
        return row;
    };
    for (Index k = n - 1; k >= 2; --k) {
        // x, the row before the diagonal, becomes (0, …, 0, beta) by I − tau u uᵀ with u = (…, 1).
        const V* x = finish_row(k);
        const V rest =
            sum_in_four<V>(k - 1, [&](Index i, V total) { return multiply_add(x[i], x[i], total); });
        const V alpha = x[k - 1], one = broadcast<V>(1.0);
        const V root = simd::sqrt(multiply_add(alpha, alpha, rest));
        const V signed_root = alpha < 0.0 ? root : -root;
        // Squares that are nearly subnormal are not precise; leaving them out changes A by 2^−100.
        const V beta = rest > 0x1p-200 ? signed_root : alpha;
        const V divisor = rest > 0x1p-200 ? alpha - beta : one;
        const V tau = rest > 0x1p-200 ? (beta - alpha) / signed_root : V{};
        const V factor = rest > 0x1p-200 ? one / divisor : V{};
        squares[(k - 1) * stride] = beta * beta;
        for (Index i = 0; i + 1 < k; ++i) u[i] = x[i] * factor;
        u[k - 1] = one;

        constexpr int rows = lane_count<V> == simd::lanes && simd::lanes < 8 ? 2 : 4;
        Index i = 0;
        for (; i + rows <= k; i += rows) update_rows<rows>(i, scratch.packed, v, w, u, p);
        for (; i < k; ++i) update_rows<1>(i, scratch.packed, v, w, u, p);

        const V product =
            sum_in_four<V>(k, [&](Index j, V total) { return multiply_add(p[j], u[j], total); });
        const V half = -0.5 * tau * tau * product;
        for (Index j = 0; j < k; ++j) w[j] = multiply_add(half, u[j], tau * p[j]);
        std::swap(u, v);
    }
    if (n > 1) {
        const V subdiagonal = finish_row(1)[0];
        squares[0] = subdiagonal * subdiagonal;
    }
    finish_row(0);
    squares[(n - 1) * stride] = V{};
}

}  // namespace

}  // namespace espectra::interleaved
