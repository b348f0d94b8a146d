#include "espectra/kernels/cpu/eigen/interleaved.hpp"

#include <fmt/format.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

namespace espectra {
namespace {

// A lane type V is double or a vector of doubles; the same code runs on all of them, element by element, so
// that a matrix has the same bits in each.

template <int Lanes>
struct LaneType;
template <>
struct LaneType<1> {
    using Type = double;
};
template <>
struct LaneType<2> {
    using Type = double __attribute__((vector_size(16)));
};
template <>
struct LaneType<4> {
    using Type = double __attribute__((vector_size(32)));
};
template <>
struct LaneType<8> {
    using Type = double __attribute__((vector_size(64)));
};
template <int Lanes>
using Vector = typename LaneType<Lanes>::Type;

template <class V>
constexpr int lanes = sizeof(V) / sizeof(double);

#if defined(__AVX512F__)
constexpr int most_lanes = 8;
#elif defined(__AVX__)
constexpr int most_lanes = 4;
#else
constexpr int most_lanes = 2;
#endif

/// Tridiagonal matrices are solved in so many vectors at once, which hides the latency of division.
constexpr int most_vectors = 4;

template <class V>
V broadcast(double value) {
    return value - V{};
}

// a·b + c, rounded once where the machine can.
template <class V>
V fma(V a, V b, V c) {
#ifdef __FMA__
    if constexpr (lanes<V> == 1) return __builtin_fma(a, b, c);
    if constexpr (lanes<V> == 2) return _mm_fmadd_pd(a, b, c);
    if constexpr (lanes<V> == 4) return _mm256_fmadd_pd(a, b, c);
#ifdef __AVX512F__
    if constexpr (lanes<V> == 8) return _mm512_fmadd_pd(a, b, c);
#endif
#else
    return a * b + c;
#endif
}

template <class V>
V sqrt(V a) {
    if constexpr (lanes<V> == 1) {
        return std::sqrt(a);
    } else {
        V root;
        for (int lane = 0; lane < lanes<V>; ++lane) root[lane] = std::sqrt(a[lane]);
        return root;
    }
}

template <class V>
double& lane_of(V* values, int lane) {
    return reinterpret_cast<double*>(values)[lane];
}

template <class V>
V magnitude(V a) {
    return a < 0.0 ? -a : a;
}

template <class V>
V larger(V a, V b) {
    return a > b ? a : b;
}

/// Rows 0 … n − 1 of the lower triangle, one after the other.
constexpr Index row_begin(Index row) { return row * (row + 1) / 2; }

/// What a matrix needs before it is packed.
struct Shape {
    Index coupled = 0;   ///< rows up to the last one with a non-zero entry beside the diagonal; 0: not finite
    double scale = 0;    ///< the power of two that brings its largest entry there into [1, 2), or near
    double inverse = 0;  ///< 1 / scale
};

std::int64_t magnitude_bits(double value) {
    return std::bit_cast<std::int64_t>(value) & std::numeric_limits<std::int64_t>::max();
}

/// `largest`: scratch [n].
Shape shape_of(View<const double, 2> matrix, std::int64_t* largest) {
    const Index n = matrix.extent[0];
    // Bits of magnitudes are ordered as these, with NaN above infinity.
    std::int64_t diagonal = 0;
    std::fill_n(largest, n, 0);
    for (Index i = 0; i < n; ++i) {
        const double* row = &matrix(i, 0);
        diagonal = std::max(diagonal, magnitude_bits(row[i]));
        for (Index j = i + 1; j < n; ++j) largest[j] = std::max(largest[j], magnitude_bits(row[j]));
    }
    Shape shape;
    for (Index j = 0; j < n; ++j) {
        diagonal = std::max(diagonal, largest[j]);
        if (largest[j] > 0) shape.coupled = j + 1;
    }
    if (diagonal >= std::bit_cast<std::int64_t>(std::numeric_limits<double>::infinity())) return {};
    shape.coupled = std::max<Index>(shape.coupled, 1);
    std::int64_t most = 0;
    for (Index j = 0; j < shape.coupled; ++j)
        most = std::max({most, largest[j], magnitude_bits(matrix(j, j))});
    const int exponent = std::clamp(1023 - static_cast<int>(most >> 52), -1022, 1022);
    shape.scale = std::ldexp(1.0, exponent);
    shape.inverse = std::ldexp(1.0, -exponent);
    return shape;
}

/// Scratch of one task, in vectors.
template <class V>
struct Scratch {
    Scratch(Arena& arena, Index n, int vectors)
        : packed(arena.take<V>(row_begin(n))),
          v(arena.take<V>(n)),
          w(arena.take<V>(n)),
          u(arena.take<V>(n)),
          p(arena.take<V>(n)),
          diagonal(arena.take<V>(n * vectors)),
          squares(arena.take<V>(n * vectors)) {}
    V *packed, *v, *w, *u, *p, *diagonal, *squares;
};

constexpr std::size_t scratch_bytes(Index n, Index vector_lanes, Index vectors) {
    return static_cast<std::size_t>((row_begin(n) + 4 * n + 2 * n * vectors) * vector_lanes + n) *
               sizeof(double) +
           8 * 64;
}

/// One step of a transposition: exchanges the lanes of a and b that are `Distance` apart.
template <int Distance, class V, int... Lane>
void exchange_lanes(V& a, V& b, std::integer_sequence<int, Lane...>) {
    constexpr int width = lanes<V>;
    const V first = __builtin_shufflevector(a, b, (Lane & Distance ? width + Lane - Distance : Lane)...);
    b = __builtin_shufflevector(a, b, (Lane & Distance ? width + Lane : Lane + Distance)...);
    a = first;
}

/// The square of lanes × lanes entries in `rows`, transposed.
template <int Distance, class V>
void transpose(V* rows) {
    for (int i = 0; i < lanes<V>; ++i)
        if ((i & Distance) == 0)
            exchange_lanes<Distance>(rows[i], rows[i + Distance],
                                     std::make_integer_sequence<int, lanes<V>>{});
    if constexpr (2 * Distance < lanes<V>) transpose<2 * Distance>(rows);
}

/// Upper triangles to [row, column, lane] of the lower triangles, n rows, scaled. Behind its coupled rows a
/// lane has zeros.
template <class V>
void pack(const View<const double, 2>* matrices, const Shape* shapes, Index n, V* packed) {
    constexpr int width = lanes<V>;
    V scale;
    for (int lane = 0; lane < width; ++lane) lane_of(&scale, lane) = shapes[lane].scale;
    for (Index begin = 0; begin < n; begin += width) {
        const Index end = std::min<Index>(begin + width, n);
        Index i = 0;
        if constexpr (width > 1)
            for (; i < begin && end == begin + width; ++i) {
                V rows[width];
                for (int lane = 0; lane < width; ++lane)
                    std::memcpy(rows + lane, &matrices[lane](i, begin), sizeof(V));
                transpose<1>(rows);
                for (int j = 0; j < width; ++j) packed[row_begin(begin + j) + i] = rows[j] * scale;
            }
        for (; i < end; ++i)
            for (Index j = std::max(begin, i); j < end; ++j)
                for (int lane = 0; lane < width; ++lane)
                    lane_of(packed + row_begin(j) + i, lane) = matrices[lane](i, j) * shapes[lane].scale;
    }
    for (int lane = 0; lane < width; ++lane)
        for (Index i = shapes[lane].coupled; i < n; ++i) lane_of(packed + row_begin(i) + i, lane) = 0;
}

/// A − v wᵀ − w vᵀ and p = A u of `Rows` rows from `begin` on. The order of the terms of p does not depend on
/// Rows.
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
            const V a = fma(vi[r], wj, fma(wi[r], vj, rows[r][j]));
            rows[r][j] = a;
            sum[r] = fma(a, uj, sum[r]);
            pj = fma(a, ui[r], pj);
        }
        p[j] = pj;
    }
    for (int r = 0; r < Rows; ++r) {
        for (int c = 0; c <= r; ++c) {
            const Index j = begin + c;
            const V a = fma(vi[r], w[j], fma(wi[r], v[j], rows[r][j]));
            rows[r][j] = a;
            sum[r] = fma(a, u[j], sum[r]);
            if (c < r) p[j] = fma(a, ui[r], p[j]);
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

/// Householder's reduction of packed matrices from the last row on: the diagonal and the squares of the
/// entries below it, `stride` apart. The update of a step is done in the next one's pass over the matrix.
template <class V>
void tridiagonalize(Index n, const Scratch<V>& scratch, V* diagonal, V* squares, Index stride) {
    V *v = scratch.v, *w = scratch.w, *u = scratch.u, *p = scratch.p;
    std::fill_n(v, n, V{});
    std::fill_n(w, n, V{});
    const auto finish_row = [&](Index k) {
        V* row = scratch.packed + row_begin(k);
        for (Index j = 0; j <= k; ++j) row[j] = fma(-v[k], w[j], fma(-w[k], v[j], row[j]));
        diagonal[k * stride] = row[k];
        return row;
    };
    for (Index k = n - 1; k >= 2; --k) {
        // x, the row before the diagonal, becomes (0, …, 0, beta) by I − tau u uᵀ with u = (…, 1).
        const V* x = finish_row(k);
        const V rest = sum_in_four<V>(k - 1, [&](Index i, V total) { return fma(x[i], x[i], total); });
        const V alpha = x[k - 1], one = broadcast<V>(1.0);
        const V root = sqrt(fma(alpha, alpha, rest));
        const V signed_root = alpha < 0.0 ? root : -root;
        // Squares that are nearly subnormal are not precise; leaving them out changes A by 2^−100.
        const V beta = rest > 0x1p-200 ? signed_root : alpha;
        const V divisor = rest > 0x1p-200 ? alpha - beta : one;
        const V tau = rest > 0x1p-200 ? (beta - alpha) / signed_root : V{};
        const V factor = rest > 0x1p-200 ? one / divisor : V{};
        squares[(k - 1) * stride] = beta * beta;
        for (Index i = 0; i + 1 < k; ++i) u[i] = x[i] * factor;
        u[k - 1] = one;

        constexpr int rows = lanes<V> == most_lanes && most_lanes < 8 ? 2 : 4;
        Index i = 0;
        for (; i + rows <= k; i += rows) update_rows<rows>(i, scratch.packed, v, w, u, p);
        for (; i < k; ++i) update_rows<1>(i, scratch.packed, v, w, u, p);

        const V product = sum_in_four<V>(k, [&](Index j, V total) { return fma(p[j], u[j], total); });
        const V half = -0.5 * tau * tau * product;
        for (Index j = 0; j < k; ++j) w[j] = fma(half, u[j], tau * p[j]);
        std::swap(u, v);
    }
    if (n > 1) {
        const V beside = finish_row(1)[0];
        squares[0] = beside * beside;
    }
    finish_row(0);
    squares[(n - 1) * stride] = V{};
}

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// What LAPACK allows for the largest matrix; random matrices take 2.1 n to 2.5 n sweeps.
constexpr int most_sweeps = 30 * static_cast<int>(most_interleaved_rows);

/// QL sweeps without square roots on the tridiagonal matrices in the lanes of `Vectors` vectors each: [n,
/// Vectors, lane] diagonals, which become the eigenvalues, and squares of the entries beside them. All lanes
/// sweep from the last row up to where they have rows left, each with the shift of its own. An entry beside
/// the diagonal below 2^−53 of the largest entry is zero, and a sweep starts anew above it. With p = γ²/c and
/// r = p + e² the step is
///   γ' = (p(d − σ) − e²γ)/r,  p' = (p(d − σ) − e²γ)²/(r p),  s = e²/r,
/// one division; γ stays away from zero by 2^−150, so that p does. A lane that does not converge becomes NaN.
template <int Vectors, class V>
void sweep_until_diagonal(Index n, V* diagonal, V* squares) {
    constexpr int width = lanes<V> * Vectors;
    constexpr double least = 0x1p-150;
    const auto guarded = [](V t, V bound) {
        const V size = larger(magnitude(t), bound);
        return t < 0.0 ? -size : size;
    };
    V tolerance[Vectors];
    for (int k = 0; k < Vectors; ++k) {
        V most = {};
        for (Index i = 0; i < n; ++i) {
            const V d = diagonal[i * Vectors + k];
            most = larger(most, larger(d * d, squares[i * Vectors + k]));
        }
        tolerance[k] = most * 0x1p-106;
        for (Index i = 0; i < n; ++i) {
            V& square = squares[i * Vectors + k];
            square = square > tolerance[k] ? square : V{};
        }
    }
    const auto square_of = [&](Index row, int lane) { return lane_of(squares + row * Vectors, lane); };
    Index first[width] = {};
    for (int sweep = 0; sweep < most_sweeps; ++sweep) {
        // Of each lane the first row that is left, its shift (that of the leading 2 × 2 block).
        V rows_done[Vectors], shift[Vectors], d0[Vectors], d1[Vectors], e0[Vectors];
        Index lowest = n - 1, highest = 0;
        for (int lane = 0; lane < width; ++lane) {
            Index row = first[lane];
            while (row + 1 < n && square_of(row, lane) == 0) ++row;
            first[lane] = row;
            lowest = std::min(lowest, row);
            highest = std::max(highest, row);
            const Index next = std::min(row + 1, n - 1);
            lane_of(rows_done, lane) = static_cast<double>(row);
            lane_of(d0, lane) = lane_of(diagonal + row * Vectors, lane);
            lane_of(d1, lane) = lane_of(diagonal + next * Vectors, lane);
            lane_of(e0, lane) = lane_of(squares + row * Vectors, lane);
        }
        if (lowest == n - 1) return;
        V gamma[Vectors], p[Vectors], s[Vectors];
        for (int k = 0; k < Vectors; ++k) {
            const V half = 0.5 * (d1[k] - d0[k]);
            const V root = sqrt(fma(half, half, e0[k]));
            const V denominator = half < 0.0 ? half - root : half + root;
            shift[k] = d0[k] - (e0[k] > 0.0 ? e0[k] / denominator : V{});
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
                const V t = guarded(fma(pivot, d_above - shift[k], -(square * gamma[k])), least * r);
                const V q = 1.0 / (r * pivot);
                const V inverse = pivot * q;
                const V next = t * inverse;
                s[k] = square * inverse;
                p[k] = t * t * q;
                if constexpr (every_lane) {
                    d = gamma[k] + (d_above - next);
                } else {
                    const V new_d = gamma[k] + (row < rows_done[k] ? shift[k] : d_above - next);
                    d = row + 1.0 < rows_done[k] ? d : new_d;
                }
                gamma[k] = next;
            }
        };
        Index i = n - 2;
        for (; i >= highest; --i) step(i, std::true_type{});
        for (; i >= lowest; --i) step(i, std::false_type{});
        const V row = broadcast<V>(static_cast<double>(lowest));
        for (int k = 0; k < Vectors; ++k) {
            V &d = diagonal[lowest * Vectors + k], &e = squares[lowest * Vectors + k];
            const V new_e = s[k] * p[k];
            e = new_e > tolerance[k] ? new_e : V{};
            d = row < rows_done[k] ? d : gamma[k] + shift[k];
        }
    }
    for (int lane = 0; lane < width; ++lane)
        for (Index i = 0; i < n && first[lane] + 1 < n; ++i)
            lane_of(diagonal + i * Vectors, lane) = not_a_number;
}

/// Each lane of [n, vectors] ascending, by Batcher's network (Knuth, The Art of Computer Programming 3,
/// algorithm 5.2.2M).
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

/// Solves `count` ≤ Vectors · lanes matrices from `begin` on.
template <int Vectors, class V>
void solve(View<const double, 3> matrices, View<double, 2> values, Index begin, Index count, Arena& arena) {
    constexpr int width = lanes<V> * Vectors;
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
    // Lanes without a matrix repeat one.
    Shape used[width];
    for (int lane = 0; lane < width; ++lane) {
        const bool idle = lane >= count || shapes[lane].coupled == 0;
        used[lane] = shapes[idle ? some : lane];
        if (idle) operands[lane] = operands[some];
    }

    const Scratch<V> scratch(arena, rows, Vectors);
    for (int k = 0; k < Vectors; ++k) {
        pack(operands + k * lanes<V>, used + k * lanes<V>, rows, scratch.packed);
        tridiagonalize(rows, scratch, scratch.diagonal + k, scratch.squares + k, Vectors);
    }
    sweep_until_diagonal<Vectors>(rows, scratch.diagonal, scratch.squares);
    for (int lane = 0; lane < width; ++lane)
        for (Index i = used[lane].coupled; i < rows; ++i)
            lane_of(scratch.diagonal + i * Vectors, lane) = std::numeric_limits<double>::infinity();
    sort_lanes(rows, Vectors, scratch.diagonal);
    for (int lane = 0; lane < count; ++lane) {
        const auto [coupled, scale, inverse] = shapes[lane];
        if (coupled == 0) continue;
        double* result = &values(begin + lane, 0);
        for (Index i = 0; i < coupled; ++i)
            result[i] = lane_of(scratch.diagonal + i * Vectors, lane) * inverse;
        if (coupled == n) continue;
        for (Index i = coupled; i < n; ++i) result[i] = operands[lane](i, i);
        std::sort(result + coupled, result + n);
        std::inplace_merge(result, result + coupled, result + n);
    }
}

/// Matrices of a task: each thread has equally many tasks where that is possible, and their vectors are full.
struct Division {
    Division(const CpuContext& context, Index matrices) {
        const Index threads = context.threads(), most = most_lanes * most_vectors;
        const Index rounds = (matrices + threads * most - 1) / (threads * most);
        at_a_time = (matrices + threads * rounds - 1) / (threads * rounds);
        if (at_a_time > most_lanes) at_a_time = (at_a_time + most_lanes - 1) / most_lanes * most_lanes;
        tasks = (matrices + at_a_time - 1) / at_a_time;
    }
    Index at_a_time, tasks;
};

/// The smallest type that `count` matrices fit into.
template <int Lanes = most_lanes>
void solve_task(View<const double, 3> matrices, View<double, 2> values, Index begin, Index count,
                Arena& arena) {
    if constexpr (Lanes > 1)
        if (count <= Lanes / 2) return solve_task<Lanes / 2>(matrices, values, begin, count, arena);
    using V = Vector<Lanes>;
    if constexpr (Lanes == most_lanes) {
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
        std::bit_ceil(static_cast<std::size_t>(std::min<Index>(division.at_a_time, most_lanes)));
    return workers * scratch_bytes(n, width, (division.at_a_time + width - 1) / width);
}

std::string interleaved_eigen_name() {
#ifdef __FMA__
    constexpr const char* arithmetic = " with fused multiply-add";
#else
    constexpr const char* arithmetic = "";
#endif
    return fmt::format("QL interleaved in {} lanes{}", most_lanes, arithmetic);
}

}  // namespace espectra
