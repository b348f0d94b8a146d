#include "espectra/kernels/matrix.hpp"

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/cpu/reduction.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cmath>

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

void clear_upper(CpuContext& context, View<double, 3> matrices) {
    const Index n = matrices.extent[1];
    for_row_blocks(context, matrices.extent[0], n, [&](Index r, Index begin, Index end) {
        for (Index row = begin; row < end; ++row) std::fill_n(&matrices(r, row, row), n - row, 0.0);
    });
}

void symmetrize(CpuContext& context, View<double, 3> matrices) {
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
            // Almost every row shows at its first entries that it is not zero.
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

void scaling_residual(CpuContext& context, const ScalingResidual<Space::host>& a) {
    const Index n = a.matrices.extent[1], directions = a.signs.extent[0];
    require_equal("scaling_residual: signs", n, a.signs.extent[1]);
    context.parallel_for(a.matrices.extent[0], [&](Index r, int worker) {
        Arena& arena = context.arena(worker);
        Arena::Frame frame(arena);
        double* direction = arena.take<double>(directions * n);
        double* product = arena.take<double>(directions * n);
        for (Index d = 0; d < directions; ++d)
            for (Index p = 0; p < n; ++p) direction[d * n + p] = a.signs(d, p) * a.theta(r, p);
        blas::symm(directions, n, &a.matrices(r, 0, 0), a.matrices.stride[1], direction, n, product, n);
        double largest = 0;
        for (Index d = 0; d < directions; ++d) {
            double difference = 0, length = 0;
            for (Index p = 0; p < n; ++p) {
                const double error = product[d * n + p] + a.signs(d, p) * a.gradient(r, p);
                difference += error * error;
                length += direction[d * n + p] * direction[d * n + p];
            }
            const double scale = a.frobenius(r) * std::sqrt(length);
            const double value = scale > 0 ? std::sqrt(difference) / scale : 0.0;
            if (!(value <= largest)) largest = value;  // NaN comes through
        }
        a.residual(r) = largest;
    });
}

void compress_rows(CpuContext& /*context*/, View<double, 2> matrix, View<const unsigned char, 1> keep) {
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

void inverse_participation_ratios(CpuContext& context, View<const double, 3> vectors,
                                  View<double, 2> ratios) {
    const Index count = vectors.extent[1], n = vectors.extent[2];
    for_row_blocks(context, vectors.extent[0], count, [&](Index r, Index begin, Index end) {
        for (Index e = begin; e < end; ++e) {
            double sum = 0;
            for (Index i = 0; i < n; ++i) {
                const double square = vectors(r, e, i) * vectors(r, e, i);
                sum += square * square;
            }
            ratios(r, e) = sum;
        }
    });
}

}  // namespace espectra
