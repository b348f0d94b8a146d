#pragma once

#include "espectra/runtime/view.hpp"

namespace espectra {

// Sums in a fixed order: sixteen partial sums in vector registers (four AVX2 registers hide the latency of an
// addition), which are then added from left to right.

template <class Term>
double sum_of(Index count, Term&& term) {
    constexpr Index lanes = 16;
    double partial[lanes] = {};
    Index e = 0;
    for (; e + lanes <= count; e += lanes)
        for (Index lane = 0; lane < lanes; ++lane) partial[lane] += term(e + lane);
    double total = 0;
    for (const double value : partial) total += value;
    for (; e < count; ++e) total += term(e);
    return total;
}

inline double sum(const double* values, Index count) {
    return sum_of(count, [=](Index e) { return values[e]; });
}

inline double dot(const double* x, const double* y, Index count) {
    return sum_of(count, [=](Index e) { return x[e] * y[e]; });
}

}  // namespace espectra
