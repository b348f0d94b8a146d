#include "espectra/kernels/cpu/shallow_hessian.hpp"

#include "espectra/kernels/cpu/small_chunk.hpp"
#include "espectra/kernels/cpu/small_hessian_sums.hpp"

#include <algorithm>

namespace espectra {

namespace {

constexpr Index rows_at_once = 4;  // of the symmetric product: the height of a tile

/// Rows of g: per hidden unit i φ_h ã_j and φ_β; then ã of the output layer.
struct ShallowSizes {
    Index units, inputs, per_unit, unit_rows, gradients;

    explicit ShallowSizes(const Layer* layers)
        : units(layers[0].units),
          inputs(layers[0].inputs),
          per_unit(cross_rows(layers[0])),
          unit_rows(units * per_unit),
          gradients(unit_rows + units + 1) {}
    /// A₂, M₂, δ^h₂; products φ_h ã_j; four rows A₂ g; δ^h₂ φ_hh and δ^h₂ φ_hβ; products ã_j ã_j'.
    Index rows() const { return 3 + units * inputs + rows_at_once + 2 * units + triangle(inputs + 1); }
    /// g; some left rows; ã and its products.
    Index pointers() const {
        return gradients + std::max(rows_at_once, units) + inputs + 1 + triangle(inputs + 1);
    }
    Index sums() const {
        return gradients * gradients + 2 * gradients + units * (triangle(inputs + 1) + inputs + 1) + units +
               1;
    }
};

class ShallowAssembly : SmallChunk {
  public:
    ShallowAssembly(const SmallHessian& arguments, Index replica, Arena& arena)
        : SmallChunk(arguments, replica, arena), size_(arguments.layers) {
        const Index n = size_.units, pairs = triangle(size_.inputs + 1);
        double* sums = arena.take<double>(size_.sums());
        std::fill_n(sums, size_.sums(), 0.0);
        products_ = sums;  // [column, row], row ≤ column
        mixed_ = products_ + size_.gradients * size_.gradients;
        delta_sums_ = mixed_ + size_.gradients;
        second_sums_ = make_sums(delta_sums_ + size_.gradients, n, pairs);
        second_mixed_ = make_sums(second_sums_.data + n * pairs, n, size_.inputs + 1);
        second_beta_ = second_mixed_.data + n * (size_.inputs + 1);
        output_beta_ = second_beta_ + n;
        rows_ = take(size_.rows());
        pointers_ = arena.take<const double*>(size_.pointers());
        positions_ = arena.take<Index>(size_.gradients);
        factors_ = arena.take<double>(size_.gradients);
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
        const Index n = size_.units, k = size_.inputs;
        const State hidden = state(0);
        double* next = rows_;
        const auto take_rows = [&](Index wanted) {
            double* first = next;
            next += wanted * length_;
            return first;
        };
        double *a = take_rows(1), *m = take_rows(1), *delta = take_rows(1), *scaled = take_rows(rows_at_once);
        output_layer(a, m, delta);

        const double** g = pointers_;
        const double** gradient = g;
        double* product = take_rows(n * k);
        for (Index i = 0; i < n; ++i) {
            const double* d_h = hidden.d_h + i * length_;
            for (Index j = 0; j < k; ++j, product += length_) {
                multiply(d_h, features_ + j * length_, product);
                *gradient++ = product;
            }
            *gradient++ = d_h;
            if (hidden_beta()) *gradient++ = hidden.d_beta + i * length_;
        }
        gradient = point(gradient, hidden.output, n);
        *gradient++ = ones_;
        const double** left = gradient;
        for (Index row = 0; row < size_.gradients; row += rows_at_once) {
            const Index rows_here = std::min(rows_at_once, size_.gradients - row);
            for (Index r = 0; r < rows_here; ++r) multiply(a, g[row + r], scaled + r * length_);
            point(left, scaled, rows_here);
            rows::add_products(left, rows_here, g + row, size_.gradients - row, length_,
                               products_ + row * size_.gradients + row, size_.gradients);
        }
        if (output_beta()) rows::add_products(g, size_.gradients, &m_pointer(left, m), 1, length_, mixed_, 0);
        rows::add_products(g, size_.unit_rows, &m_pointer(left, delta), 1, length_, delta_sums_, 0);
        add_second_derivatives(delta, take_rows(n), take_rows(n), take_rows(triangle(k + 1)), left);
    }

    static const double*& m_pointer(const double** pointers, const double* row) {
        *pointers = row;
        return *pointers;
    }

    /// Σ δ^h₂ times φ_hh ã ã, φ_hβ ã and φ_ββ of each hidden unit.
    void add_second_derivatives(const double* delta, double* d_hh, double* d_hbeta, double* pair_rows,
                                const double** left) const {
        const Index n = size_.units, k = size_.inputs;
        const State hidden = state(0);
        const double** features = left + std::max(rows_at_once, n);
        const double** pairs = point(features, features_, k);
        *pairs++ = ones_;
        const double** pair = pairs;
        for (Index j = 0; j < k; ++j)
            for (Index i = 0; i <= j; ++i, pair_rows += length_) {
                multiply(features[i], features[j], pair_rows);
                *pair++ = pair_rows;
            }
        std::copy_n(features, k + 1, pair);
        for (Index i = 0; i < n; ++i) {
            const Index row = i * length_;
            multiply(delta, hidden.d_hh + row, d_hh + row);
            if (!hidden_beta()) continue;
            multiply(delta, hidden.d_hbeta + row, d_hbeta + row);
            second_beta_[i] += dot(delta, hidden.d_betabeta + row);
        }
        point(left, d_hh, n);
        add_products(left, 0, n, pairs, 0, triangle(k + 1), length_, second_sums_);
        if (!hidden_beta()) return;
        point(left, d_hbeta, n);
        add_products(left, 0, n, features, 0, k + 1, length_, second_mixed_);
    }

    /// A, M and δ^h of the output and the sum of its D.
    void output_layer(double* a, double* m, double* delta_h) const {
        using rows::at;
        const State s = state(1);
        rows::Vector sum{};
        for (Index e = 0; e < length_; e += rows::lanes) {
            const rows::Vector delta = at(delta_, e), d_h = at(s.d_h, e), x = at(second_, e) * d_h;
            at(a, e) = x * d_h + delta * at(s.d_hh, e);
            at(delta_h, e) = delta * d_h;
            if (output_beta()) {
                const rows::Vector d_beta = at(s.d_beta, e);
                at(m, e) = x * d_beta + delta * at(s.d_hbeta, e);
                rows::multiply_add(at(second_, e) * d_beta, d_beta, sum);
                rows::multiply_add(delta, at(s.d_betabeta, e), sum);
            }
        }
        if (output_beta()) *output_beta_ += rows::lane_sum(sum);
    }

    /// Where the rows of g stand in θ, and their factors w_i.
    void place() const {
        const Layer& hidden = layer(0);
        Index* position = positions_;
        double* factor = factors_;
        for (Index i = 0; i < size_.units; ++i) {
            for (Index j = 0; j < size_.inputs; ++j)
                *position++ = hidden.offsets.weights + i * size_.inputs + j;
            *position++ = hidden.offsets.bias + i;
            if (hidden_beta()) *position++ = hidden.offsets.beta + i;
            factor = std::fill_n(factor, size_.per_unit, weights(1)[i]);
        }
        for (Index q = 0; q < size_.units; ++q) *position++ = last().offsets.weights + q;
        *position = last().offsets.bias;
        std::fill_n(factor, size_.units + 1, 1.0);
    }

    void write() const {
        place();
        const Index total = size_.gradients, k = size_.inputs;
        const double* w = weights(1);
        for (Index c = 0; c < total; ++c) {
            const Index column = positions_[c];
            const double column_factor = factors_[c];
            for (Index r = 0; r <= c; ++r) {
                const Index row = positions_[r];
                hessian_(std::min(row, column), std::max(row, column)) =
                    factors_[r] * column_factor * products_[c * total + r];
            }
            if (output_beta()) hessian_(column, last().offsets.beta) = column_factor * mixed_[c];
        }
        if (output_beta()) hessian_(last().offsets.beta, last().offsets.beta) = *output_beta_;
        for (Index i = 0; i < size_.units; ++i) {
            const Index first = i * size_.per_unit;
            for (Index c = 0; c < size_.per_unit; ++c) {
                hessian_(positions_[first + c], last().offsets.weights + i) += delta_sums_[first + c];
                for (Index r = 0; r <= c; ++r) {
                    const double second = c <= k   ? second_sums_(i, pair_index(r, c))
                                          : r <= k ? second_mixed_(i, r)
                                                   : second_beta_[i];
                    hessian_(positions_[first + r], positions_[first + c]) += w[i] * second;
                }
            }
        }
    }

    ShallowSizes size_;
    double *products_, *mixed_, *delta_sums_, *second_beta_, *output_beta_, *rows_;
    Sums second_sums_, second_mixed_;
    const double** pointers_;
    Index* positions_;
    double* factors_;
};

}  // namespace

void shallow_hessian(const SmallHessian& arguments, Index replica, Arena& arena) {
    ShallowAssembly(arguments, replica, arena).assemble();
}

bool shallow_hessian_fits(const Layer* layers, Index count, Loss loss) {
    constexpr Index most_inputs = 4;
    return count == 2 && layers[1].units == 1 && layers[0].inputs <= most_inputs &&
           loss != Loss::softmax_cross_entropy;
}

std::size_t shallow_hessian_bytes(const Layer* layers, Index count, Index examples) {
    const ShallowSizes size(layers);
    const Index rows = SmallChunk::row_count(layers, count) + size.rows();
    const Index pointers = size.pointers();
    return static_cast<std::size_t>(rows * small_chunk_length(examples) + size.sums() + 2 * size.gradients) *
               sizeof(double) +
           static_cast<std::size_t>(pointers) * sizeof(double*);
}

}  // namespace espectra
