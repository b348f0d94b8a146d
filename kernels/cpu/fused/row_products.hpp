#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/group/reduction.hpp"
#include "espectra/runtime/view.hpp"

// Linear combinations of the rows of a chunk of examples, the steps of a small network's training from layer
// to layer. A row holds one quantity for `count` examples, a multiple of the lanes; neighbouring rows are
// `count` apart.

namespace espectra::training {

// Internal linkage lets GCC specialise and inline these functions for their callers.
namespace {

/// Examples that pass through all layers together; their rows stay in the L1 cache.
inline constexpr int chunk = 128;
/// Partial sums of a sum over examples.
inline constexpr int lanes = static_cast<int>(sum_lanes);
static_assert(dense_chunk % chunk == 0 && chunk % lanes == 0);

/// Start of a sum: its first product, 0 (which turns −0 into 0), or the sum so far.
enum class Start { first_product, zero, sum_so_far };

/// Calls store(e, Σ_n factor_n row_n[e]) for each example e, with N terms added from left to right. `store`
/// has to be always_inline: GCC stops inlining it when the file instantiates many activations, and the
/// training of a 2-10-1 network takes 40 % longer.
template <int N, Start S, class Store>
[[gnu::always_inline]] inline void sum_products(const double* factors, Index stride, const double* rows,
                                                int count, const double* sum_so_far, const Store& store) {
    double factor[N];
    for (int n = 0; n < N; ++n) factor[n] = factors[n * stride];
    for (int e = 0; e < count / lanes * lanes; ++e) {
        double sum = factor[0] * rows[e];
        if constexpr (S == Start::zero) sum = 0.0 + sum;
        if constexpr (S == Start::sum_so_far) sum = sum_so_far[e] + sum;
        for (int n = 1; n < N; ++n) sum += factor[n] * rows[n * count + e];
        store(e, sum);
    }
}

/// Terms of a sum that are added in one pass over the examples.
inline constexpr int terms_at_once = 4;

/// Like sum_products, with up to terms_at_once terms.
template <Start S, class Store>
void sum_few_products(int terms, const double* factors, Index stride, const double* rows, int count,
                      const double* sum_so_far, const Store& store) {
    switch (terms) {
        case 1:
            return sum_products<1, S>(factors, stride, rows, count, sum_so_far, store);
        case 2:
            return sum_products<2, S>(factors, stride, rows, count, sum_so_far, store);
        case 3:
            return sum_products<3, S>(factors, stride, rows, count, sum_so_far, store);
        default:
            return sum_products<terms_at_once, S>(factors, stride, rows, count, sum_so_far, store);
    }
}

/// Like sum_products, with any number of terms; `scratch` is a row.
template <Start S, class Store>
void sum_all_products(int terms, const double* factors, Index stride, const double* rows, int count,
                      double* scratch, const Store& store) {
    if (terms <= terms_at_once)
        return sum_few_products<S>(terms, factors, stride, rows, count, nullptr, store);
    const auto keep = [=](int e, double sum) __attribute__((always_inline)) { scratch[e] = sum; };
    sum_products<terms_at_once, S>(factors, stride, rows, count, nullptr, keep);
    int n = terms_at_once;
    for (; n + terms_at_once < terms; n += terms_at_once)
        sum_products<terms_at_once, Start::sum_so_far>(factors + n * stride, stride, rows + Index{n} * count,
                                                       count, scratch, keep);
    sum_few_products<Start::sum_so_far>(terms - n, factors + n * stride, stride, rows + Index{n} * count,
                                        count, scratch, store);
}

}  // namespace

}  // namespace espectra::training
