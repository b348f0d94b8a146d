#include "espectra/kernels/matrix.hpp"

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/cpu/reduction.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

namespace espectra {

namespace {

constexpr Index row_block = 64;

/// Calls body(replica, first row, end row) in parallel.
template <class Body>
void for_row_blocks(CpuContext& context, Index replicas, Index rows, Body&& body) {
    const Index blocks = (rows + row_block - 1) / row_block;
    context.parallel_for(replicas * blocks, [&](Index task, int) {
        const Index begin = task % blocks * row_block;
        body(task / blocks, begin, std::min(begin + row_block, rows));
    });
}

}  // namespace

void clear_upper(CpuContext& context, const UpperTriangles<Space::host>& a) {
    const auto& matrices = a.matrices;
    const Index n = matrices.extent[1];
    for_row_blocks(context, matrices.extent[0], n, [&](Index r, Index begin, Index end) {
        for (Index row = begin; row < end; ++row) std::fill_n(&matrices(r, row, row), n - row, 0.0);
    });
}

void symmetrize(CpuContext& context, const SymmetricMatrices<Space::host>& a) {
    const auto& matrices = a.matrices;
    const Index n = matrices.extent[1];
    for_row_blocks(context, matrices.extent[0], n, [&](Index r, Index begin, Index end) {
        // Rows [begin, end) of the lower triangle, square by square.
        for (Index left = 0; left < end; left += row_block)
            for (Index row = begin; row < end; ++row)
                for (Index column = left; column < std::min(left + row_block, row); ++column)
                    matrices(r, row, column) = matrices(r, column, row);
    });
}

void summarize(CpuContext& context, const MatrixSummary<Space::host>& a) {
    const Index n = a.matrices.extent[1];
    const Index blocks = (n + row_block - 1) / row_block;
    Arena::Frame frame(context.arena());
    double* shares = context.arena().take<double>(a.matrices.extent[0] * blocks * 2);
    for_row_blocks(context, a.matrices.extent[0], n, [&](Index r, Index begin, Index end) {
        double trace = 0, squares = 0;
        for (Index row = begin; row < end; ++row) {
            const double* values = &a.matrices(r, row, 0);
            trace += values[row];
            squares += values[row] * values[row] + 2.0 * dot(values + row + 1, values + row + 1, n - row - 1);
            // The first entries decide for almost every row.
            bool nonzero = std::any_of(values + row, values + n, [](double v) { return v != 0; });
            for (Index above = 0; above < row && !nonzero; ++above) nonzero = a.matrices(r, above, row) != 0;
            a.nonzero_row(r, row) = nonzero ? 1 : 0;
        }
        double* share = shares + (r * blocks + begin / row_block) * 2;
        share[0] = trace;
        share[1] = squares;
    });
    for (Index r = 0; r < a.matrices.extent[0]; ++r) {
        double trace = 0, squares = 0;
        for (Index block = 0; block < blocks; ++block) {
            trace += shares[(r * blocks + block) * 2];
            squares += shares[(r * blocks + block) * 2 + 1];
        }
        a.trace(r) = trace;
        a.frobenius(r) = std::sqrt(squares);
    }
}

namespace {

/// A direction T∘θ: zero outside its segments.
struct Direction {
    struct Segment {
        Index begin, end;
    };
    std::span<const Segment> segments;
    const double* values;
    double* product;  // H·values is added to it
};

std::vector<Direction::Segment> nonzero_segments(View<const double, 1> signs) {
    std::vector<Direction::Segment> segments;
    for (Index p = 0; p < signs.extent[0]; ++p) {
        if (signs(p) == 0) continue;
        if (segments.empty() || segments.back().end != p) segments.push_back({p, p});
        segments.back().end = p + 1;
    }
    return segments;
}

/// Adds H·values to the product of each direction, row by row, with all directions while the row is in the
/// cache. A direction has only one unit's few parameters, so that the cost is their number times n, not n² (a
/// matrix product with all directions is four times slower).
void add_symmetric_products(View<const double, 2> h, std::vector<Direction>& directions) {
    constexpr Index worth_vectors = 32;
    const Index n = h.extent[0];
    for (Index row = 0; row < n; ++row) {
        const double* values = &h(row, 0);
        for (Direction& direction : directions) {
            const double* x = direction.values;
            double total = 0;
            for (const auto [segment_begin, end] : direction.segments) {
                const Index begin = std::max(segment_begin, row);
                if (end - begin >= worth_vectors)
                    total += dot(values + begin, x + begin, end - begin);
                else
                    for (Index p = begin; p < end; ++p) total += values[p] * x[p];
            }
            double* __restrict product = direction.product;
            product[row] += total;
            if (const double factor = x[row]; factor != 0)
                for (Index column = row + 1; column < n; ++column) product[column] += factor * values[column];
        }
    }
}

/// Size up to which each direction in turn reads a row or column of H for each of its few entries: the matrix
/// then stays in the L1 cache, columns as well as rows (at n = 52: 1.7 µs instead of 3.6 µs).
constexpr Index column_wise = 64;

void add_symmetric_products_column_wise(View<const double, 2> h, std::vector<Direction>& directions) {
    const Index n = h.extent[0], stride = h.stride[0];
    for (const Direction& direction : directions) {
        double* __restrict product = direction.product;
        for (const auto [begin, end] : direction.segments)
            for (Index p = begin; p < end; ++p) {
                const double factor = direction.values[p];
                const double *above = &h(0, p), *values = &h(p, 0);
                for (Index row = 0; row < p; ++row) product[row] += factor * above[row * stride];
                for (Index column = p; column < n; ++column) product[column] += factor * values[column];
            }
    }
}

}  // namespace

void scaling_residual(CpuContext& context, const ScalingResidual<Space::host>& a) {
    const Index n = a.matrices.extent[1], count = a.signs.extent[0];
    require_equal("scaling_residual: signs", n, a.signs.extent[1]);
    std::vector<std::vector<Direction::Segment>> segments;
    for (Index d = 0; d < count; ++d) segments.push_back(nonzero_segments(a.signs[d]));
    const Index replicas = a.matrices.extent[0];
    Arena::Frame outer(context.arena());
    double* residuals = context.arena().take<double>(replicas * count);

    // Directions are independent: the number of groups does not change the result.
    constexpr Index largest_group = scaling_residual_vectors / 2;
    const Index groups =
        std::max(std::min<Index>(count, context.threads()), (count + largest_group - 1) / largest_group);
    context.parallel_for(replicas * groups, [&](Index task, int worker) {
        const Index r = task / groups, begin = task % groups * count / groups,
                    end = (task % groups + 1) * count / groups;
        Arena& arena = context.arena(worker);
        Arena::Frame frame(arena);
        std::vector<Direction> directions;
        directions.reserve(static_cast<std::size_t>(end - begin));
        for (Index d = begin; d < end; ++d) {
            double* values = arena.take<double>(n);
            double* product = arena.take<double>(n);
            for (Index p = 0; p < n; ++p) {
                values[p] = a.signs(d, p) * a.theta(r, p);
                product[p] = a.signs(d, p) * a.gradient(r, p);
            }
            directions.push_back({segments[static_cast<std::size_t>(d)], values, product});
        }
        if (n <= column_wise)
            add_symmetric_products_column_wise(a.matrices[r], directions);
        else
            add_symmetric_products(a.matrices[r], directions);
        for (Index d = begin; d < end; ++d) {
            const Direction& direction = directions[static_cast<std::size_t>(d - begin)];
            const double scale = a.frobenius(r) * std::sqrt(dot(direction.values, direction.values, n));
            residuals[r * count + d] =
                scale > 0 ? std::sqrt(dot(direction.product, direction.product, n)) / scale : 0.0;
        }
    });
    for (Index r = 0; r < replicas; ++r) {
        double largest = 0;
        for (Index d = 0; d < count; ++d) {
            const double value = residuals[r * count + d];
            if (value > largest || std::isnan(value)) largest = value;  // NaN is kept
        }
        a.residual(r) = largest;
    }
}

void compress_rows(CpuContext& /*context*/, const RowCompression<Space::host>& a) {
    const auto [matrix, keep] = a;  // copies, which GCC keeps in registers (docs/performance-log.md)
    const Index n = matrix.extent[0];
    Index to_row = 0;
    for (Index row = 0; row < n; ++row) {
        if (!keep(row)) continue;
        Index to_column = to_row;
        for (Index column = row; column < n; ++column)
            if (keep(column)) matrix(to_row, to_column++) = matrix(row, column);
        ++to_row;
    }
}

void count_nonzeros(CpuContext& context, const NonzeroCounts<Space::host>& a) {
    context.parallel_for(a.rows.extent[0], [&](Index row, int) {
        const double* values = a.rows[row].data;
        a.counts(row) = std::count_if(values, values + a.rows.extent[1], [](double v) { return v != 0; });
    });
}

void inverse_participation_ratios(CpuContext& context, const ParticipationRatios<Space::host>& a) {
    const auto& vectors = a.vectors;
    const Index count = vectors.extent[1], n = vectors.extent[2];
    for_row_blocks(context, vectors.extent[0], count, [&](Index r, Index begin, Index end) {
        for (Index e = begin; e < end; ++e) {
            double sum = 0;
            for (Index i = 0; i < n; ++i) {
                const double square = vectors(r, e, i) * vectors(r, e, i);
                sum += square * square;
            }
            a.ratios(r, e) = sum;
        }
    });
}

}  // namespace espectra
