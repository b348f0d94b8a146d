#include "espectra/kernels/cpu/example_products.hpp"

namespace espectra::rows {

namespace {

/// R × C sums in registers. Eight or more of them hide the latency of a multiply-add.
template <int R, int C>
void add_tile(const double* const* left, const double* const* right, Index length, double* out,
              Index column_stride) {
    const double *x[R], *y[C];
    for (int r = 0; r < R; ++r) x[r] = left[r];
    for (int c = 0; c < C; ++c) y[c] = right[c];
    Vector sums[R][C] = {};
    for (Index e = 0; e < length; e += lanes) {
        Vector values[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) values[r] = at(x[r], e);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) {
            const Vector value = at(y[c], e);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) multiply_add(values[r], value, sums[r][c]);
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) out[c * column_stride + r] += lane_sum(sums[r][c]);
}

template <int C>
void add_columns(const double* const* left, Index left_count, const double* const* right, Index length,
                 double* out, Index column_stride) {
    constexpr int rows = C == 1 ? 8 : 4;
    Index r = 0;
    for (; r + rows <= left_count; r += rows)
        add_tile<rows, C>(left + r, right, length, out + r, column_stride);
    if constexpr (rows > 4)
        if (left_count - r >= 4) {
            add_tile<4, C>(left + r, right, length, out + r, column_stride);
            r += 4;
        }
    switch (left_count - r) {
        case 3:
            return add_tile<3, C>(left + r, right, length, out + r, column_stride);
        case 2:
            return add_tile<2, C>(left + r, right, length, out + r, column_stride);
        case 1:
            return add_tile<1, C>(left + r, right, length, out + r, column_stride);
        default:
            return;
    }
}

template <int O>
void combine_outputs(const double* coefficients, Index output_stride, Index input_stride,
                     const double* constants, const double* const* in, Index inputs, Index length,
                     double* out) {
    for (Index e = 0; e < length; e += 2 * lanes) {
        Vector sums[O][2];
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) sums[o][0] = sums[o][1] = all_lanes(constants ? constants[o] : 0.0);
        for (Index q = 0; q < inputs; ++q) {
            const Vector first = at(in[q], e), second = at(in[q], e + lanes);
            const double* factors = coefficients + q * input_stride;
#pragma GCC unroll 8
            for (int o = 0; o < O; ++o) {
                const Vector factor = all_lanes(factors[o * output_stride]);
                multiply_add(factor, first, sums[o][0]);
                multiply_add(factor, second, sums[o][1]);
            }
        }
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) {
            at(out + o * length, e) = sums[o][0];
            at(out + o * length, e + lanes) = sums[o][1];
        }
    }
}

}  // namespace

void add_products(const double* const* left, Index left_count, const double* const* right, Index right_count,
                  Index length, double* out, Index column_stride) {
    Index c = 0;
    const auto columns = [&]<int C>() {
        add_columns<C>(left, left_count, right + c, length, out + c * column_stride, column_stride);
        c += C;
    };
    while (c < right_count) {
        const Index rest = right_count - c;
        if (rest == 1)
            columns.template operator()<1>();
        else if (rest == 2 || rest == 4)
            columns.template operator()<2>();
        else
            columns.template operator()<3>();
    }
}

void combine(const double* coefficients, Index output_stride, Index input_stride, const double* constants,
             const double* const* in, Index inputs, Index outputs, Index length, double* out) {
    for (Index o = 0; o < outputs; o += 4) {
        const auto some = [&]<int O>() {
            combine_outputs<O>(coefficients + o * output_stride, output_stride, input_stride,
                               constants ? constants + o : nullptr, in, inputs, length, out + o * length);
        };
        switch (outputs - o) {
            case 1:
                some.template operator()<1>();
                break;
            case 2:
                some.template operator()<2>();
                break;
            case 3:
                some.template operator()<3>();
                break;
            default:
                some.template operator()<4>();
        }
    }
}

}  // namespace espectra::rows
