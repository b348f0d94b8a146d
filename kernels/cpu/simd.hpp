#pragma once

#include "espectra/runtime/view.hpp"

#if defined(__AVX__)
#include <immintrin.h>
#endif

#include <cmath>

// Vectors of doubles. Arithmetic operators act element by element. Multiply-adds are fused where the
// processor that is compiled for has them.

namespace espectra::simd {

/// Doubles in the widest vector register.
#if defined(__AVX512F__)
inline constexpr int lanes = 8;
#elif defined(__AVX__)
inline constexpr int lanes = 4;
#else
inline constexpr int lanes = 2;
#endif

template <int Lanes>
struct VectorType {
    using Type [[gnu::vector_size(8 * Lanes)]] = double;
};
template <>
struct VectorType<1> {
    using Type = double;
};

/// `Lanes` doubles: 1 (a plain double), 2, 4 or 8, up to `lanes`.
template <int Lanes>
using VectorOf = typename VectorType<Lanes>::Type;

/// The widest one. It may alias anything: with the aliasing of double, GCC 12 orders the loads of the fused
/// Hessian so that it takes 4 % longer (2-10-1, on AVX-512).
using Vector [[gnu::vector_size(8 * lanes), gnu::may_alias]] = double;

template <class V>
inline constexpr int lane_count = sizeof(V) / sizeof(double);

/// Smallest multiple of the widest vector's length that is not below `count`: length of a row of vectors.
constexpr Index padded(Index count) { return (count + lanes - 1) / lanes * lanes; }

template <class V = Vector>
[[gnu::always_inline]] inline V broadcast(double value) {
    return value - V{};
}

/// x·y + z, rounded once where the processor has the instruction.
template <class V>
[[gnu::always_inline]] inline V multiply_add(const V& x, const V& y, const V& z) {
#if defined(__FMA__)
    if constexpr (lane_count<V> == 1) return __builtin_fma(x, y, z);
    if constexpr (lane_count<V> == 2) return _mm_fmadd_pd(x, y, z);
    if constexpr (lane_count<V> == 4) return _mm256_fmadd_pd(x, y, z);
#if defined(__AVX512F__)
    if constexpr (lane_count<V> == 8) return _mm512_fmadd_pd(x, y, z);
#endif
#else
    return x * y + z;
#endif
}

template <class V>
[[gnu::always_inline]] inline V sqrt(V x) {
    if constexpr (lane_count<V> == 1) {
        return std::sqrt(x);
    } else {
        for (int lane = 0; lane < lane_count<V>; ++lane) x[lane] = std::sqrt(x[lane]);
        return x;
    }
}

/// Sum of the lanes: the upper half is added to the lower half until one is left.
[[gnu::always_inline]] inline double lane_sum(const Vector& v) {
    double partial[lanes];
    for (int lane = 0; lane < lanes; ++lane) partial[lane] = v[lane];
    for (int width = lanes / 2; width > 0; width /= 2)
        for (int lane = 0; lane < width; ++lane) partial[lane] += partial[lane + width];
    return partial[0];
}

/// The vector that begins at row[index]; aligned to its size.
[[gnu::always_inline]] inline const Vector& at(const double* row, Index index) {
    return *reinterpret_cast<const Vector*>(row + index);
}
[[gnu::always_inline]] inline Vector& at(double* row, Index index) {
    return *reinterpret_cast<Vector*>(row + index);
}

/// Keeps GCC from loading a factor anew for each multiply-add: loads are what limits a register tile.
[[gnu::always_inline]] inline void keep_in_register(Vector& value) {
#if defined(__AVX512F__)
    asm("" : "+v"(value));
#elif defined(__AVX__)
    asm("" : "+x"(value));
#else
    static_cast<void>(value);
#endif
}

}  // namespace espectra::simd
