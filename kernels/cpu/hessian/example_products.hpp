#pragma once

#include "espectra/runtime/view.hpp"

#if defined(__AVX__)
#include <immintrin.h>
#endif

// Products and sums over a chunk of examples that stays in the caches. A row holds one quantity for all
// examples of the chunk, aligned to a vector; vectors run along the examples. Multiply-adds are fused where
// the processor that is compiled for has them.

namespace espectra::rows {

#if defined(__AVX512F__)
inline constexpr int lanes = 8;
#elif defined(__AVX__)
inline constexpr int lanes = 4;
#else
inline constexpr int lanes = 2;
#endif
typedef double Vector [[gnu::vector_size(8 * lanes), gnu::may_alias]];

/// Lengths of rows are multiples of this.
inline constexpr Index granularity = lanes;
/// Length of a row for so many examples.
constexpr Index padded(Index examples) { return (examples + granularity - 1) / granularity * granularity; }

[[gnu::always_inline]] inline void multiply_add(const Vector& x, const Vector& y, Vector& sum) {
#if defined(__AVX512F__)
    sum = _mm512_fmadd_pd(x, y, sum);
#elif defined(__FMA__) && defined(__AVX__)
    sum = _mm256_fmadd_pd(x, y, sum);
#else
    sum += x * y;
#endif
}

[[gnu::always_inline]] inline const Vector& at(const double* row, Index example) {
    return *reinterpret_cast<const Vector*>(row + example);
}
[[gnu::always_inline]] inline Vector& at(double* row, Index example) {
    return *reinterpret_cast<Vector*>(row + example);
}

/// Otherwise GCC loads a factor anew for each multiply-add, and loads are what limits a tile.
[[gnu::always_inline]] inline void keep_in_register(Vector& value) {
#if defined(__AVX512F__)
    asm("" : "+v"(value));
#elif defined(__AVX__)
    asm("" : "+x"(value));
#else
    static_cast<void>(value);
#endif
}

[[gnu::always_inline]] inline Vector all_lanes(double value) { return value - Vector{}; }

/// The sum of the lanes, in a fixed order.
[[gnu::always_inline]] inline double lane_sum(const Vector& v) {
    double partial[lanes];
    for (int lane = 0; lane < lanes; ++lane) partial[lane] = v[lane];
    for (int width = lanes / 2; width > 0; width /= 2)
        for (int lane = 0; lane < width; ++lane) partial[lane] += partial[lane + width];
    return partial[0];
}

/// out[c·column_stride + r] += Σ_e left_r[e] right_c[e] over rows of `length` examples.
void add_products(const double* const* left, Index left_count, const double* const* right, Index right_count,
                  Index length, double* out, Index column_stride);

/// out_o = constants[o] + Σ_q coefficients[o·output_stride + q·input_stride] in_q, rows of `out` one after
/// the other; constants may be nullptr: 0.
void combine(const double* coefficients, Index output_stride, Index input_stride, const double* constants,
             const double* const* in, Index inputs, Index outputs, Index length, double* out);

}  // namespace espectra::rows
