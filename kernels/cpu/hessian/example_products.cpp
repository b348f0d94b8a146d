#include "espectra/kernels/cpu/hessian/example_products.hpp"

namespace espectra::rows {

namespace {

using namespace simd;

constexpr int widest_tile = lanes == 8 ? 6 : 3;  // columns: AVX-512 has twice as many registers

/// Adds the sum of the lanes of sums[r], in a fixed order, to out[r].
template <int R>
[[gnu::always_inline]] inline void add_lane_sums(const Vector* sums, double* out) {
#if defined(__AVX__)
    if constexpr (R == 4) {
        __m256d halves[4];
#pragma GCC unroll 4
        for (int r = 0; r < 4; ++r) {
            if constexpr (lanes == 8)
                halves[r] =
                    __builtin_shufflevector(sums[r], sums[r], 0, 1, 2, 3) +
                    __builtin_shufflevector(sums[r], sums[r], lanes - 4, lanes - 3, lanes - 2, lanes - 1);
            else
                halves[r] = __builtin_shufflevector(sums[r], sums[r], 0, 1, 2, 3);
        }
        const __m256d first = _mm256_hadd_pd(halves[0], halves[1]),
                      second = _mm256_hadd_pd(halves[2], halves[3]);
        const __m256d low = _mm256_permute2f128_pd(first, second, 0x20),
                      high = _mm256_permute2f128_pd(first, second, 0x31);
        _mm256_storeu_pd(out, _mm256_add_pd(_mm256_loadu_pd(out), _mm256_add_pd(low, high)));
        return;
    }
#endif
    for (int r = 0; r < R; ++r) out[r] += lane_sum(sums[r]);
}

#if defined(__AVX512F__)
/// Returns the sums of the lanes of eight vectors.
[[gnu::always_inline]] inline Vector eight_lane_sums(const Vector* v) {
    Vector pairs[4], fours[2];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const Vector &x = v[2 * i], &y = v[2 * i + 1];
        pairs[i] = __builtin_shufflevector(x, y, 0, 8, 2, 10, 4, 12, 6, 14) +
                   __builtin_shufflevector(x, y, 1, 9, 3, 11, 5, 13, 7, 15);
    }
    const auto fold = [](const Vector& x, const Vector& y) -> Vector {
        return __builtin_shufflevector(x, y, 0, 1, 4, 5, 8, 9, 12, 13) +
               __builtin_shufflevector(x, y, 2, 3, 6, 7, 10, 11, 14, 15);
    };
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) fours[i] = fold(pairs[2 * i], pairs[2 * i + 1]);
    return fold(fours[0], fours[1]);
}

/// Like add_lane_sums for eight sums: two columns with R = 4, one with R = 8.
template <int R>
[[gnu::always_inline]] inline void add_eight_lane_sums(const Vector* sums, double* out, Index column_stride) {
    const Vector total = eight_lane_sums(sums);
    typedef double Half [[gnu::vector_size(32), gnu::may_alias, gnu::aligned(8)]];
    *reinterpret_cast<Half*>(out) += __builtin_shufflevector(total, total, 0, 1, 2, 3);
    double* high = R == 8 ? out + 4 : out + column_stride;
    *reinterpret_cast<Half*>(high) += __builtin_shufflevector(total, total, 4, 5, 6, 7);
}
#endif

/// Adds R × C sums, in registers. Eight or more of them hide the latency of a multiply-add.
template <int R, int C>
void add_tile(const double* const* left, const double* const* right, Index length, double* out,
              Index column_stride) {
    const double *x[R], *y[C];
    for (int r = 0; r < R; ++r) x[r] = left[r];
    for (int c = 0; c < C; ++c) y[c] = right[c];
    Vector sums[C][R] = {};
    for (Index e = 0; e < length; e += lanes) {
        Vector values[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) values[r] = at(x[r], e);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) {
            Vector value = at(y[c], e);
            keep_in_register(value);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) sums[c][r] = multiply_add(values[r], value, sums[c][r]);
        }
    }
    int done = 0;
#if defined(__AVX512F__)
    if constexpr (R % 4 == 0) {
        constexpr int together = 8 / R;
#pragma GCC unroll 8
        for (; done + together <= C; done += together)
            add_eight_lane_sums<R>(sums[done], out + done * column_stride, column_stride);
    }
#endif
#pragma GCC unroll 8
    for (int c = done; c < C; ++c) {
        if constexpr (R == 8) {
            add_lane_sums<4>(sums[c], out + c * column_stride);
            add_lane_sums<4>(sums[c] + 4, out + c * column_stride + 4);
        } else {
            add_lane_sums<R>(sums[c], out + c * column_stride);
        }
    }
}

template <int C>
void add_columns(const double* const* left, Index left_count, const double* const* right, Index length,
                 double* out, Index column_stride) {
    constexpr int rows = C == 1 || (C <= 3 && lanes == 8) ? 8 : 4;
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
    Index e = 0;
    for (; e + 2 * lanes <= length; e += 2 * lanes) {
        Vector sums[O][2];
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) sums[o][0] = sums[o][1] = broadcast(constants ? constants[o] : 0.0);
        for (Index q = 0; q < inputs; ++q) {
            const Vector first = at(in[q], e), second = at(in[q], e + lanes);
            const double* factors = coefficients + q * input_stride;
#pragma GCC unroll 8
            for (int o = 0; o < O; ++o) {
                const Vector factor = broadcast(factors[o * output_stride]);
                sums[o][0] = multiply_add(factor, first, sums[o][0]);
                sums[o][1] = multiply_add(factor, second, sums[o][1]);
            }
        }
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) {
            at(out + o * length, e) = sums[o][0];
            at(out + o * length, e + lanes) = sums[o][1];
        }
    }
    if (e == length) return;
    Vector sums[O];
#pragma GCC unroll 8
    for (int o = 0; o < O; ++o) sums[o] = broadcast(constants ? constants[o] : 0.0);
    for (Index q = 0; q < inputs; ++q)
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o)
            sums[o] = multiply_add(broadcast(coefficients[q * input_stride + o * output_stride]),
                                   at(in[q], e), sums[o]);
#pragma GCC unroll 8
    for (int o = 0; o < O; ++o) at(out + o * length, e) = sums[o];
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
        if (widest_tile == 6 && rest >= 6)
            columns.template operator()<widest_tile>();
        else if (widest_tile == 6 && rest == 4)
            columns.template operator()<4>();
        else if (rest == 1)
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
