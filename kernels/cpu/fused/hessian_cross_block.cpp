#include "espectra/kernels/cpu/fused/hessian_assembly.hpp"

#include <algorithm>

// Blocks of a layer's parameters with those of a later layer.

namespace espectra {

namespace {

/// out = x ∘ y + z over rows of `length`.
void multiply_and_add(const double* x, const double* y, const double* z, Index length, double* out) {
    using simd::at;
    for (Index e = 0; e < length; e += simd::lanes) at(out, e) = at(x, e) * at(y, e) + at(z, e);
}

/// out = x ∘ y + z ∘ w over rows of `length`.
void multiply_both(const double* x, const double* y, const double* z, const double* w, Index length,
                   double* out) {
    using simd::at;
    for (Index e = 0; e < length; e += simd::lanes) at(out, e) = at(x, e) * at(y, e) + at(z, e) * at(w, e);
}

}  // namespace

void HessianAssembly::add_cross_block(Index l, Index k, const double* v, const double* u,
                                      const double* jacobian, double* sums) const {
    const Layer &dense = layer(l), &later = layer(k);
    const State s = state(l);
    const Index n = dense.units, left_count = cross_rows(dense), per_unit = cross_rows(later),
                columns = cross_columns(later);
    const double *x = input(l), *later_x = input(k);
    const double** left = factors_;
    const double** right = left + left_count;
    const Index together = units_together(later);
    for (Index i = 0; i < n; ++i, sums += left_count * columns) {
        const double* d_h = s.d_h + i * length_;
        for (Index j = 0; j < dense.inputs; ++j) {
            left[j] = left_factor_ + j * length_;
            multiply(d_h, x + j * length_, left_factor_ + j * length_);
        }
        left[dense.inputs] = d_h;
        if (dense.trainable_beta) left[dense.inputs + 1] = s.d_beta + i * length_;
        const Sums block = make_sums(sums, left_count, columns);
        for (Index begin = 0; begin < later.units; begin += together) {
            const Index end = std::min(begin + together, later.units);
            const double** next = right;
            double* out = right_factor_;
            for (Index p = begin; p < end; ++p) {
                const double* v_pi = v + (p * n + i) * length_;
                const double* delta = delta_h_ + p * length_;
                for (Index q = 0; q < later.inputs; ++q, out += length_) {
                    const double* a_q = later_x + q * length_;
                    if (jacobian)
                        multiply_both(v_pi, a_q, delta, jacobian + (q * n + i) * length_, length_, out);
                    else if (q == i)
                        multiply_and_add(v_pi, a_q, delta, length_, out);
                    else
                        multiply(v_pi, a_q, out);
                    *next++ = out;
                }
                *next++ = v_pi;
                if (later.trainable_beta) *next++ = u + (p * n + i) * length_;
            }
            add_products(left, 0, left_count, right, begin * per_unit, next - right, length_, block);
        }
    }
}

void HessianAssembly::add_link_block(Index l, const double* v, const double* u, double* data) const {
    const Layer &dense = layer(l), &later = layer(l + 1);
    const State s = state(l);
    const Index n = dense.units, per_unit = cross_rows(dense),
                together = std::max<Index>(1, link_rows / per_unit);
    const double** features = factors_;
    const double** later_features = point(features, input(l), dense.inputs);
    *later_features++ = ones_;
    const double** left = point(later_features, input(l + 1), later.inputs);
    *left++ = ones_;
    double* rest = right_factor_;
    for (Index p = 0; p < later.units; ++p) {
        const LinkSums sums = link_sums(data, dense, later);
        data = sums.end;
        Index count = 0;
        double* out = rest + 2 * n * length_;
        for (Index i = 0; i < n; ++i) {
            const Index pi = (p * n + i) * length_, row = i * length_;
            double* scaled = out + dense.inputs * length_;
            multiply(v + pi, s.d_h + row, scaled);
            for (Index j = 0; j < dense.inputs; ++j) multiply(scaled, features[j], out + j * length_);
            multiply(delta_h_ + p * length_, s.d_h + row, rest + row);
            if (later.trainable_beta) multiply(u + pi, s.d_h + row, rest + n * length_ + row);
            if (dense.trainable_beta) {
                multiply(v + pi, s.d_beta + row, scaled + length_);
                sums.beta[i] += dot(delta_h_ + p * length_, s.d_beta + row);
                if (later.trainable_beta) sums.beta[n + i] += dot(u + pi, s.d_beta + row);
            }
            out += per_unit * length_;
            if (++count < together && i + 1 < n) continue;
            out = rest + 2 * n * length_;
            point(left, out, count * per_unit);
            add_products(left, (i + 1 - count) * per_unit, count * per_unit, later_features, 0,
                         later.inputs + 1, length_, sums.scaled);
            count = 0;
        }
        const Index rest_count = later.trainable_beta ? 2 * n : n;
        point(left, rest, rest_count);
        add_products(left, 0, rest_count, features, 0, dense.inputs + 1, length_, sums.rest);
    }
}

void HessianAssembly::write_cross_block(const Layer& dense, const Layer& later, double* sums) const {
    const Index left_count = cross_rows(dense), columns = cross_columns(later), per_unit = cross_rows(later);
    for (Index i = 0; i < dense.units; ++i, sums += left_count * columns) {
        const Sums block = make_sums(sums, left_count, columns);
        for (Index row = 0; row < left_count; ++row) {
            double* out = &hessian_(row <= dense.inputs ? dense.position(i, row) : dense.offsets.beta + i, 0);
            for (Index p = 0; p < later.units; ++p)
                for (Index q = 0; q < per_unit; ++q)
                    out[q <= later.inputs ? later.position(p, q) : later.offsets.beta + p] =
                        block(row, p * per_unit + q);
        }
    }
}

void HessianAssembly::write_link_block(const Layer& dense, const Layer& later, double* data) const {
    const Index n = dense.units, k = dense.inputs, per_unit = cross_rows(dense);
    for (Index p = 0; p < later.units; ++p) {
        const LinkSums sums = link_sums(data, dense, later);
        data = sums.end;
        for (Index i = 0; i < n; ++i)
            for (Index c = 0; c < per_unit; ++c) {
                double* out = &hessian_(c <= k ? dense.position(i, c) : dense.offsets.beta + i, 0);
                for (Index q = 0; q <= later.inputs; ++q)
                    out[later.position(p, q)] = sums.scaled(i * per_unit + c, q);
                out[later.position(p, i)] += c <= k ? sums.rest(i, c) : sums.beta[i];
                if (later.trainable_beta)
                    out[later.offsets.beta + p] = c <= k ? sums.rest(n + i, c) : sums.beta[n + i];
            }
    }
}

}  // namespace espectra
