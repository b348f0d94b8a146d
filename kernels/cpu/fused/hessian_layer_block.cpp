#include "espectra/kernels/cpu/fused/hessian_assembly.hpp"

#include <algorithm>

// The block of a layer's parameters with themselves.

namespace espectra {

const double** HessianAssembly::form_feature_pairs(Index l, const double** features) const {
    const Index k = layer(l).inputs;
    const double** pairs = point(features, input(l), k);
    *pairs++ = ones_;
    const double** next = pairs;
    double* out = right_factor_;
    for (Index j = 0; j < k; ++j)
        for (Index i = 0; i <= j; ++i, out += length_) {
            multiply(features[i], features[j], out);
            *next++ = out;
        }
    std::copy_n(features, k + 1, next);
    return pairs;
}

template <bool Beta>
double HessianAssembly::couple(const double* b, const double* d_h_i, const double* d_h_j,
                               const double* d_beta_i, const double* d_beta_j, double* a, double* mixed_ij,
                               double* mixed_ji) const {
    using simd::at;
    simd::Vector sum{};
    for (Index e = 0; e < length_; e += simd::lanes) {
        const simd::Vector b_ij = at(b, e), h_j = at(d_h_j, e);
        const simd::Vector x = b_ij * at(d_h_i, e);
        if constexpr (Beta) {
            const simd::Vector beta_j = at(d_beta_j, e), y = b_ij * at(d_beta_i, e);
            at(mixed_ij, e) = y * h_j;
            at(mixed_ji, e) = x * beta_j;
            sum = simd::multiply_add(y, beta_j, sum);
        }
        at(a, e) = x * h_j;
    }
    return Beta ? simd::lane_sum(sum) : 0.0;
}

template <bool Beta>
double HessianAssembly::square(const double* b, const double* delta, const double* d_h, const double* d_hh,
                               const double* d_beta, const double* d_hbeta, const double* d_betabeta,
                               double* a, double* mixed) const {
    using simd::at;
    simd::Vector sum{};
    for (Index e = 0; e < length_; e += simd::lanes) {
        const simd::Vector x = at(b, e) * at(d_h, e);
        at(a, e) = x * at(d_h, e) + at(delta, e) * at(d_hh, e);
        if constexpr (Beta) {
            at(mixed, e) = x * at(d_beta, e) + at(delta, e) * at(d_hbeta, e);
            sum = simd::multiply_add(at(b, e) * at(d_beta, e), at(d_beta, e), sum);
            sum = simd::multiply_add(at(delta, e), at(d_betabeta, e), sum);
        }
    }
    return Beta ? simd::lane_sum(sum) : 0.0;
}

template <bool Beta>
void HessianAssembly::add_layer_block(int l, const LayerPlan& plan, const LayerSums& sums) const {
    const Layer& dense = layer(l);
    const State s = state(l);
    const auto row = [&](auto* first, Index i) { return first + i * length_; };
    const double** features = factors_;
    const double** feature_pairs = form_feature_pairs(l, features);
    // Rows of the first layer are not needed again: the next rows overwrite them.
    const bool keep = l > 0;
    double *first_a = curvature_, *first_m = mixed_;  // first rows not yet multiplied
    double *a = first_a, *m = first_m;                // next rows
    Index pairs_done = 0, mixed_done = 0, pair = 0;
    const auto multiply_new_rows = [&](bool all) {
        const Index pairs = (a - first_a) / length_, formed = (m - first_m) / length_;
        point(pointers_, first_a, pairs);
        add_products(pointers_, pairs_done, pairs, feature_pairs, 0, plan.feature_pairs, length_,
                     sums.weights);
        pairs_done += pairs;
        const Index count = all ? formed : formed / 4 * 4;  // tiles are four rows high
        point(pointers_, first_m, count);
        add_products(pointers_, mixed_done, count, features, 0, dense.inputs + 1, length_, sums.mixed);
        mixed_done += count;
        first_a = keep ? a : curvature_;
        first_m = keep ? row(first_m, count) : mixed_;
        a = first_a;
        if (!keep) m = first_m;
    };
    for (Index j = 0; j < dense.units; ++j) {
        const double* b = output_curvature(l, j);
        const double *h_j = row(s.d_h, j), *beta_j = Beta ? row(s.d_beta, j) : nullptr;
        for (Index i = plan.separate ? j : 0; i <= j; ++i, ++pair, b += length_) {
            double sum = 0;
            if (i < j) {
                sum = couple<Beta>(b, row(s.d_h, i), h_j, Beta ? row(s.d_beta, i) : nullptr, beta_j, a, m,
                                   m + length_);
                m += Beta ? 2 * length_ : 0;
            } else {
                sum = square<Beta>(b, row(delta_, j), h_j, row(s.d_hh, j), beta_j,
                                   Beta ? row(s.d_hbeta, j) : nullptr, Beta ? row(s.d_betabeta, j) : nullptr,
                                   a, m);
                m += Beta ? length_ : 0;
            }
            if constexpr (Beta) sums.beta[pair] += sum;
            a += length_;
            if (pair + 1 - pairs_done == rows_together) multiply_new_rows(!keep);
        }
    }
    multiply_new_rows(true);
}

void HessianAssembly::write_layer_block(const Layer& dense, bool separate, const LayerSums& sums) const {
    const Index n = dense.units, k = dense.inputs;
    const auto set = [&](Index row, Index column, double value) {
        hessian_(std::min(row, column), std::max(row, column)) = value;
    };
    for (Index p = 0; p < n; ++p)
        for (Index i = separate ? p : 0; i <= p; ++i) {
            const Index pair = separate ? p : pair_index(i, p);
            for (Index q = 0; q <= k; ++q)
                for (Index j = 0; j <= q; ++j) {
                    const double value = sums.weights(pair, pair_index(j, q));
                    set(dense.position(i, j), dense.position(p, q), value);
                    set(dense.position(i, q), dense.position(p, j), value);
                }
            if (dense.trainable_beta)
                hessian_(dense.offsets.beta + i, dense.offsets.beta + p) = sums.beta[pair];
        }
    if (!dense.trainable_beta) return;
    for (Index p = 0; p < n; ++p)
        for (Index i = separate ? p : 0; i < (separate ? p + 1 : n); ++i)
            for (Index j = 0; j <= k; ++j)
                hessian_(dense.position(i, j), dense.offsets.beta + p) =
                    sums.mixed(separate ? p : mixed_index(p, i), j);
}

template void HessianAssembly::add_layer_block<false>(int, const LayerPlan&, const LayerSums&) const;
template void HessianAssembly::add_layer_block<true>(int, const LayerPlan&, const LayerSums&) const;

}  // namespace espectra
