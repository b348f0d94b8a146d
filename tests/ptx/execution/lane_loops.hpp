#pragma once

#include "ptx/execution/strip.hpp"
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace espectra::ptx {

/// Calls f(lane) for all lanes; the loop is vectorised.
template <class F>
[[gnu::always_inline]] inline void for_all_lanes(const F& f) {
#pragma GCC ivdep
    for (int lane = 0; lane < lanes; ++lane) f(lane);
}

/// Lanes that a loop over some of the threads takes or skips together.
inline constexpr int lane_chunk = 8;

/// Elements of a row for these lanes, as one vector.
template <class T>
using Chunk [[gnu::vector_size(lane_chunk * sizeof(T))]] = T;

/// Returns, for each lane of a chunk, all ones if its bit is set, otherwise zero.
template <class T>
[[gnu::always_inline]] inline Chunk<T> spread(unsigned bits) {
    constexpr Chunk<T> weights = {1, 2, 4, 8, 16, 32, 64, 128};
    return reinterpret_cast<Chunk<T>>(((static_cast<T>(bits) - Chunk<T>{}) & weights) != 0);
}

/// Returns the bits of the lanes of a chunk whose elements are all ones; the others must be zero.
template <class T>
[[gnu::always_inline]] inline unsigned gathered(Chunk<T> mask) {
#if defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
    if constexpr (sizeof(T) == 8) return _mm512_movepi64_mask(reinterpret_cast<__m512i>(mask));
    if constexpr (sizeof(T) == 4) return _mm256_movepi32_mask(reinterpret_cast<__m256i>(mask));
    if constexpr (sizeof(T) == 2) return _mm_movepi16_mask(reinterpret_cast<__m128i>(mask));
#endif
    unsigned bits = 0;
    for (int i = 0; i < lane_chunk; ++i) bits |= static_cast<unsigned>(mask[i] & 1) << i;
    return bits;
}

template <class T>
[[gnu::always_inline]] inline Chunk<T> load_chunk(const void* elements) {
    Chunk<T> chunk;
    std::memcpy(&chunk, elements, sizeof(chunk));
    return chunk;
}

/// Returns the elements of a where the mask is all ones, and those of b where it is zero.
template <class T>
[[gnu::always_inline]] inline Chunk<T> blend(Chunk<T> mask, Chunk<T> a, Chunk<T> b) {
    return (a & mask) | (b & ~mask);
}

/// Assigns value(lane) to the active lanes of a row. It is called for inactive lanes as well.
template <class T, class F>
[[gnu::always_inline]] inline void assign_active(LaneMask active, T* row, const F& value) {
    for (int first = 0; first < lanes; first += lane_chunk) {
        const unsigned enabled = static_cast<unsigned>(active >> first) & 0xff;
        if (enabled == 0) continue;
        Chunk<T> values;
#pragma GCC ivdep
        for (int i = 0; i < lane_chunk; ++i) values[i] = value(first + i);
        values = blend<T>(spread<T>(enabled), values, load_chunk<T>(row + first));
        std::memcpy(row + first, &values, sizeof(values));
    }
}

/// d = operation(s…), where rows of results have elements D and those of operands S….
template <auto operation, class D, class... S>
struct Elementwise {
    static void all(Strip& strip, const Step& step) {
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            run_all(strip.row<D>(step.results[0]), strip.row<const S>(step.operands[i])...);
        }
        (std::index_sequence_for<S...>{});
    }
    static void some(Strip& strip, const Step& step) {
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            run_some(strip.active, strip.row<D>(step.results[0]), strip.row<const S>(step.operands[i])...);
        }
        (std::index_sequence_for<S...>{});
    }

  private:
    [[gnu::always_inline]] static void run_all(D* d, const S*... s) {
        for_all_lanes([=](int lane) { d[lane] = operation(s[lane]...); });
    }
    [[gnu::always_inline]] static void run_some(LaneMask active, D* d, const S*... s) {
        assign_active(active, d, [=](int lane) { return operation(s[lane]...); });
    }
};

template <auto operation, class D, class... S>
constexpr Handlers elementwise() {
    return {&Elementwise<operation, D, S...>::all, &Elementwise<operation, D, S...>::some};
}

/// The same for each active lane, one after the other, with operation(strip, step, lane, s…).
template <auto operation, class D, class... S>
struct LaneByLane {
    static void run(Strip& strip, const Step& step) {
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            for (LaneMask rest = strip.active; rest != 0; rest &= rest - 1) {
                const int lane = std::countr_zero(rest);
                strip.row<D>(step.results[0])[lane] =
                    operation(strip, step, lane, strip.row<const S>(step.operands[i])[lane]...);
            }
        }
        (std::index_sequence_for<S...>{});
    }
};

template <auto operation, class D, class... S>
constexpr Handlers lane_by_lane() {
    return always(&LaneByLane<operation, D, S...>::run);
}

/// Returns the handlers of an operation on `count` operands that have the same type as the result.
template <auto operation, int count, class T>
constexpr Handlers same_type() {
    static_assert(count >= 1 && count <= 3);
    if constexpr (count == 1) return elementwise<operation, T, T>();
    if constexpr (count == 2) return elementwise<operation, T, T, T>();
    if constexpr (count == 3) return elementwise<operation, T, T, T, T>();
}

}  // namespace espectra::ptx
