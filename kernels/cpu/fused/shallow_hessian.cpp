#include "espectra/kernels/cpu/fused/shallow_hessian.hpp"

#include "espectra/kernels/cpu/fused/hessian_chunk.hpp"
#include "espectra/kernels/cpu/fused/hessian_sums.hpp"

#include <algorithm>

namespace espectra {

namespace {

constexpr Index columns_at_once = 6;  // of a symmetric product

/// Numbers of rows and sums. Left rows: A₂ φ_β and A₂ φ of the hidden units, A₂, M₂, δ^h₂; φ_β and M₂ only
/// where β is trained. Right rows: φ_h ã_j of each hidden unit, then φ_β and φ of the hidden units, and 1.
struct ShallowSizes {
    Index units, inputs, betas, left, right_units, right_others;

    explicit ShallowSizes(const NetworkView& network)
        : units(network.layers[0].units),
          inputs(network.inputs()),
          betas(network.layers[0].trainable_beta ? units : 0),
          left(betas + units + 2 + (network.layers[1].trainable_beta ? 1 : 0)),
          right_units(units * (inputs + 1)),
          right_others(betas + units + 1) {}
    Index delta() const { return left - 1; }
    Index feature_pairs() const { return triangle(inputs + 1); }
    Index pair_sums() const { return triangle(units) * feature_pairs(); }
    Index mixed_sums() const { return units * (inputs + 1); }
    /// Number of rows: left rows; products φ_h ã_j; A₂ φ_h and its products with φ_h; δ^h₂ φ_hβ; products ã_j
    /// ã_j'.
    Index rows() const { return left + units * inputs + 1 + rows_together + units + triangle(inputs); }
    /// Number of pointers: left and right rows; products of units, or δ^h₂ φ_hβ; ã and its products.
    Index pointers() const {
        return left + right_units + right_others + std::max(rows_together, units) + inputs + 1 +
               feature_pairs();
    }
    Index sums() const {
        return (right_units + right_others) * left + pair_sums() + mixed_sums() + units + 1;
    }
};

class ShallowAssembly : ChunkStates {
  public:
    ShallowAssembly(const FusedHessian& arguments, Index replica, Arena& arena)
        : ChunkStates(arguments, replica, arena), size_(arguments.network) {
        double* sums = arena.take<double>(size_.sums());
        std::fill_n(sums, size_.sums(), 0.0);
        unit_sums_ = sums;  // [right row, left row]
        other_sums_ = unit_sums_ + size_.right_units * size_.left;
        second_beta_ = other_sums_ + size_.right_others * size_.left;
        output_beta_ = second_beta_ + size_.units;
        pair_sums_ = make_sums(output_beta_ + 1, triangle(size_.units), size_.feature_pairs());
        second_mixed_ = make_sums(pair_sums_.data + size_.pair_sums(), size_.units, size_.inputs + 1);
        rows_ = take(size_.rows());
        pointers_ = arena.take<const double*>(size_.pointers());
        positions_ = arena.take<Index>(size_.left);
        factors_ = arena.take<double>(size_.left);
    }

    void assemble() {
        for (Index begin = 0; begin < examples_; begin += length_)
            add_chunk(begin, std::min(length_, examples_ - begin));
        write();
    }

  private:
    bool hidden_beta() const { return layer(0).trainable_beta; }
    bool output_beta() const { return last().trainable_beta; }

    void add_chunk(Index begin, Index count) {
        evaluate(begin, count);
        const Index n = size_.units, k = size_.inputs, others = size_.right_others;
        const State hidden = state(0);
        double* next = rows_;
        const auto take_rows = [&](Index wanted) {
            double* first = next;
            next += wanted * length_;
            return first;
        };
        double* left_rows = take_rows(size_.left);
        double *a = left_rows + (size_.betas + n) * length_, *delta = left_rows + size_.delta() * length_;
        output_layer(a, a + length_, delta);
        for (Index i = 0; i < size_.betas; ++i)
            multiply(a, hidden.d_beta + i * length_, left_rows + i * length_);
        for (Index i = 0; i < n; ++i)
            multiply(a, hidden.output + i * length_, left_rows + (size_.betas + i) * length_);
        const double** left = pointers_;
        const double** right = point(left, left_rows, size_.left);

        const double** end = right;
        double* product = take_rows(n * k);
        for (Index i = 0; i < n; ++i) {
            const double* d_h = hidden.d_h + i * length_;
            for (Index j = 0; j < k; ++j, product += length_) {
                multiply(d_h, features_ + j * length_, product);
                *end++ = product;
            }
            *end++ = d_h;
        }
        rows::add_products(left, size_.left, right, size_.right_units, length_, unit_sums_, size_.left);
        const double** other = end;
        end = point(point(end, hidden.d_beta, size_.betas), hidden.output, n);
        *end++ = ones_;
        for (Index c = 0; c < others; c += columns_at_once)
            rows::add_products(left + c, size_.left - c, other + c, std::min(columns_at_once, others - c),
                               length_, other_sums_ + c * size_.left + c, size_.left);

        double* scaled = take_rows(1);
        double* pairs = take_rows(rows_together);
        double* d_hbeta = take_rows(n);
        const double** features = point(end, features_, k);
        *features++ = ones_;
        add_unit_pairs(a, delta, scaled, pairs, form_feature_pairs(end, features, take_rows(triangle(k))),
                       features + size_.feature_pairs());
        if (hidden_beta()) add_mixed(delta, d_hbeta, end, features + size_.feature_pairs());
    }

    /// Forms the products of ã and pointers to them, in the order of pair_index.
    const double* const* form_feature_pairs(const double* const* features, const double** pairs,
                                            double* out) const {
        const double** pair = pairs;
        for (Index j = 0; j < size_.inputs; ++j)
            for (Index i = 0; i <= j; ++i, out += length_) {
                multiply(features[i], features[j], out);
                *pair++ = out;
            }
        std::copy_n(features, size_.inputs + 1, pair);
        return pairs;
    }

    /// Adds A₂ φ_h φ_h of two hidden units, or w_i A₂ φ_h² + δ^h₂ φ_hh of a unit with itself, times products
    /// of ã.
    void add_unit_pairs(const double* a, const double* delta, double* scaled, double* products,
                        const double* const* feature_pairs, const double** left) const {
        const State hidden = state(0);
        Index done = 0, formed = 0;
        const auto multiply_rows = [&] {
            point(left, products, formed);
            add_products(left, done, formed, feature_pairs, 0, size_.feature_pairs(), length_, pair_sums_);
            done += formed;
            formed = 0;
        };
        for (Index p = 0; p < size_.units; ++p) {
            const double* d_h = hidden.d_h + p * length_;
            multiply(a, d_h, scaled);
            for (Index i = 0; i <= p; ++i) {
                double* out = products + formed++ * length_;
                if (i < p)
                    multiply(scaled, hidden.d_h + i * length_, out);
                else
                    square(weights(1)[p], scaled, d_h, delta, hidden.d_hh + p * length_, out);
                if (formed == rows_together) multiply_rows();
            }
        }
        multiply_rows();
    }

    void square(double w, const double* scaled, const double* d_h, const double* delta, const double* d_hh,
                double* out) const {
        using simd::at;
        const simd::Vector factor = simd::broadcast(w);
        for (Index e = 0, length = length_; e < length; e += simd::lanes)
            at(out, e) = factor * at(scaled, e) * at(d_h, e) + at(delta, e) * at(d_hh, e);
    }

    /// Adds Σ δ^h₂ times φ_hβ ã and φ_ββ of each hidden unit.
    void add_mixed(const double* delta, double* d_hbeta, const double* const* features,
                   const double** left) const {
        const State hidden = state(0);
        for (Index i = 0; i < size_.units; ++i) {
            const Index row = i * length_;
            multiply(delta, hidden.d_hbeta + row, d_hbeta + row);
            second_beta_[i] += dot(delta, hidden.d_betabeta + row);
        }
        point(left, d_hbeta, size_.units);
        add_products(left, 0, size_.units, features, 0, size_.inputs + 1, length_, second_mixed_);
    }

    /// Forms A, M and δ^h of the output and adds the sum of its D.
    void output_layer(double* a, double* m, double* delta_h) const {
        using simd::at;
        const State s = state(1);
        simd::Vector sum{};
        for (Index e = 0; e < length_; e += simd::lanes) {
            const simd::Vector delta = at(delta_, e), d_h = at(s.d_h, e), x = at(second_, e) * d_h;
            at(a, e) = x * d_h + delta * at(s.d_hh, e);
            at(delta_h, e) = delta * d_h;
            if (output_beta()) {
                const simd::Vector d_beta = at(s.d_beta, e);
                at(m, e) = x * d_beta + delta * at(s.d_hbeta, e);
                sum = simd::multiply_add(at(second_, e) * d_beta, d_beta, sum);
                sum = simd::multiply_add(delta, at(s.d_betabeta, e), sum);
            }
        }
        if (output_beta()) *output_beta_ += simd::lane_sum(sum);
    }

    void set(Index row, Index column, double value) const {
        hessian_(std::min(row, column), std::max(row, column)) = value;
    }

    /// Writes the positions in θ of the left rows except δ^h₂, and their factors w_i.
    void place() const {
        Index* position = positions_;
        for (Index i = 0; i < size_.betas; ++i) *position++ = layer(0).offsets.beta + i;
        for (Index q = 0; q < size_.units; ++q) *position++ = last().offsets.weights + q;
        *position++ = last().offsets.bias;
        if (output_beta()) *position = last().offsets.beta;
        std::copy_n(weights(1), size_.betas, factors_);
        std::fill(factors_ + size_.betas, factors_ + size_.delta(), 1.0);
    }

    void write_row(Index row, double factor, const double* sums, Index first) const {
        double* out = &hessian_(row, 0);
        for (Index c = first; c < size_.delta(); ++c) out[positions_[c]] = factor * factors_[c] * sums[c];
    }

    void write() const {
        place();
        const Index n = size_.units, k = size_.inputs, delta = size_.delta();
        const double* w = weights(1);
        const Layer& hidden = layer(0);
        for (Index p = 0; p < n; ++p)
            for (Index i = 0; i <= p; ++i) {
                const double factor = i < p ? w[i] * w[p] : w[p];
                for (Index q = 0; q <= k; ++q)
                    for (Index j = 0; j <= q; ++j) {
                        const double value = factor * pair_sums_(pair_index(i, p), pair_index(j, q));
                        set(hidden.position(i, j), hidden.position(p, q), value);
                        set(hidden.position(i, q), hidden.position(p, j), value);
                    }
            }
        const double* sums = unit_sums_;
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j <= k; ++j, sums += size_.left) {
                const Index row = hidden.position(i, j);
                write_row(row, w[i], sums, 0);
                hessian_(row, last().offsets.weights + i) += sums[delta];
                if (hidden_beta()) hessian_(row, layer(0).offsets.beta + i) += w[i] * second_mixed_(i, j);
            }
        for (Index c = 0; c < size_.right_others; ++c, sums += size_.left) {
            const Index row = positions_[c];
            write_row(row, factors_[c], sums, c);
            if (c >= size_.betas) continue;
            hessian_(row, last().offsets.weights + c) += sums[delta];
            hessian_(row, row) += w[c] * second_beta_[c];
        }
        if (output_beta()) hessian_(last().offsets.beta, last().offsets.beta) = *output_beta_;
    }

    ShallowSizes size_;
    double *unit_sums_, *other_sums_, *second_beta_, *output_beta_, *rows_;
    Sums pair_sums_, second_mixed_;
    const double** pointers_;
    Index* positions_;
    double* factors_;
};

}  // namespace

void shallow_hessian(const FusedHessian& arguments, Index replica, Arena& arena) {
    ShallowAssembly(arguments, replica, arena).assemble();
}

bool shallow_hessian_fits(const NetworkView& network) {
    constexpr Index most_inputs = 4;
    return network.count == 2 && network.outputs() == 1 && network.inputs() <= most_inputs &&
           traits_of(network.loss).elementwise;
}

std::size_t shallow_hessian_bytes(const NetworkView& network, Index examples) {
    const ShallowSizes size(network);
    const Index rows = ChunkStates::row_count(network) + size.rows();
    const Index pointers = size.pointers();
    return static_cast<std::size_t>(rows * chunk_length(examples) + size.sums() + 2 * size.left) *
               sizeof(double) +
           static_cast<std::size_t>(pointers) * sizeof(double*);
}

}  // namespace espectra
