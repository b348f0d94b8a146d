#pragma once

#include "espectra/kernels/cpu/eigen/interleaved.hpp"
#include "espectra/kernels/cpu/eigen/packed_matrices.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <type_traits>

// Eigenvalues of tridiagonal matrices, one per lane, by the QL algorithm without square roots (Pal, Walker
// and Kahan; Parlett, The Symmetric Eigenvalue Problem, 1980, section 8.15).

namespace espectra::interleaved {

// Internal linkage lets GCC specialise and inline these functions for their callers.
namespace {

using simd::broadcast, simd::multiply_add;

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// The sweeps that LAPACK allows for the largest matrix; random matrices take 2.1 n to 2.5 n.
inline constexpr int most_sweeps = 30 * static_cast<int>(most_interleaved_rows);

template <class V>
V magnitude(V a) {
    return a < 0.0 ? -a : a;
}

template <class V>
V larger(V a, V b) {
    return a > b ? a : b;
}

/// Sets squares of off-diagonal entries below 2^−106 of the largest square of an entry to zero; returns that
/// bound.
template <int Vectors, class V>
V drop_small_squares(Index n, int k, const V* diagonal, V* squares) {
    V most = {};
    for (Index i = 0; i < n; ++i) {
        const V d = diagonal[i * Vectors + k];
        most = larger(most, larger(d * d, squares[i * Vectors + k]));
    }
    const V tolerance = most * 0x1p-106;
    for (Index i = 0; i < n; ++i) {
        V& square = squares[i * Vectors + k];
        square = square > tolerance ? square : V{};
    }
    return tolerance;
}

/// Start of a sweep: for each lane its first row that is left, and the entries of the leading 2 × 2 block
/// from there on.
template <int Vectors, class V>
struct SweepStart {
    V rows_done[Vectors], d0[Vectors], d1[Vectors], e0[Vectors];
    Index lowest, highest;  ///< of the first rows

    /// Moves first[lane] past the rows whose off-diagonal entry is zero.
    [[gnu::always_inline]] SweepStart(Index n, const V* diagonal, const V* squares, Index* first)
        : lowest(n - 1), highest(0) {
        const auto entry = [](const V* values, Index row, int lane) {
            return reinterpret_cast<const double*>(values + row * Vectors)[lane];
        };
        for (int lane = 0; lane < lane_count<V> * Vectors; ++lane) {
            Index row = first[lane];
            while (row + 1 < n && entry(squares, row, lane) == 0) ++row;
            first[lane] = row;
            lowest = std::min(lowest, row);
            highest = std::max(highest, row);
            const Index next = std::min(row + 1, n - 1);
            lane_of(rows_done, lane) = static_cast<double>(row);
            lane_of(d0, lane) = entry(diagonal, row, lane);
            lane_of(d1, lane) = entry(diagonal, next, lane);
            lane_of(e0, lane) = entry(squares, row, lane);
        }
    }
};

/// QL sweeps without square roots on the tridiagonal matrices in the lanes of `Vectors` vectors each: [n,
/// Vectors, lane] diagonals, which become the eigenvalues, and squares of the off-diagonal entries. All lanes
/// sweep from the last row up to where they have rows left, each with the shift of its own, that of the
/// leading 2 × 2 block. An off-diagonal entry below 2^−53 of the largest entry is zero, and the next sweep
/// stops short of it. With p = γ²/c and r = p + e² the step is
///   γ' = (p(d − σ) − e²γ)/r,  p' = (p(d − σ) − e²γ)²/(r p),  s = e²/r,
/// one division; γ stays away from zero by 2^−150, so that p does. A lane that does not converge becomes NaN.
template <int Vectors, class V>
void sweep_until_diagonal(Index n, V* diagonal, V* squares) {
    constexpr int width = lane_count<V> * Vectors;
    constexpr double least = 0x1p-150;
    const auto guarded = [](V t, V bound) {
        const V size = larger(magnitude(t), bound);
        return t < 0.0 ? -size : size;
    };
    V tolerance[Vectors];
    for (int k = 0; k < Vectors; ++k) tolerance[k] = drop_small_squares<Vectors>(n, k, diagonal, squares);
    Index first[width] = {};
    for (int sweep = 0; sweep < most_sweeps; ++sweep) {
        const SweepStart<Vectors, V> start(n, diagonal, squares, first);
        if (start.lowest == n - 1) return;
        V shift[Vectors], gamma[Vectors], p[Vectors], s[Vectors];
        for (int k = 0; k < Vectors; ++k) {
            const V d0 = start.d0[k], e0 = start.e0[k];
            const V half = 0.5 * (start.d1[k] - d0);
            const V root = simd::sqrt(multiply_add(half, half, e0));
            const V denominator = half < 0.0 ? half - root : half + root;
            shift[k] = d0 - (e0 > 0.0 ? e0 / denominator : V{});
            gamma[k] = guarded(diagonal[(n - 1) * Vectors + k] - shift[k], broadcast<V>(least));
            p[k] = gamma[k] * gamma[k];
            s[k] = V{};
        }
        const auto step = [&](Index i, auto every_lane) {
            const V row = broadcast<V>(static_cast<double>(i));
            for (int k = 0; k < Vectors; ++k) {
                V &d = diagonal[(i + 1) * Vectors + k], &e = squares[(i + 1) * Vectors + k];
                const V d_above = diagonal[i * Vectors + k], square = squares[i * Vectors + k];
                const V new_e = s[k] * (p[k] + square);
                e = new_e > tolerance[k] ? new_e : V{};
                const V pivot = square > 0.0 ? p[k] : broadcast<V>(1.0);
                const V r = pivot + square;
                const V t = guarded(multiply_add(pivot, d_above - shift[k], -(square * gamma[k])), least * r);
                const V q = 1.0 / (r * pivot);
                const V inverse = pivot * q;
                const V next = t * inverse;
                s[k] = square * inverse;
                p[k] = t * t * q;
                if constexpr (every_lane) {
                    d = gamma[k] + (d_above - next);
                } else {
                    const V new_d = gamma[k] + (row < start.rows_done[k] ? shift[k] : d_above - next);
                    d = row + 1.0 < start.rows_done[k] ? d : new_d;
                }
                gamma[k] = next;
            }
        };
        Index i = n - 2;
        for (; i >= start.highest; --i) step(i, std::true_type{});
        for (; i >= start.lowest; --i) step(i, std::false_type{});
        const V row = broadcast<V>(static_cast<double>(start.lowest));
        for (int k = 0; k < Vectors; ++k) {
            V &d = diagonal[start.lowest * Vectors + k], &e = squares[start.lowest * Vectors + k];
            const V new_e = s[k] * p[k];
            e = new_e > tolerance[k] ? new_e : V{};
            d = row < start.rows_done[k] ? d : gamma[k] + shift[k];
        }
    }
    for (int lane = 0; lane < width; ++lane)
        for (Index i = 0; i < n && first[lane] + 1 < n; ++i)
            lane_of(diagonal + i * Vectors, lane) = not_a_number;
}

/// Sorts each lane of [n, vectors] in ascending order, by Batcher's network (Knuth, The Art of Computer
/// Programming 3, algorithm 5.2.2M).
template <class V>
void sort_lanes(Index n, int vectors, V* values) {
    if (n < 2) return;
    const auto top = static_cast<Index>(std::bit_ceil(static_cast<std::size_t>(n)) / 2);
    for (Index p = top; p > 0; p /= 2) {
        Index r = 0, d = p;
        for (Index q = top;; q /= 2) {
            for (Index i = 0; i + d < n; ++i) {
                if ((i & p) != r) continue;
                for (int k = 0; k < vectors; ++k) {
                    V &low = values[i * vectors + k], &high = values[(i + d) * vectors + k];
                    const V a = low, b = high;
                    low = b < a ? b : a;
                    high = b < a ? a : b;
                }
            }
            if (q == p) break;
            d = q - p;
            r = p;
        }
    }
}

}  // namespace

}  // namespace espectra::interleaved
