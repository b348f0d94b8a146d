#pragma once

#include "ptx/execution/strip.hpp"
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace espectra::ptx {

/// Lanes that a loop over some of the threads takes or skips together.
inline constexpr int lane_chunk = 8;

/// Calls f(lane) for all lanes; the loop is vectorised.
template <class F>
[[gnu::always_inline]] inline void for_all_lanes(const F& f) {
#pragma GCC ivdep
    for (int lane = 0; lane < lanes; ++lane) f(lane);
}

/// Calls f(lane, enabled) for chunks of lanes of which at least one is active.
template <class F>
[[gnu::always_inline]] inline void for_active_chunks(LaneMask active, const F& f) {
    for (int first = 0; first < lanes; first += lane_chunk) {
        const unsigned enabled = static_cast<unsigned>(active >> first) & 0xff;
        if (enabled == 0) continue;
#pragma GCC ivdep
        for (int i = 0; i < lane_chunk; ++i) f(first + i, (enabled >> i & 1) != 0);
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
        for_active_chunks(active, [=](int lane, bool enabled) {
            const D value = operation(s[lane]...);
            d[lane] = enabled ? value : d[lane];
        });
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
    return {&LaneByLane<operation, D, S...>::run, &LaneByLane<operation, D, S...>::run};
}

/// Handlers of an operation on `count` operands that have the same type as the result.
template <auto operation, int count, class T>
constexpr Handlers same_type() {
    static_assert(count >= 1 && count <= 3);
    if constexpr (count == 1) return elementwise<operation, T, T>();
    if constexpr (count == 2) return elementwise<operation, T, T, T>();
    if constexpr (count == 3) return elementwise<operation, T, T, T, T>();
}

}  // namespace espectra::ptx
