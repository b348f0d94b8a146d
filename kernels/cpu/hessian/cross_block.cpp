// Blocks of a layer's parameters with those of a later one.

#include "espectra/kernels/cpu/hessian/features.hpp"
#include "espectra/kernels/hessian.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <vector>

namespace espectra {

namespace {

constexpr Index column_tile = 512;  // parameters of the later layer in a task

/// The block of a layer's parameters with those of a later layer, for one replica. A tile is one unit i of
/// the layer with a range of units p of the later layer, with all their weights, biases and β.
class CrossWeights {
  public:
    CrossWeights(const CrossBlock<Space::host>& block, Index replica)
        : block_(block),
          replica_(replica),
          examples_(block.input.extent[2]),
          later_inputs_(block.later_input.extent[1]),
          beta_(block.d_beta && block.offsets.beta >= 0),
          per_unit_(later_inputs_ + 1 + (block.mixed ? 1 : 0)),
          features_(active_features(block.input[replica])),
          leave_zeros_out_(mostly_zero(features_, examples_)) {}

    Index tiles() const { return block_.d_h.extent[1] * ranges(); }

    void contract(Index tile, Arena& arena) const {
        const Index units = block_.curvature.extent[1];
        const Index i = tile / ranges(), range = tile % ranges();
        const Units later{units * range / ranges(), units * (range + 1) / ranges()};
        const double* d_h = &block_.d_h(replica_, i, 0);
        if (is_zero(d_h, examples_) && (!beta_ || is_zero(&block_.d_beta(replica_, i, 0), examples_))) return;
        Arena::Frame frame(arena);
        if (leave_zeros_out_)
            contract_nonzero(i, later, arena);
        else
            contract_all(i, later, arena);
    }

  private:
    struct Units {
        Index begin, end;
    };

    Index ranges() const {
        const Index units = block_.curvature.extent[1];
        const Index together = std::clamp<Index>(column_tile / per_unit_, 1, units);
        return (units + together - 1) / together;
    }
    Index column_count(Units later) const { return (later.end - later.begin) * per_unit_; }
    Index row_count() const { return static_cast<Index>(features_.size()) + (beta_ ? 1 : 0); }

    void contract_all(Index i, Units later, Arena& arena) const {
        const double* d_h = &block_.d_h(replica_, i, 0);
        const Index rows = row_count(), columns = column_count(later);
        Rows left(arena, rows), right(arena, streamed_rows);
        double* product = arena.take<double>(rows * columns);
        std::fill_n(product, rows * columns, 0.0);
        for (Index begin = 0; begin < examples_; begin += inner_chunk) {
            const Index inner = std::min(inner_chunk, examples_ - begin);
            left.clear(inner);
            for (const Feature& feature : features_) times_feature(d_h, feature, begin, inner, left.next());
            if (beta_) std::copy_n(&block_.d_beta(replica_, i, begin), inner, left.next());
            double* out = product;
            form_columns(i, later, begin, inner, right, [&] {
                multiply(left, right, out, columns);
                out += right.count();
            });
        }
        add(i, later, product, columns);
    }

    /// Contracts two features j at a time, so that each row of columns is loaded for two products.
    void contract_nonzero(Index i, Units later, Arena& arena) const {
        const double* d_h = &block_.d_h(replica_, i, 0);
        const auto of_d_h = weighted::nonzero_bits(d_h, examples_);
        std::vector<std::uint64_t> of_d_beta;
        if (beta_) of_d_beta = weighted::nonzero_bits(&block_.d_beta(replica_, i, 0), examples_);
        const Index count = static_cast<Index>(features_.size());
        const Index columns = column_count(later), width = simd::padded(columns);
        const Index chunk =
            std::min(weighted::chunk_examples(width), inner_chunk / weighted::word * weighted::word);
        double* turned = arena.take<double>(chunk * width);
        double* product = arena.take<double>(row_count() * width);
        std::fill_n(product, row_count() * width, 0.0);
        auto& list = *arena.take<weighted::WeightedExamples>(1);
        for (Index begin = 0; begin < examples_; begin += chunk) {
            const Index inner = std::min(chunk, examples_ - begin);
            const Index words = (inner + weighted::word - 1) / weighted::word,
                        first_word = begin / weighted::word;
            turn_columns(i, later, begin, inner, width, turned, arena);
            const weighted::Factor unit{d_h + begin, of_d_h.data() + first_word};
            const auto factor = [&](Index f) { return features_[static_cast<std::size_t>(f)].factor(begin); };
            for (Index j = 0; j < count; j += 2) {
                const bool two = j + 1 < count;
                weighted::gather(unit, factor(j), factor(two ? j + 1 : j), words, list);
                double* out = product + j * width;
                weighted::add_rows(list, turned, width, out, two ? out + width : nullptr);
            }
            if (!beta_) continue;
            const weighted::Factor gate{&block_.d_beta(replica_, i, begin), of_d_beta.data() + first_word};
            weighted::gather(gate, weighted::one(), weighted::one(), words, list);
            weighted::add_rows(list, turned, width, product + count * width, nullptr);
        }
        add(i, later, product, width);
    }

    /// Forms X_{i,c} for the columns c of these units, over `inner` examples from `begin` on: up to
    /// streamed_rows columns at a time in `right`, then calls formed().
    template <class Formed>
    void form_columns(Index i, Units later, Index begin, Index inner, Rows& right,
                      const Formed& formed) const {
        const Index r = replica_;
        right.clear(inner);
        const auto next_column = [&] {
            if (right.count() == streamed_rows) {
                formed();
                right.clear(inner);
            }
            return right.next();
        };
        for (Index p = later.begin; p < later.end; ++p) {
            const double* v = &block_.curvature(r, p, i, begin);
            const double* delta = block_.later_delta ? &block_.later_delta(r, p, begin) : nullptr;
            for (Index q = 0; q < later_inputs_; ++q) {
                double* column = next_column();
                multiply_rows(v, &block_.later_input(r, q, begin), column, inner);
                if (!delta) continue;
                if (block_.jacobian) {
                    const double* j = &block_.jacobian(r, q, i, begin);
                    for (Index e = 0; e < inner; ++e) column[e] += delta[e] * j[e];
                } else if (q == i) {
                    for (Index e = 0; e < inner; ++e) column[e] += delta[e];
                }
            }
            std::copy_n(v, inner, next_column());
            if (block_.mixed) std::copy_n(&block_.mixed(r, p, i, begin), inner, next_column());
        }
        formed();
    }

    /// Forms the same columns transposed: one row of `width` for each example.
    void turn_columns(Index i, Units later, Index begin, Index inner, Index width, double* turned,
                      Arena& arena) const {
        Arena::Frame frame(arena);
        if (block_.jacobian) {
            Rows right(arena, streamed_rows);
            Index done = 0;
            form_columns(i, later, begin, inner, right, [&] {
                weighted::transpose(right.data(), right.count(), inner, width, turned + done);
                done += right.count();
            });
        } else {
            const Index r = replica_, units = later.end - later.begin;
            const double** inputs = arena.take<const double*>(later_inputs_);
            for (Index q = 0; q < later_inputs_; ++q) inputs[q] = &block_.later_input(r, q, begin);
            double* input = arena.take<double>(inner * later_inputs_);
            weighted::transpose(inputs, later_inputs_, inner, later_inputs_, input);
            for (Index p = 0; p < units; ++p) {
                const double* v = &block_.curvature(r, later.begin + p, i, begin);
                const double* u = block_.mixed ? &block_.mixed(r, later.begin + p, i, begin) : nullptr;
                const double* delta =
                    block_.later_delta ? &block_.later_delta(r, later.begin + p, begin) : nullptr;
                for (Index e = 0; e < inner; ++e) {
                    double* __restrict out = turned + e * width + p * per_unit_;
                    const double* __restrict in = input + e * later_inputs_;
                    for (Index q = 0; q < later_inputs_; ++q) out[q] = v[e] * in[q];
                    if (delta) out[i] += delta[e];
                    out[later_inputs_] = v[e];
                    if (u) out[later_inputs_ + 1] = u[e];
                }
            }
        }
        for (Index e = 0; e < inner; ++e)
            std::fill(turned + e * width + column_count(later), turned + (e + 1) * width, 0.0);
    }

    void add(Index i, Units later, const double* product, Index stride) const {
        const View<double, 2> hessian = block_.hessian[replica_];
        const LayerOffsets& offsets = block_.later_offsets;
        const Index features = static_cast<Index>(features_.size()), inputs = block_.input.extent[1];
        for (Index row = 0; row < row_count(); ++row, product += stride) {
            const Index h_row =
                row < features
                    ? block_.offsets.position(inputs, i, features_[static_cast<std::size_t>(row)].index)
                    : block_.offsets.beta + i;
            const double* values = product;
            for (Index p = later.begin; p < later.end; ++p, values += per_unit_) {
                double* out = &hessian(h_row, offsets.weights + p * later_inputs_);
                for (Index q = 0; q < later_inputs_; ++q) out[q] += values[q];
                hessian(h_row, offsets.bias + p) += values[later_inputs_];
                if (block_.mixed) hessian(h_row, offsets.beta + p) += values[later_inputs_ + 1];
            }
        }
    }

    const CrossBlock<Space::host>& block_;
    Index replica_, examples_, later_inputs_;
    bool beta_;
    Index per_unit_;  // columns of a unit of the later layer
    std::vector<Feature> features_;
    bool leave_zeros_out_;
};

}  // namespace

void contract_cross_block(CpuContext& context, const CrossBlock<Space::host>& block) {
    const Index replicas = block.hessian.extent[0];
    require_equal("contract_cross_block: units", block.d_h.extent[1], block.curvature.extent[2]);
    require_equal("contract_cross_block: examples", block.input.extent[2], block.curvature.extent[3]);
    std::vector<CrossWeights> weights;
    for (Index r = 0; r < replicas; ++r) weights.emplace_back(block, r);
    const Index tiles = weights.front().tiles();
    context.parallel_for(replicas * tiles, [&](Index task, int worker) {
        weights[static_cast<std::size_t>(task / tiles)].contract(task % tiles, context.arena(worker));
    });
}

}  // namespace espectra
