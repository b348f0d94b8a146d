#include "espectra/kernels/cpu/fused/hessian_chunk.hpp"
#include "espectra/kernels/cpu/fused/hessian_sums.hpp"
#include "espectra/kernels/cpu/fused/shallow_hessian.hpp"
#include "espectra/kernels/fused_hessian.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>

namespace espectra {

namespace {

/// Numbers of rows and sums that an Assembly takes.
struct Sizes {
    Index width = 0, pairs = 0, mixed = 0, cross = 0, columns = 0, sums = 0;

    explicit Sizes(const NetworkView& network) {
        sums = hessian_products(network);
        for (int l = 0; l < network.count; ++l) {
            const Layer& layer = network.layers[l];
            const LayerPlan plan = plan_layer(layer, separate_outputs(network, l));
            width = std::max({width, layer.units, layer.inputs});
            pairs = std::max(pairs, plan.unit_pairs);
            mixed = std::max(mixed, plan.mixed);
            columns = std::max({columns, units_together(layer) * layer.inputs, triangle(layer.inputs),
                                2 * layer.units + link_rows + cross_rows(layer)});
            for (int k = l + 1; k < network.count; ++k)
                sums += cross_sums(network, l, k) -
                        layer.units * cross_rows(layer) * cross_columns(network.layers[k]);
        }
        cross = network.count > 1 ? width * width : 0;
    }
    Index rows() const { return 3 * width + pairs + mixed + 7 * cross + columns; }
    /// Pointers to rows of a matrix; to ã and its products, or the factors of both sides of a cross block.
    Index pointers() const { return std::max(width, 2 * rows_together + 4 + 2 * width); }
    Index factors() const {
        return std::max({width + 2 + std::max(cross_factor_rows, width + 2), width + 1 + triangle(width + 1),
                         2 * (width + 1) + std::max(2 * width, link_rows + width + 2)});
    }
};

/// One network's Hessian, block by block.
class Assembly : ChunkStates {
  public:
    Assembly(const FusedHessian& arguments, Index replica, Arena& arena)
        : ChunkStates(arguments, replica, arena) {
        const Sizes s(arguments.network);
        sums_ = arena.take<double>(s.sums);
        std::fill_n(sums_, s.sums, 0.0);
        delta_h_ = take(s.width);
        scaled_ = take(s.width);
        curvature_ = take(s.pairs);
        mixed_ = take(s.mixed);
        for (auto& matrix : moving_) matrix = take(s.cross);
        left_factor_ = take(s.width);
        right_factor_ = take(s.columns);
        pointers_ = arena.take<const double*>(s.pointers());
        factors_ = arena.take<const double*>(s.factors());
    }

    void assemble() {
        for (Index begin = 0; begin < examples_; begin += length_)
            add_chunk(begin, std::min(length_, examples_ - begin));
        write();
    }

  private:
    LayerPlan plan(int l) const { return plan_layer(layer(l), separate_outputs(a_.network, l)); }

    double* pair_row(Index i, Index j) const {
        return curvature_ + (i <= j ? pair_index(i, j) : pair_index(j, i)) * length_;
    }

    /// A, M and the sums of D of layer l from B, δ^a, and the block of the layer with itself: rows of A and M
    /// are multiplied while they are in the first cache. rows_of_b(j) gives B's rows (i, j) for i ≤ j, one
    /// after the other; of separate outputs only (j, j).
    template <bool Beta, class RowsOfB>
    void add_layer_block(Index l, const LayerPlan& plan, const LayerSums& sums, RowsOfB&& rows_of_b) const {
        const Layer& dense = layer(l);
        const State s = state(l);
        const auto row = [&](auto* first, Index i) { return first + i * length_; };
        const double** features = factors_;
        const double** feature_pairs = form_feature_pairs(l, features);
        // Those of the first layer are of no further use: the next rows take their place.
        const bool keep = l > 0;
        double *first_a = curvature_, *first_m = mixed_;  // not yet multiplied
        double *a = first_a, *m = first_m;                // next
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
            const double* b = rows_of_b(j);
            const double *h_j = row(s.d_h, j), *beta_j = Beta ? row(s.d_beta, j) : nullptr;
            for (Index i = plan.separate ? j : 0; i <= j; ++i, ++pair, b += length_) {
                double sum = 0;
                if (i < j) {
                    sum = couple<Beta>(b, row(s.d_h, i), h_j, Beta ? row(s.d_beta, i) : nullptr, beta_j, a, m,
                                       m + length_);
                    m += Beta ? 2 * length_ : 0;
                } else {
                    sum = square<Beta>(b, row(delta_, j), h_j, row(s.d_hh, j), beta_j,
                                       Beta ? row(s.d_hbeta, j) : nullptr,
                                       Beta ? row(s.d_betabeta, j) : nullptr, a, m);
                    m += Beta ? length_ : 0;
                }
                if constexpr (Beta) sums.beta[pair] += sum;
                a += length_;
                if (pair + 1 - pairs_done == rows_together) multiply_new_rows(!keep);
            }
        }
        multiply_new_rows(true);
    }

    /// Pointers to ã, and to its products in the order of pair_index; ã's last is 1: with it none are formed.
    const double** form_feature_pairs(Index l, const double** features) const {
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

    /// A_ij, M_ij (β of i, h of j), M_ji; returns Σ D_ij.
    template <bool Beta>
    double couple(const double* b, const double* d_h_i, const double* d_h_j, const double* d_beta_i,
                  const double* d_beta_j, double* a, double* mixed_ij, double* mixed_ji) const {
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

    /// The diagonal: A_ii, M_ii; returns Σ D_ii.
    template <bool Beta>
    double square(const double* b, const double* delta, const double* d_h, const double* d_hh,
                  const double* d_beta, const double* d_hbeta, const double* d_betabeta, double* a,
                  double* mixed) const {
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

    /// Y = X W for rows [p] of X given by pointer(p, q), X being count × units of layer `l`.
    template <class Pointer>
    void times_weights(Index l, Index count, Pointer&& pointer, double* product) const {
        const Layer& dense = layer(l);
        for (Index p = 0; p < count; ++p) {
            for (Index q = 0; q < dense.units; ++q) pointers_[q] = pointer(p, q);
            rows::combine(weights(l), 1, dense.inputs, nullptr, pointers_, dense.units, dense.inputs, length_,
                          product + p * dense.inputs * length_);
        }
    }

    /// Y = X diag(φ_h) W through layer l.
    double* move(Index l, Index count, const double* matrix, double* product) const {
        const Index n = layer(l).units;
        const double* d_h = state(l).d_h;
        times_weights(
            l, count,
            [&](Index p, Index q) {
                multiply(matrix + (p * n + q) * length_, d_h + q * length_, scaled_ + q * length_);
                return scaled_ + q * length_;
            },
            product);
        return product;
    }

    /// Block of layers l < k. j: ∂a_{k−1}/∂a_l, or nullptr: the identity.
    void add_cross_block(Index l, Index k, const double* v, const double* u, const double* jacobian,
                         double* sums) const {
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
                            multiply_both(v_pi, a_q, delta, jacobian + (q * n + i) * length_, out);
                        else if (q == i)
                            multiply_and_add(v_pi, a_q, delta, out);
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

    /// Block of layers l and l + 1 with the units of layer l scaled.
    void add_link_block(Index l, const double* v, const double* u, double* data) const {
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

    void multiply_and_add(const double* x, const double* y, const double* z, double* out) const {
        using simd::at;
        for (Index e = 0; e < length_; e += simd::lanes) at(out, e) = at(x, e) * at(y, e) + at(z, e);
    }
    void multiply_both(const double* x, const double* y, const double* z, const double* w,
                       double* out) const {
        using simd::at;
        for (Index e = 0; e < length_; e += simd::lanes)
            at(out, e) = at(x, e) * at(y, e) + at(z, e) * at(w, e);
    }

    /// The recursion for `count` examples from `begin` on. Sums stand in the order in which it forms them.
    void add_chunk(Index begin, Index count) {
        evaluate(begin, count);
        double* sums = sums_;
        for (int k = a_.network.count; k-- > 0;) {
            const Layer& dense = layer(k);
            const LayerPlan p = plan(k);
            const Index n = dense.units, inputs = dense.inputs;
            const bool beta = dense.trainable_beta;
            const LayerSums of_layer = layer_sums(sums, dense, p);
            sums = of_layer.end;
            const auto rows_of_b = [&](Index j) {
                return k + 1 == a_.network.count ? output_curvature(j) : pulled_curvature(k, j);
            };
            if (beta)
                add_layer_block<true>(k, p, of_layer, rows_of_b);
            else
                add_layer_block<false>(k, p, of_layer, rows_of_b);
            if (k == 0) break;

            for (Index i = 0; i < n; ++i)
                multiply(delta_ + i * length_, state(k).d_h + i * length_, delta_h_ + i * length_);
            point(pointers_, delta_h_, n);
            rows::combine(weights(k), 1, inputs, nullptr, pointers_, n, inputs, length_, delta_);

            double *v = moving_[0], *u = moving_[1];
            if (p.separate) {
                scale_weights(k, curvature_, v);
                if (beta) scale_weights(k, mixed_, u);
            } else {
                times_weights(
                    k, n, [&](Index i, Index q) { return pair_row(i, q); }, v);
                if (beta)
                    times_weights(
                        k, n, [&](Index i, Index q) { return mixed_ + mixed_index(i, q) * length_; }, u);
            }
            const double *moved_v = v, *moved_u = u, *jacobian = nullptr;
            for (int l = k; l-- > 0;) {
                if (scales_units(layer(l), dense, k - l))
                    add_link_block(l, v, u, sums);
                else
                    add_cross_block(l, k, moved_v, moved_u, jacobian, sums);
                sums += cross_sums(a_.network, l, k);
                if (l == 0) break;
                // V_{k←k−1} stays for B_{k−1}.
                const bool even = (k - l) % 2 == 0;
                moved_v = move(l, n, moved_v, moving_[even ? 2 : 3]);
                if (beta) moved_u = move(l, n, moved_u, moving_[even ? 1 : 4]);
                double* product = moving_[even ? 5 : 6];
                if (jacobian)
                    jacobian = move(l, inputs, jacobian, product);
                else
                    jacobian = layer_jacobian(l, product);
            }
        }
    }

    /// Rows (i, j), i ≤ j, of ∂²ℓ/∂z∂z; the diagonal alone where outputs do not interact.
    const double* output_curvature(Index j) const {
        if (traits_of(a_.network.loss).elementwise) return second_ + j * length_;
        using simd::at;
        const simd::Vector weight = simd::broadcast(-loss_weight(a_.network.loss, last().units, examples_));
        for (Index i = 0; i < j; ++i)
            for (Index e = 0; e < length_; e += simd::lanes)
                at(scaled_ + i * length_, e) =
                    weight * at(probabilities_ + i * length_, e) * at(probabilities_ + j * length_, e);
        std::copy_n(second_ + j * length_, length_, scaled_ + j * length_);
        return scaled_;
    }

    /// Rows (i, j), i ≤ j, of B_l = Wᵀ V with W and V = V_{l+1←l} of layer l + 1.
    const double* pulled_curvature(Index l, Index j) const {
        const Layer& next = layer(l + 1);
        for (Index q = 0; q < next.units; ++q) pointers_[q] = moving_[0] + (q * next.inputs + j) * length_;
        rows::combine(weights(l + 1), 1, next.inputs, nullptr, pointers_, next.units, j + 1, length_,
                      scaled_);
        return scaled_;
    }

    /// diag(d) W for a diagonal d of rows.
    void scale_weights(Index l, const double* diagonal, double* product) const {
        for (Index p = 0; p < layer(l).units; ++p)
            for (Index i = 0; i < layer(l).inputs; ++i)
                scale(weights(l)[p * layer(l).inputs + i], diagonal + p * length_,
                      product + (p * layer(l).inputs + i) * length_);
    }
    const double* layer_jacobian(Index l, double* product) const {
        scale_weights(l, state(l).d_h, product);
        return product;
    }
    void scale(double factor, const double* x, double* out) const {
        using simd::at;
        const simd::Vector factors = simd::broadcast(factor);
        for (Index e = 0; e < length_; e += simd::lanes) at(out, e) = factors * at(x, e);
    }

    /// Every sum to its one or two places in the upper triangle.
    void write() const {
        for (Index row = 0; row < hessian_.extent[0]; ++row)
            std::fill_n(&hessian_(row, row), hessian_.extent[0] - row, 0.0);
        double* sums = sums_;
        for (int k = a_.network.count; k-- > 0;) {
            const LayerPlan p = plan(k);
            const LayerSums of_layer = layer_sums(sums, layer(k), p);
            sums = of_layer.end;
            write_layer_block(layer(k), p.separate, of_layer);
            for (int l = k; l-- > 0;) {
                if (scales_units(layer(l), layer(k), k - l))
                    write_link_block(layer(l), layer(k), sums);
                else
                    write_cross_block(layer(l), layer(k), sums);
                sums += cross_sums(a_.network, l, k);
            }
        }
    }

    /// Of unit i and feature j.
    static Index position(const Layer& dense, Index i, Index j) {
        return j < dense.inputs ? dense.offsets.weights + i * dense.inputs + j : dense.offsets.bias + i;
    }

    void write_layer_block(const Layer& dense, bool separate, const LayerSums& sums) const {
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
                        set(position(dense, i, j), position(dense, p, q), value);
                        set(position(dense, i, q), position(dense, p, j), value);
                    }
                if (dense.trainable_beta)
                    hessian_(dense.offsets.beta + i, dense.offsets.beta + p) = sums.beta[pair];
            }
        if (!dense.trainable_beta) return;
        for (Index p = 0; p < n; ++p)
            for (Index i = separate ? p : 0; i < (separate ? p + 1 : n); ++i)
                for (Index j = 0; j <= k; ++j)
                    hessian_(position(dense, i, j), dense.offsets.beta + p) =
                        sums.mixed(separate ? p : mixed_index(p, i), j);
    }

    void write_cross_block(const Layer& dense, const Layer& later, double* sums) const {
        const Index left_count = cross_rows(dense), columns = cross_columns(later),
                    per_unit = cross_rows(later);
        for (Index i = 0; i < dense.units; ++i, sums += left_count * columns) {
            const Sums block = make_sums(sums, left_count, columns);
            for (Index row = 0; row < left_count; ++row) {
                double* out =
                    &hessian_(row <= dense.inputs ? position(dense, i, row) : dense.offsets.beta + i, 0);
                for (Index p = 0; p < later.units; ++p)
                    for (Index q = 0; q < per_unit; ++q)
                        out[q <= later.inputs ? position(later, p, q) : later.offsets.beta + p] =
                            block(row, p * per_unit + q);
            }
        }
    }

    void write_link_block(const Layer& dense, const Layer& later, double* data) const {
        const Index n = dense.units, k = dense.inputs, per_unit = cross_rows(dense);
        for (Index p = 0; p < later.units; ++p) {
            const LinkSums sums = link_sums(data, dense, later);
            data = sums.end;
            for (Index i = 0; i < n; ++i)
                for (Index c = 0; c < per_unit; ++c) {
                    double* out = &hessian_(c <= k ? position(dense, i, c) : dense.offsets.beta + i, 0);
                    for (Index q = 0; q <= later.inputs; ++q)
                        out[position(later, p, q)] = sums.scaled(i * per_unit + c, q);
                    out[position(later, p, i)] += c <= k ? sums.rest(i, c) : sums.beta[i];
                    if (later.trainable_beta)
                        out[later.offsets.beta + p] = c <= k ? sums.rest(n + i, c) : sums.beta[n + i];
                }
        }
    }

    double *sums_, *delta_h_, *scaled_, *curvature_, *mixed_, *moving_[7], *left_factor_, *right_factor_;
    const double **pointers_, **factors_;
};

}  // namespace

void fused_hessian(CpuContext& context, const FusedHessian& arguments) {
    require_equal("fused_hessian: examples", arguments.features.extent[1], arguments.targets.extent[1]);
    context.parallel_for(arguments.theta.extent[0], [&](Index replica, int worker) {
        Arena::Frame frame(context.arena(worker));
        if (shallow_hessian_fits(arguments.network))
            shallow_hessian(arguments, replica, context.arena(worker));
        else
            Assembly(arguments, replica, context.arena(worker)).assemble();
    });
}

bool fused_hessian_fits(const NetworkView& network) {
    // On one thread this is 4 times faster than the steps at P = 292 (2-10-10-10-1), 2.9 times at P = 540
    // (2-20-20-1, 16-24-4) and still 1.8 times at P = 1360 (32-32-8); but one network takes one thread, and
    // the steps take all.
    constexpr Index widest = 32, most_parameters = 600;
    for (int l = 0; l < network.count; ++l)
        if (std::max(network.layers[l].units, network.layers[l].inputs) > widest) return false;
    return network.parameters() <= most_parameters;
}

std::size_t fused_hessian_bytes(const NetworkView& network, Index examples) {
    const Sizes sizes(network);
    const Index rows = ChunkStates::row_count(network) + sizes.rows();
    const Index pointers = sizes.pointers() + sizes.factors();
    const auto bytes = static_cast<std::size_t>(rows * chunk_length(examples) + sizes.sums) * sizeof(double) +
                       static_cast<std::size_t>(pointers) * sizeof(double*);
    return shallow_hessian_fits(network) ? shallow_hessian_bytes(network, examples) : bytes;
}

Index hessian_products(const NetworkView& network) {
    const Layer* layers = network.layers;
    Index products = 0;
    for (int k = 0; k < network.count; ++k) {
        const LayerPlan p = plan_layer(layers[k], separate_outputs(network, k));
        products += p.unit_pairs * p.feature_pairs;
        if (layers[k].trainable_beta) products += p.mixed * (layers[k].inputs + 1) + p.unit_pairs;
        for (int l = 0; l < k; ++l)
            products += layers[l].units * cross_rows(layers[l]) * cross_columns(layers[k]);
    }
    return products;
}

}  // namespace espectra
