#pragma once

#include "espectra/kernels/group/index_lists.hpp"
#include "espectra/kernels/group/reduction.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/runtime/buffer.hpp"

#include <cmath>

// Group kernels of symmetric matrices in batches.

namespace espectra::group {

/// One block: one row.
template <Space S>
struct ClearUpperKernel {
    static constexpr const char* name = "clear_upper";
    static constexpr int threads = 128;
    View<double, 3, S> matrices;

    Index blocks() const { return matrices.extent[0] * matrices.extent[1]; }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index n = matrices.extent[1], r = block / n, row = block % n;
        for_each_item(group, n - row, [&](Index item) { matrices(r, row, row + item) = 0.0; });
    }
};

template <class C>
void clear_upper(C& context, const UpperTriangles<C::space>& a) {
    launch(context, ClearUpperKernel<C::space>{a.matrices});
}

/// One block: copies a square of 32 × 32 of the upper triangle through shared memory to its mirror in the
/// lower one.
template <Space S>
struct SymmetrizeKernel {
    static constexpr const char* name = "symmetrize";
    static constexpr int threads = 256;
    static constexpr Index square = 32;
    View<double, 3, S> matrices;

    Index blocks() const {
        const Index squares = divide_up(matrices.extent[1], square);
        return matrices.extent[0] * squares * squares;
    }
    std::size_t shared_doubles() const { return square * (square + 1); }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const Index n = matrices.extent[1], squares = divide_up(n, square);
        const Index column = block % squares * square, row = block / squares % squares * square;
        const Index r = block / squares / squares;
        if (column < row) return;
        for_each_item(group, square * square, [&](Index item) {
            const Index i = item / square, j = item % square;
            if (column + j < n && row + i < column + j)
                shared[i * (square + 1) + j] = matrices(r, row + i, column + j);
        });
        group.sync();
        for_each_item(group, square * square, [&](Index item) {
            const Index i = item / square, j = item % square;  // of the mirror
            if (column + i < n && row + j < n && row + j < column + i)
                matrices(r, column + i, row + j) = shared[j * (square + 1) + i];
        });
    }
};

template <class C>
void symmetrize(C& context, const SymmetricMatrices<C::space>& a) {
    launch(context, SymmetrizeKernel<C::space>{a.matrices});
}

/// One block: eight rows. Computes squares [R, n] ← H_ii² + 2 Σ_{j>i} H_ij², and marks the rows with entries
/// ≠ 0 in the upper triangle.
template <Space S>
struct SummarizeRowsKernel {
    static constexpr const char* name = "summarize (rows)";
    static constexpr int threads = 128;
    static constexpr Index rows = threads / sum_lanes;
    MatrixSummary<S> a;
    View<double, 2, S> squares;

    Index blocks() const { return a.matrices.extent[0] * divide_up(a.matrices.extent[1], rows); }
    std::size_t shared_doubles() const { return 2 * rows * sum_lanes; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const Index n = a.matrices.extent[1], parts = divide_up(n, rows);
        const Index r = block / parts, begin = block % parts * rows;
        double* nonzero = shared + rows * sum_lanes;  // 1 or 0
        for_each_item(group, rows * sum_lanes, [&](Index item) {
            const Index row = begin + item / sum_lanes, lane = item % sum_lanes;
            double total = 0;
            bool found = false;
            if (row < n) {
                const Index count = n - row - 1, full = count / sum_lanes * sum_lanes;
                found = lane == 0 && a.matrices(r, row, row) != 0;
                for (Index e = lane; e < count; e += sum_lanes) {
                    const double value = a.matrices(r, row, row + 1 + e);
                    if (e < full) total += value * value;
                    found = found || value != 0;
                }
            }
            shared[item] = total;
            nonzero[item] = found ? 1 : 0;
        });
        group.sync();
        for_each_item(group, rows, [&](Index item) {
            const Index row = begin + item;
            if (row >= n) return;
            const Index count = n - row - 1;
            double total = 0, lanes = 0;
            for (Index lane = 0; lane < sum_lanes; ++lane) {
                total += shared[item * sum_lanes + lane];
                lanes += nonzero[item * sum_lanes + lane];
            }
            for (Index e = count / sum_lanes * sum_lanes; e < count; ++e) {
                const double value = a.matrices(r, row, row + 1 + e);
                total += value * value;
            }
            const double diagonal = a.matrices(r, row, row);
            squares(r, row) = diagonal * diagonal + 2.0 * total;
            a.nonzero_row(r, row) = lanes > 0;
        });
    }
};

/// One block: 128 rows. Marks those without a mark that have entries ≠ 0 in the lower triangle, which are
/// the ones above the diagonal of the column: one thread passes down a column, neighbours read neighbours.
template <Space S>
struct MarkColumnsKernel {
    static constexpr const char* name = "summarize (columns)";
    static constexpr int threads = 128;
    static constexpr Index at_once = 16;  // loads before the result of one is needed
    MatrixSummary<S> a;

    Index blocks() const { return a.matrices.extent[0] * divide_up(a.matrices.extent[1], threads); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index n = a.matrices.extent[1], parts = divide_up(n, threads);
        const Index r = block / parts, begin = block % parts * threads, left = n - begin;
        for_each_item(group, left < threads ? left : threads, [&](Index item) {
            const Index column = begin + item;
            if (a.nonzero_row(r, column)) return;
            bool found = false;
            for (Index first = 0; first < column && !found; first += at_once)
                for (Index row = first; row < first + at_once; ++row)
                    if (row < column && a.matrices(r, row, column) != 0) found = true;
            if (found) a.nonzero_row(r, column) = 1;
        });
    }
};

/// One block: one matrix, rows in parts of 64 as on the CPU.
template <Space S>
struct SummarizeKernel {
    static constexpr const char* name = "summarize";
    static constexpr int threads = 128;
    static constexpr Index part_rows = 64;
    MatrixSummary<S> a;
    View<const double, 2, S> squares;

    Index blocks() const { return a.matrices.extent[0]; }
    std::size_t shared_doubles() const {
        return static_cast<std::size_t>(2 * divide_up(a.matrices.extent[1], part_rows));
    }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index r, double* shared) const {
        const Index n = a.matrices.extent[1], parts = divide_up(n, part_rows);
        for_each_item(group, parts, [&](Index part) {
            double trace = 0, sum = 0;
            for (Index row = part * part_rows; row < n && row < (part + 1) * part_rows; ++row) {
                trace += a.matrices(r, row, row);
                sum += squares(r, row);
            }
            shared[2 * part] = trace;
            shared[2 * part + 1] = sum;
        });
        group.sync();
        if (group.rank() != 0) return;
        double trace = 0, sum = 0;
        for (Index part = 0; part < parts; ++part) {
            trace += shared[2 * part];
            sum += shared[2 * part + 1];
        }
        a.trace(r) = trace;
        a.frobenius(r) = std::sqrt(sum);
    }
};

template <class C>
void summarize(C& context, const MatrixSummary<C::space>& a) {
    const Index replicas = a.matrices.extent[0], n = a.matrices.extent[1];
    Buffer<double, C::space> squares(context, replicas * n);
    launch(context, SummarizeRowsKernel<C::space>{a, squares.view(replicas, n)});
    launch(context, MarkColumnsKernel<C::space>{a});
    launch(context, SummarizeKernel<C::space>{a, squares.view(replicas, n)});
}

/// One block: some rows of H(T∘θ) + T∘∇ℓ for one direction, and their share of the sum of squares.
template <Space S>
struct ScalingProductKernel {
    static constexpr const char* name = "scaling_residual (product)";
    static constexpr int threads = 128;
    static constexpr Index rows = scaling_residual_rows;
    ScalingResidual<S> a;
    View<const Index, 2, S> list;   ///< positions of the direction's entries [d, n]
    View<const Index, 1, S> count;  ///< [d]
    View<double, 3, S> shares;      ///< [R, d, parts of the rows]

    Index blocks() const { return shares.size(); }
    std::size_t shared_doubles() const { return rows; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const Index n = a.signs.extent[1], parts = shares.extent[2], directions = shares.extent[1];
        const Index part = block % parts, d = block / parts % directions, r = block / parts / directions;
        for_each_item(group, rows, [&](Index item) {
            const Index row = part * rows + item;
            double sum = 0;
            if (row < n) {
                sum = a.signs(d, row) * a.gradient(r, row);
                for (Index k = 0; k < count(d); ++k) {
                    const Index p = list(d, k);
                    sum +=
                        a.matrices(r, row < p ? row : p, row < p ? p : row) * (a.signs(d, p) * a.theta(r, p));
                }
            }
            shared[item] = sum * sum;
        });
        group.sync();
        if (group.rank() != 0) return;
        double total = 0;
        for (Index item = 0; item < rows; ++item) total += shared[item];
        shares(r, d, part) = total;
    }
};

/// One block: one matrix. The largest residual of all directions; a NaN gives NaN.
template <Space S>
struct ScalingResidualKernel {
    static constexpr const char* name = "scaling_residual";
    static constexpr int threads = 128;
    ScalingResidual<S> a;
    View<const Index, 2, S> list;
    View<const Index, 1, S> count;
    View<double, 3, S> shares;  ///< the first of each direction becomes its residual

    Index blocks() const { return shares.extent[0]; }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index r, double* /*shared*/) const {
        for_each_item(group, shares.extent[1], [&](Index d) {
            double squares = 0, length = 0;
            for (Index part = 0; part < shares.extent[2]; ++part) squares += shares(r, d, part);
            for (Index k = 0; k < count(d); ++k) {
                const double x = a.signs(d, list(d, k)) * a.theta(r, list(d, k));
                length += x * x;
            }
            const double scale = a.frobenius(r) * std::sqrt(length);
            shares(r, d, 0) = scale > 0 ? std::sqrt(squares) / scale : 0.0;
        });
        group.sync();
        if (group.rank() != 0) return;
        double largest = 0;
        for (Index d = 0; d < shares.extent[1]; ++d)
            if (shares(r, d, 0) > largest || std::isnan(shares(r, d, 0))) largest = shares(r, d, 0);
        a.residual(r) = largest;
    }
};

template <class C>
void scaling_residual(C& context, const ScalingResidual<C::space>& a) {
    constexpr Space S = C::space;
    const Index replicas = a.matrices.extent[0], directions = a.signs.extent[0], n = a.signs.extent[1];
    const Index parts = divide_up(n, ScalingProductKernel<S>::rows);
    Buffer<Index, S> list(context, directions * n), count(context, directions);
    Buffer<double, S> shares(context, replicas * directions * parts);
    make_lists(context,
               ListKernel<Nonzero<S>, S>{{a.signs}, list.view(directions, n), count.view(directions)});
    launch(context, ScalingProductKernel<S>{a, list.view(directions, n), count.view(directions),
                                            shares.view(replicas, directions, parts)});
    launch(context, ScalingResidualKernel<S>{a, list.view(directions, n), count.view(directions),
                                             shares.view(replicas, directions, parts)});
}

/// One block: one kept row of `part`. Rows [begin, end) of the result are copied to `part`, or from there to
/// their position.
template <Space S>
struct CompressKernel {
    static constexpr const char* name = "compress_rows";
    static constexpr int threads = 256;
    View<double, 2, S> matrix;
    View<const Index, 2, S> kept;   ///< [1, n]
    View<const Index, 1, S> count;  ///< [1]
    Index begin;
    View<double, 2, S> part;  ///< [rows, n]
    bool gather;

    Index blocks() const { return part.extent[0]; }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index row = begin + block;
        if (row >= count(0)) return;
        for_each_item(group, count(0) - row, [&](Index item) {
            const Index column = row + item;
            if (gather)
                part(block, column) = matrix(kept(0, row), kept(0, column));
            else
                matrix(row, column) = part(block, column);
        });
    }
};

/// Works in parts: rows move up and to the left, so that a part of the result can be written once it has been
/// read.
template <class C>
void compress_rows(C& context, const RowCompression<C::space>& a) {
    constexpr Space S = C::space;
    const Index n = a.matrix.extent[0], rows = compressed_rows(n);
    Buffer<Index, S> kept(context, n), count(context, 1);
    Buffer<double, S> part(context, rows * n);
    make_lists(context, ListKernel<Kept<S>, S>{{a.keep}, kept.view(1, n), count.view(1)});
    for (Index begin = 0; begin < n; begin += rows) {
        CompressKernel<S> kernel{a.matrix, kept.view(1, n), count.view(1), begin, part.view(rows, n), true};
        launch(context, kernel);
        kernel.gather = false;
        launch(context, kernel);
    }
}

/// One block: one vector.
template <Space S>
struct ParticipationKernel {
    static constexpr const char* name = "inverse_participation_ratios";
    static constexpr int threads = 128;
    ParticipationRatios<S> a;

    Index blocks() const { return a.vectors.extent[0] * a.vectors.extent[1]; }
    std::size_t shared_doubles() const { return 8 * sum_lanes; }

    /// Sixteen lanes for each eighth of the vector.
    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const auto& vectors = a.vectors;
        const Index r = block / vectors.extent[1], v = block % vectors.extent[1], n = vectors.extent[2];
        for_each_item(group, 8 * sum_lanes, [&](Index lane) {
            double total = 0;
            for (Index i = lane; i < n; i += 8 * sum_lanes) {
                const double square = vectors(r, v, i) * vectors(r, v, i);
                total += square * square;
            }
            shared[lane] = total;
        });
        group.sync();
        if (group.rank() != 0) return;
        double total = 0;
        for (Index lane = 0; lane < 8 * sum_lanes; ++lane) total += shared[lane];
        a.ratios(r, v) = total;
    }
};

template <class C>
void inverse_participation_ratios(C& context, const ParticipationRatios<C::space>& a) {
    launch(context, ParticipationKernel<C::space>{a});
}

template <class C>
void count_nonzeros(C& context, const NonzeroCounts<C::space>& a) {
    constexpr Space S = C::space;
    make_lists(context, CountKernel<Nonzero<S>, S>{{a.rows}, a.rows.extent[1], a.counts});
}

}  // namespace espectra::group
