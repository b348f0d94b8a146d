// The contractions over examples, as products of Khatri–Rao factors. The factors are formed for some columns
// of the Hessian and a block of examples at a time, as rows that register tiles take as they are
// (example_products.hpp): they are never written out in full, and nothing is packed. Where the inputs are 0
// at many examples, as pixels are, one factor is turned to rows of examples, and only those are added at
// which a weight is not 0 (weighted_rows.hpp). Tiles are fixed by shapes and inputs alone, and each is added
// to the Hessian by one thread: results do not depend on the number of threads.

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/cpu/example_products.hpp"
#include "espectra/kernels/cpu/reduction.hpp"
#include "espectra/kernels/cpu/weighted_rows.hpp"
#include "espectra/kernels/hessian.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <vector>

namespace espectra {

namespace {

constexpr Index inner_block = 360;       // examples multiplied at a time; rows of 512 would share lines of L1
constexpr Index column_block = 64;       // rows, in L2, that pass by those of the other factor
constexpr Index pair_tile = 128;         // unit pairs of a task
constexpr Index feature_tile = 16;       // features j of a task, with all j′ ≥ j
constexpr Index column_tile = 512;       // parameters of the later layer of a task
constexpr Index weighted_pairs = 384;    // unit pairs of a task that leaves zeros out
constexpr Index weighted_features = 32;  // features j′ of such a task
constexpr double most_nonzero = 0.8;     // of the inputs, where leaving zeros out is faster (measured)
static_assert(column_block % feature_tile == 0 && inner_block % rows::granularity == 0);

/// Rows of `inner` examples in scratch memory, which zeros fill up to whole vectors.
class Rows {
  public:
    Rows(Arena& arena, Index most)
        : memory_(arena.take<double>(most * inner_block)), rows_(arena.take<const double*>(most)) {}

    void clear(Index inner) {
        inner_ = inner;
        count_ = 0;
    }
    /// The next row, to be filled.
    double* next() {
        double* row = memory_ + count_ * length();
        std::fill(row + inner_, row + length(), 0.0);
        rows_[count_++] = row;
        return row;
    }
    const double* const* data() const { return rows_; }
    Index count() const { return count_; }
    Index length() const { return rows::padded(inner_); }

  private:
    double* memory_;
    const double** rows_;
    Index inner_ = 0, count_ = 0;
};

/// out[r, c] += Σ_e left_r[e] right_c[e]; out has rows of `stride`.
void multiply(const Rows& left, const Rows& right, double* out, Index stride) {
    rows::add_products(right.data(), right.count(), left.data(), left.count(), left.length(), out, stride);
}

bool is_zero(const double* values, Index count) {
    return std::all_of(values, values + count, [](double v) { return v == 0.0; });
}

/// ã_j: the rows of the input that are not zero for all examples, then the bias (data = nullptr: 1).
struct Feature {
    Index index;         // j; k for the bias
    const double* data;  // [m]
    std::vector<std::uint64_t> nonzero;

    weighted::Factor factor(Index begin) const {
        return {data ? data + begin : weighted::one().values, nonzero.data() + begin / weighted::word};
    }
};

std::vector<Feature> active_features(View<const double, 2> input) {
    const Index examples = input.extent[1];
    std::vector<Feature> features;
    for (Index j = 0; j < input.extent[0]; ++j)
        if (std::vector<std::uint64_t> nonzero = weighted::nonzero_bits(&input(j, 0), examples);
            weighted::count(nonzero) > 0)
            features.push_back({j, &input(j, 0), std::move(nonzero)});
    features.push_back({input.extent[0], nullptr, weighted::all_bits(examples)});
    return features;
}

/// Whether so many of the features' values are 0 that it is worth while to leave them out.
bool mostly_zero(const std::vector<Feature>& features, Index examples) {
    Index nonzero = 0;
    for (const Feature& feature : features) nonzero += weighted::count(feature.nonzero);
    return static_cast<double>(nonzero) <
           most_nonzero * static_cast<double>(examples * static_cast<Index>(features.size()));
}

void multiply_rows(const double* x, const double* y, double* out, Index count) {
    for (Index e = 0; e < count; ++e) out[e] = x[e] * y[e];
}

/// out = x ∘ feature over examples [begin, begin + count).
void times_feature(const double* x, const Feature& feature, Index begin, Index count, double* out) {
    if (feature.data)
        multiply_rows(x + begin, feature.data + begin, out, count);
    else
        std::copy_n(x + begin, count, out);
}

/// Where (unit i, feature j) of a layer with k inputs stands in θ.
Index position(const LayerOffsets& offsets, Index inputs, Index i, Index j) {
    return j < inputs ? offsets.weights + i * inputs + j : offsets.bias + i;
}

/// The weights and biases of one replica's layer among themselves.
class WeightBlock {
  public:
    WeightBlock(const LayerBlock<Space::host>& block, Index replica)
        : input_(block.input[replica]),
          curvature_(block.curvature[replica]),
          offsets_(block.offsets),
          hessian_(block.hessian[replica]),
          examples_(input_.extent[1]),
          features_(active_features(input_)) {
        const Index units = curvature_.extent[0];
        for (Index i = 0; i < units; ++i)
            for (Index p = i; p < units; ++p)
                if (!is_zero(&curvature_(i, p, 0), examples_)) pairs_.push_back({i, p});
        const Index count = static_cast<Index>(features_.size()), pairs = static_cast<Index>(pairs_.size());
        leave_zeros_out_ = mostly_zero(features_, examples_);
        const Index parts = leave_zeros_out_ ? (pairs + weighted_pairs - 1) / weighted_pairs
                                             : (pairs + pair_tile - 1) / pair_tile;
        for (Index j = 0; j < count; j += feature_tile) {  // the longest first
            const Index ranges =
                leave_zeros_out_ ? (count - j + weighted_features - 1) / weighted_features : 1;
            for (Index range = 0; range < ranges; ++range)
                for (Index part = 0; part < parts; ++part)
                    tiles_.push_back({.pair = pairs * part / parts,
                                      .pair_end = pairs * (part + 1) / parts,
                                      .j = j,
                                      .k = j + (count - j) * range / ranges,
                                      .k_end = j + (count - j) * (range + 1) / ranges});
        }
    }

    Index tiles() const { return static_cast<Index>(tiles_.size()); }

    /// A [pair, m] as one row for each example, if zeros are left out: by parts, each [m, pairs of it].
    /// Numbers.
    Index turned_size() const {
        if (!leave_zeros_out_ || tiles_.empty()) return 0;
        Index width = 0;
        for (const Tile& tile : tiles_)
            if (tile.j == 0 && tile.k == 0) width += rows::padded(tile.pair_end - tile.pair);
        return width * examples_;
    }

    void keep_turned(double* turned) { turned_ = turned; }

    /// Examples [begin, begin + count) of it, into what keep_turned() was given.
    void turn(Index begin, Index count, Arena& arena) const {
        double* turned = turned_;
        for (const Tile& tile : tiles_) {
            if (tile.j > 0 || tile.k > 0) break;
            const Index pairs = tile.pair_end - tile.pair, width = rows::padded(pairs);
            Arena::Frame frame(arena);
            const double** columns = arena.take<const double*>(pairs);
            for (Index c = 0; c < pairs; ++c) {
                const auto [i, p] = pairs_[static_cast<std::size_t>(tile.pair + c)];
                columns[c] = &curvature_(i, p, begin);
            }
            double* out = turned + begin * width;
            weighted::transpose(columns, pairs, count, width, out);
            for (Index e = 0; e < count; ++e) std::fill(out + e * width + pairs, out + (e + 1) * width, 0.0);
            turned += examples_ * width;
        }
    }

    void contract(Index index, Arena& arena) const {
        const Tile& tile = tiles_[static_cast<std::size_t>(index)];
        Arena::Frame frame(arena);
        if (leave_zeros_out_)
            contract_nonzero(tile, arena);
        else
            contract_all(tile, arena);
    }

  private:
    struct Tile {
        Index pair, pair_end, j, k,
            k_end;  // features from j on, at most feature_tile, with those of [k, k_end)
    };
    struct Pair {
        Index i, p;
    };

    void contract_all(const Tile& tile, Arena& arena) const {
        const Index pairs = tile.pair_end - tile.pair, columns = column_count(tile);
        Rows left(arena, pairs), right(arena, column_block);
        double* product = arena.take<double>(pairs * columns);
        std::fill_n(product, pairs * columns, 0.0);
        for (Index begin = 0; begin < examples_; begin += inner_block) {
            const Index inner = std::min(inner_block, examples_ - begin);
            left.clear(inner);
            for (Index row = tile.pair; row < tile.pair_end; ++row) {
                const auto [i, p] = pairs_[static_cast<std::size_t>(row)];
                std::copy_n(&curvature_(i, p, begin), inner, left.next());
            }
            double* out = product;
            for (Index k_begin = tile.k; k_begin < tile.k_end; k_begin += column_block / feature_tile) {
                right.clear(inner);
                for (Index k = k_begin; k < std::min(k_begin + column_block / feature_tile, tile.k_end); ++k)
                    for (Index j = tile.j; j < j_end(tile, k); ++j)
                        fill_pair(j, k, begin, inner, right.next());
                multiply(left, right, out, columns);
                out += right.count();
            }
        }
        for (Index row = 0; row < pairs; ++row) {
            const auto [i, p] = pairs_[static_cast<std::size_t>(tile.pair + row)];
            add_row(i, p, tile, product + row * columns);
        }
    }

    /// Two features k at a time, so that each row of pairs is loaded for two products.
    void contract_nonzero(const Tile& tile, Arena& arena) const {
        const Index pairs = tile.pair_end - tile.pair, width = rows::padded(pairs),
                    columns = column_count(tile);
        const double* turned = turned_;
        for (const Tile* part = tiles_.data(); part->pair < tile.pair; ++part)
            turned += examples_ * rows::padded(part->pair_end - part->pair);
        double* product = arena.take<double>(columns * width);
        std::fill_n(product, columns * width, 0.0);
        auto& list = *arena.take<weighted::WeightedExamples>(1);
        const Index block = weighted::block_examples(width);
        for (Index begin = 0; begin < examples_; begin += block) {
            const Index words = (std::min(block, examples_ - begin) + weighted::word - 1) / weighted::word;
            const double* examples = turned + begin * width;
            const auto factor = [&](Index f) { return feature(f).factor(begin); };
            double* out = product;
            for (Index k = tile.k; k < tile.k_end; k += 2) {
                const Index here = j_end(tile, k) - tile.j;
                const Index next = k + 1 < tile.k_end ? j_end(tile, k + 1) - tile.j : 0;
                for (Index j = 0; j < std::max(here, next); ++j) {
                    double* first = j < here ? out + j * width : nullptr;
                    double* second = j < next ? out + (here + j) * width : nullptr;
                    weighted::gather(factor(tile.j + j), factor(first ? k : k + 1),
                                     factor(second ? k + 1 : k), words, list);
                    weighted::add_rows(list, examples, width, first ? first : second,
                                       first ? second : nullptr);
                }
                out += (here + next) * width;
            }
        }
        // Eight pairs at a time, which share the cache lines of the products.
        constexpr Index together = 8;
        double* values = arena.take<double>(together * columns);
        for (Index row = 0; row < pairs; row += together) {
            const Index some = std::min(together, pairs - row);
            for (Index c = 0; c < columns; ++c)
                for (Index r = 0; r < some; ++r) values[r * columns + c] = product[c * width + row + r];
            for (Index r = 0; r < some; ++r) {
                const auto [i, p] = pairs_[static_cast<std::size_t>(tile.pair + row + r)];
                add_row(i, p, tile, values + r * columns);
            }
        }
    }

    const Feature& feature(Index j) const { return features_[static_cast<std::size_t>(j)]; }

    /// Features of a tile that are paired with k: from tile.j to here.
    Index j_end(const Tile& tile, Index k) const { return std::min(tile.j + feature_tile, k + 1); }

    /// Of a tile's products: for k outer, j ≤ k inner, so that neighbours in the transposed position share a
    /// cache line.
    Index column_count(const Tile& tile) const {
        Index columns = 0;
        for (Index k = tile.k; k < tile.k_end; ++k) columns += j_end(tile, k) - tile.j;
        return columns;
    }

    void fill_pair(Index j, Index k, Index begin, Index inner, double* out) const {
        if (feature(j).data)
            times_feature(feature(j).data, feature(k), begin, inner, out);
        else
            std::fill_n(out, inner, 1.0);  // only (bias, bias) starts with the bias
    }

    /// Adds column (k, j) of a row of the product to (i,j),(p,k) and, off the diagonals, to its mirror
    /// (i,k),(p,j).
    void add_row(Index i, Index p, const Tile& tile, const double* values) const {
        const Index inputs = input_.extent[0], features = static_cast<Index>(features_.size());
        const auto at = [&](Index unit, Index f) {
            return position(offsets_, inputs, unit, feature(f).index);
        };
        Index row_j[feature_tile], column_j[feature_tile];
        for (Index j = tile.j; j < std::min(tile.j + feature_tile, features); ++j) {
            row_j[j - tile.j] = at(i, j);
            column_j[j - tile.j] = at(p, j);
        }
        for (Index k = tile.k; k < tile.k_end; ++k) {
            const Index row_k = at(i, k), column_k = at(p, k);
            const Index count = j_end(tile, k) - tile.j;
            // Biases stand behind the weights, so that only (i,bias),(p,weight) is below the diagonal.
            if (!feature(k).data) {
                for (Index j = 0; j < count; ++j) {
                    hessian_(row_j[j], column_k) += values[j];
                    if (i != p && tile.j + j != k) hessian_(column_j[j], row_k) += values[j];
                }
            } else {
                for (Index j = 0; j < count; ++j) hessian_(row_j[j], column_k) += values[j];
                const Index mirrored = i == p ? 0 : std::min(count, k - tile.j);
                for (Index j = 0; j < mirrored; ++j) hessian_(row_k, column_j[j]) += values[j];
            }
            values += count;
        }
    }

    View<const double, 2> input_;
    View<const double, 3> curvature_;
    LayerOffsets offsets_;
    View<double, 2> hessian_;
    Index examples_;
    std::vector<Feature> features_;
    std::vector<Pair> pairs_;
    std::vector<Tile> tiles_;  // those of the first features at first, by pairs
    bool leave_zeros_out_ = false;
    double* turned_ = nullptr;
};

/// β_b of one replica's layer with its weights and biases, and with β_b and those after it.
void contract_beta(const LayerBlock<Space::host>& block, Index r, Index b, Arena& arena) {
    const View<const double, 2> input = block.input[r];
    const View<double, 2> hessian = block.hessian[r];
    const Index units = block.mixed.extent[1], inputs = input.extent[0], examples = input.extent[1];
    const Index beta = block.offsets.beta + b;
    Arena::Frame frame(arena);
    double* product = arena.take<double>(units * inputs);
    blas::gemm(false, true, units, inputs, examples, 1.0, &block.mixed(r, b, 0, 0), block.mixed.stride[2],
               &input(0, 0), input.stride[0], 0.0, product, inputs);
    for (Index i = 0; i < units; ++i) {
        for (Index j = 0; j < inputs; ++j)
            hessian(block.offsets.weights + i * inputs + j, beta) += product[i * inputs + j];
        hessian(block.offsets.bias + i, beta) += sum(&block.mixed(r, b, i, 0), examples);
    }
    for (Index c = b; c < units; ++c)
        hessian(beta, block.offsets.beta + c) += sum(&block.beta_curvature(r, b, c, 0), examples);
}

/// Layer l's parameters with those of a later layer, one replica: tiles of a unit i of this layer with a
/// range of units p of the later one, all their weights, biases and β.
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
        Rows left(arena, rows), right(arena, column_block);
        double* product = arena.take<double>(rows * columns);
        std::fill_n(product, rows * columns, 0.0);
        for (Index begin = 0; begin < examples_; begin += inner_block) {
            const Index inner = std::min(inner_block, examples_ - begin);
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

    /// Two features j at a time, so that each row of columns is loaded for two products.
    void contract_nonzero(Index i, Units later, Arena& arena) const {
        const double* d_h = &block_.d_h(replica_, i, 0);
        const auto of_d_h = weighted::nonzero_bits(d_h, examples_);
        std::vector<std::uint64_t> of_d_beta;
        if (beta_) of_d_beta = weighted::nonzero_bits(&block_.d_beta(replica_, i, 0), examples_);
        const Index count = static_cast<Index>(features_.size());
        const Index columns = column_count(later), width = rows::padded(columns);
        const Index block =
            std::min(weighted::block_examples(width), inner_block / weighted::word * weighted::word);
        double* turned = arena.take<double>(block * width);
        double* product = arena.take<double>(row_count() * width);
        std::fill_n(product, row_count() * width, 0.0);
        auto& list = *arena.take<weighted::WeightedExamples>(1);
        for (Index begin = 0; begin < examples_; begin += block) {
            const Index inner = std::min(block, examples_ - begin);
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

    /// X_{i,c} for the columns c of these units, over `inner` examples from `begin` on, column_block of them
    /// at a time in `right`; formed() takes them.
    template <class Formed>
    void form_columns(Index i, Units later, Index begin, Index inner, Rows& right,
                      const Formed& formed) const {
        const Index r = replica_;
        right.clear(inner);
        const auto next_column = [&] {
            if (right.count() == column_block) {
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

    /// The same columns for each example, rows of `width`.
    void turn_columns(Index i, Units later, Index begin, Index inner, Index width, double* turned,
                      Arena& arena) const {
        Arena::Frame frame(arena);
        if (block_.jacobian) {
            Rows right(arena, column_block);
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
            const Index h_row = row < features ? position(block_.offsets, inputs, i,
                                                          features_[static_cast<std::size_t>(row)].index)
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
    Index per_unit_;  // columns
    std::vector<Feature> features_;
    bool leave_zeros_out_;
};

}  // namespace

void contract_layer_block(CpuContext& context, const LayerBlock<Space::host>& block) {
    const Index replicas = block.hessian.extent[0], examples = block.input.extent[2];
    require_equal("contract_layer_block: examples", examples, block.curvature.extent[3]);
    std::vector<WeightBlock> weights;
    std::vector<Index> first_tile{0};
    for (Index r = 0; r < replicas; ++r) {
        weights.emplace_back(block, r);
        first_tile.push_back(first_tile.back() + weights.back().tiles());
    }
    Arena::Frame frame(context.arena());
    for (WeightBlock& of : weights) {
        const Index size = of.turned_size();
        if (size == 0) continue;
        of.keep_turned(context.arena().take<double>(size));
        blas::for_example_blocks(context, 1, examples, [&](Index, Index begin, Index count, int worker) {
            of.turn(begin, count, context.arena(worker));
        });
    }
    context.parallel_for(first_tile.back(), [&](Index task, int worker) {
        const auto r = std::upper_bound(first_tile.begin(), first_tile.end(), task) - first_tile.begin() - 1;
        weights[static_cast<std::size_t>(r)].contract(task - first_tile[static_cast<std::size_t>(r)],
                                                      context.arena(worker));
    });
    if (!block.mixed) return;
    const Index units = block.mixed.extent[1];
    context.parallel_for(replicas * units, [&](Index task, int worker) {
        contract_beta(block, task / units, task % units, context.arena(worker));
    });
}

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
