#pragma once

#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/group/group.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

// Eigenvalues of small symmetric matrices, one block per matrix, without leaving the multiprocessor: the
// matrix is copied to shared memory, Householder reflections make it tridiagonal (Golub and Van Loan,
// algorithm 8.3.1), Sturm sequences and bisection find the eigenvalues (Wilkinson, 1965, chapter 5, sections
// 36–42).
//
// Bisection rather than QL: QL is one chain of about 1.5 n² rotations in one thread, each with a division and
// a square root that the next one depends on. Here every thread has its own eigenvalues and a chain of 57 n
// fused multiply-adds without a division, since the Sturm sequence is that of the leading minors themselves
// and not of their quotients. Powers of two keep it in range.

namespace espectra::group {

/// Partial sums of a sum over up to most_block_rows rows.
inline constexpr int eigen_lanes = 8;

/// Halvings of an interval that holds all eigenvalues and is up to 12 ‖T‖₂ wide, down to 0.4 ε ‖T‖₂.
inline constexpr int bisections = 57;

/// Distance of the rows of a matrix in shared memory: odd, so that columns have no bank conflicts.
ESPECTRA_HD constexpr int eigen_stride(int n) { return n | 1; }

/// Scratch in addition to the matrix, in doubles.
ESPECTRA_HD constexpr int eigen_scratch(int n) { return 7 * n + eigen_lanes; }

/// Calls body(i, j) for all i < rows, j < columns; neighbouring threads have neighbouring j. Rows are padded
/// to a power of two, which saves the division.
template <Group G, class Body>
ESPECTRA_HD void for_each_entry(const G& group, int rows, int columns, Body&& body) {
    int shift = 0;
    while ((1 << shift) < columns) ++shift;
    for (int item = group.rank(); item < rows << shift; item += group.size()) {
        const int i = item >> shift, j = item & ((1 << shift) - 1);
        if (j < columns) body(i, j);
    }
}

/// Adds terms in lanes: lane l of eight adds the terms l, l + 8, … of `count`; add_lanes adds the lanes from
/// left to right.
template <Group G, class Term>
ESPECTRA_HD void sum_in_lanes(const G& group, int count, double* partial, Term&& term) {
    for (int lane = group.rank(); lane < eigen_lanes; lane += group.size()) {
        double total = 0;
        for (int i = lane; i < count; i += eigen_lanes) total = term(i, total);
        partial[lane] = total;
    }
}
ESPECTRA_HD inline double add_lanes(const double* partial) {
    double total = 0;
    for (int lane = 0; lane < eigen_lanes; ++lane) total += partial[lane];
    return total;
}

/// A symmetric tridiagonal matrix T with entries of order 1: its diagonal, and the squares of the entries
/// next to it (squares[i] between i − 1 and i).
struct Tridiagonal {
    int n;
    const double* diagonal;
    const double* squares;
};

/// Returns the number of eigenvalues of T up to x, for |x| and ‖T‖ up to 2⁹. The signs of the leading minors
/// p_i of T − x: p_i = (d_i − x) p_{i−1} − e_i² p_{i−2}. Each rounding is one of d_i − x or of e_i² by a
/// few ε (Wilkinson, 1965, chapter 5, section 41). Where p_i / p_{i−1}, the pivot of the LDLᵀ factorisation,
/// is below 2^−100 it is set to −2^−100, as LAPACK's dlaebz does with its own least pivot; in eight steps the
/// p_i then shrink by up to 2^800 or grow by up to 2^220, and are scaled back to 1.
ESPECTRA_HD inline int sturm_count(const Tridiagonal& t, double x) {
    const auto bits = [](double v) { return std::bit_cast<std::uint64_t>(v); };
    const auto exponent = [&](double v) { return static_cast<int>(bits(v) >> 52 & 0x7ff); };
    double before = 0, minor = 1;
    int count = 0;
    for (int begin = 0; begin < t.n; begin += 8) {
        const int end = begin + 8 < t.n ? begin + 8 : t.n;
        for (int i = begin; i < end; ++i) {
            double next = std::fma(t.diagonal[i] - x, minor, -(t.squares[i] * before));
            if (exponent(next) + 100 < exponent(minor)) next = -0x1p-100 * minor;
            count += static_cast<int>((bits(next) ^ bits(minor)) >> 63);
            before = minor;
            minor = next;
        }
        const double scale =
            std::bit_cast<double>((std::uint64_t{2046} - static_cast<std::uint64_t>(exponent(minor))) << 52);
        minor *= scale;
        before *= scale;
    }
    return count;
}

/// Returns eigenvalue k = 0, 1, … of T in (−bound, bound), bound being a power of two. All eigenvalues
/// descend one tree of midpoints, k < k' never to the right of k', so that they are in ascending order. Zero
/// is the first midpoint, so that the sign of every eigenvalue is that of one Sturm count.
ESPECTRA_HD inline double bisect(const Tridiagonal& t, double bound, int k) {
    double low = -bound, high = bound;
    for (int i = 0; i < bisections; ++i) {
        const double middle = 0.5 * (low + high);
        if (sturm_count(t, middle) > k)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/// 2^−k that brings the largest entry of a matrix into [1, 2), and k. Subnormal numbers stay below 1.
struct PowerOfTwo {
    double inverse;
    int exponent;
    bool finite;  ///< all entries are finite
};
ESPECTRA_HD inline PowerOfTwo scale_of(double largest) {
    const int biased = static_cast<int>(std::bit_cast<std::uint64_t>(largest) >> 52 & 0x7ff);
    const int exponent = biased > 1 && biased < 2047 ? biased - 1023 : biased == 2047 ? 0 : -1022;
    return {std::ldexp(1.0, -exponent), exponent, largest <= std::numeric_limits<double>::max()};
}

/// Scratch of group_eigenvalues.
struct EigenScratch {
    double* v;             // [n] Householder vector
    double* w;             // [n]
    double* products;      // [2, n] halves of A v
    double* diagonal;      // [n]
    double* off_diagonal;  // [n] between i − 1 and i
    double* squares;       // [n] their squares
    double* partial;       // [eigen_lanes]

    ESPECTRA_HD EigenScratch(double* memory, int n)
        : v(memory),
          w(v + n),
          products(w + n),
          diagonal(products + 2 * n),
          off_diagonal(diagonal + n),
          squares(off_diagonal + n),
          partial(squares + n) {}
};

/// Scales the upper triangle in `a` by a power of two and copies it to the lower one; `rows` is scratch [n].
template <Group G>
ESPECTRA_HD PowerOfTwo scale_and_mirror(const G& group, int n, double* a, double* rows) {
    const int stride = eigen_stride(n);
    // The largest entry of each row; NaN counts as the largest.
    for (int i = group.rank(); i < n; i += group.size()) {
        double largest = 0;
        for (int j = i; j < n; ++j) {
            const double size = std::fabs(a[i * stride + j]);
            largest = size > largest || size != size ? size : largest;
        }
        rows[i] = largest;
    }
    group.sync();
    double largest = 0;
    for (int i = 0; i < n; ++i) largest = rows[i] > largest || rows[i] != rows[i] ? rows[i] : largest;
    const PowerOfTwo scale = scale_of(largest);
    for_each_entry(group, n, n, [&](int i, int j) {
        if (j >= i) a[j * stride + i] = a[i * stride + j] *= scale.inverse;
    });
    group.sync();
    return scale;
}

/// Step k of the reduction to tridiagonal form: row and column k get their final entries, and the rows after
/// k the reflected matrix.
template <Group G>
ESPECTRA_HD void reflect(const G& group, int n, int k, double* a, const EigenScratch& s) {
    const int stride = eigen_stride(n), first = k + 1, m = n - first;
    const auto entry = [=](int i, int j) -> double& { return a[i * stride + j]; };
    // x, the row next to the diagonal, becomes (beta, 0, …, 0) by I − tau v vᵀ with v = (1, …).
    const double* x = &entry(k, first);
    sum_in_lanes(group, m - 1, s.partial,
                 [&](int i, double total) { return std::fma(x[i + 1], x[i + 1], total); });
    group.sync();
    double rest = add_lanes(s.partial);
    // Squares that are nearly subnormal are not precise; leaving them out changes A by 2^−100.
    const bool zero = rest <= 0x1p-200;
    const double norm = std::sqrt(std::fma(x[0], x[0], zero ? 0.0 : rest));
    const double beta = zero ? x[0] : std::copysign(norm, -x[0]);
    const double tau = zero ? 0.0 : (beta - x[0]) / beta;
    const double factor = zero ? 0.0 : 1.0 / (x[0] - beta);
    for (int i = group.rank(); i < m; i += group.size()) {
        s.v[i] = i == 0 ? 1.0 : x[i] * factor;
        if (i == 0) {
            s.diagonal[k] = entry(k, k);
            s.off_diagonal[first] = beta;
        }
    }
    group.sync();

    // p = tau A v, w = p − (tau/2)(pᵀv) v, A − v wᵀ − w vᵀ.
    for_each_entry(group, 2, m, [&](int half, int i) {
        double total = 0;
        for (int j = half; j < m; j += 2) total = std::fma(entry(first + j, first + i), s.v[j], total);
        s.products[half * n + i] = total;
    });
    group.sync();
    sum_in_lanes(group, m, s.partial, [&](int i, double total) {
        s.w[i] = tau * (s.products[i] + s.products[n + i]);
        return std::fma(s.w[i], s.v[i], total);
    });
    group.sync();
    const double half = 0.5 * tau * add_lanes(s.partial);
    for (int i = group.rank(); i < m; i += group.size()) s.w[i] = std::fma(-half, s.v[i], s.w[i]);
    group.sync();
    for_each_entry(group, m, m, [&](int i, int j) {
        double& e = entry(first + i, first + j);
        e = std::fma(-s.v[i], s.w[j], std::fma(-s.w[i], s.v[j], e));
    });
    group.sync();
}

/// Calls store(k, value) for each eigenvalue, in ascending order of k, of the symmetric matrix whose upper
/// triangle is stored in `a` (n ≤ most_block_rows rows of eigen_stride(n), visible to the whole group) and is
/// overwritten. A matrix with entries that are not finite gives NaN. `scratch` holds eigen_scratch(n)
/// numbers.
template <Group G, class Store>
ESPECTRA_HD void group_eigenvalues(const G& group, int n, double* a, double* scratch, Store&& store) {
    const int stride = eigen_stride(n);
    const EigenScratch s(scratch, n);
    const PowerOfTwo scale = scale_and_mirror(group, n, a, s.v);
    for (int k = 0; k + 2 < n; ++k) reflect(group, n, k, a, s);
    for (int i = group.rank(); i < n; i += group.size()) {
        if (i + 2 >= n) s.diagonal[i] = a[i * stride + i];
        const double e = i == 0 ? 0.0 : i + 1 == n ? a[(i - 1) * stride + i] : s.off_diagonal[i];
        s.squares[i] = e * e;
        if (i + 1 == n || i == 0) s.off_diagonal[i] = e;
    }
    group.sync();
    const Tridiagonal t{n, s.diagonal, s.squares};
    double bound = 0;  // Gershgorin
    for (int i = 0; i < n; ++i) {
        const double radius =
            std::fabs(s.off_diagonal[i]) + (i + 1 < n ? std::fabs(s.off_diagonal[i + 1]) : 0.0);
        bound = std::fmax(bound, std::fabs(s.diagonal[i]) + radius);
    }
    bound = std::bit_cast<double>(((std::bit_cast<std::uint64_t>(bound) >> 52 & 0x7ff) + 1) << 52);
    for (int k = group.rank(); k < n; k += group.size()) {
        const double value = bisect(t, bound, k);
        store(k, scale.finite ? std::ldexp(value, scale.exponent) : std::numeric_limits<double>::quiet_NaN());
    }
}

/// Eigenvalues [R, n] of the upper triangles of [R, n, n], n ≤ most_block_rows; the matrices do not change.
template <Space S, int Threads>
struct EigenvaluesKernel {
    static constexpr const char* name = "symmetric_eigenvalues";
    static constexpr int threads = Threads;
    View<const double, 3, S> matrices;
    View<double, 2, S> eigenvalues;

    Index blocks() const { return eigenvalues.extent[1] > 0 ? eigenvalues.extent[0] : 0; }
    std::size_t shared_doubles() const {
        const int n = static_cast<int>(eigenvalues.extent[1]);
        return static_cast<std::size_t>(n * eigen_stride(n) + eigen_scratch(n));
    }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const int n = static_cast<int>(eigenvalues.extent[1]), stride = eigen_stride(n);
        const auto matrix = matrices[block];
        for_each_entry(group, n, n, [&](int i, int j) {
            if (j >= i) shared[i * stride + j] = matrix(i, j);
        });
        group.sync();
        group_eigenvalues(group, n, shared, shared + n * stride,
                          [&](int k, double value) { eigenvalues(block, k) = value; });
    }
};

/// Eigenvalues of matrices of n ≤ most_block_rows rows, with the 2n threads that the halves of A v keep busy.
template <class C>
void symmetric_eigenvalues(C& context, const Eigenproblems<C::space>& a) {
    if (a.eigenvalues.extent[1] <= most_block_rows / 2)
        launch(context, EigenvaluesKernel<C::space, 64>{a.matrices, a.eigenvalues});
    else
        launch(context, EigenvaluesKernel<C::space, 128>{a.matrices, a.eigenvalues});
}

/// Copies [R, rows, columns] entry by entry. One block: up to 1024 columns of one row of one matrix.
template <Space S>
struct CopyMatricesKernel {
    static constexpr const char* name = "copy_matrices";
    static constexpr int threads = 128;
    static constexpr Index columns_per_block = 1024;
    View<const double, 3, S> from;
    View<double, 3, S> to;

    Index blocks() const { return to.extent[0] * to.extent[1] * divide_up(to.extent[2], columns_per_block); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index parts = divide_up(to.extent[2], columns_per_block);
        const Index row = block / parts, begin = block % parts * columns_per_block;
        const auto source = from[row / to.extent[1]][row % to.extent[1]];
        const auto target = to[row / to.extent[1]][row % to.extent[1]];
        const Index left = to.extent[2] - begin;
        for_each_item(group, left < columns_per_block ? left : columns_per_block,
                      [&](Index item) { target(begin + item) = source(begin + item); });
    }
};

template <class C>
void copy_matrices(C& context, std::type_identity_t<View<const double, 3, C::space>> from,
                   View<double, 3, C::space> to) {
    launch(context, CopyMatricesKernel<C::space>{from, to});
}

}  // namespace espectra::group
