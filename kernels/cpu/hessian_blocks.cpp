// The contractions over examples, as products of Khatri–Rao factors. The factors are formed for some columns
// of the Hessian and a block of examples at a time, as rows that register tiles take as they are
// (example_products.hpp): they are never written out in full, and nothing is packed. Tiles are fixed by the
// shapes alone, and each is added to the Hessian by one thread: results do not depend on the number of
// threads.

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/cpu/example_products.hpp"
#include "espectra/kernels/cpu/reduction.hpp"
#include "espectra/kernels/hessian.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <vector>

namespace espectra {

namespace {

constexpr Index inner_block = 360;  // examples multiplied at a time; rows of 512 would share lines of L1
constexpr Index column_block = 64;  // rows, in L2, that pass by those of the other factor
constexpr Index pair_tile = 128;    // unit pairs of a task
constexpr Index feature_tile = 16;  // features j of a task, with all j′ ≥ j
constexpr Index column_tile = 512;  // parameters of the later layer of a task
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
};

std::vector<Feature> active_features(View<const double, 2> input) {
    std::vector<Feature> features;
    for (Index j = 0; j < input.extent[0]; ++j)
        if (!is_zero(&input(j, 0), input.extent[1])) features.push_back({j, &input(j, 0)});
    features.push_back({input.extent[0], nullptr});
    return features;
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
        const Index count = static_cast<Index>(features_.size());
        for (Index j = 0; j < count; j += feature_tile)  // the longest first
            for (Index pair = 0; pair < static_cast<Index>(pairs_.size()); pair += pair_tile)
                tiles_.push_back({pair, j});
    }

    Index tiles() const { return static_cast<Index>(tiles_.size()); }

    void contract(Index index, Arena& arena) const {
        const Tile tile = tiles_[static_cast<std::size_t>(index)];
        const Index count = static_cast<Index>(features_.size());
        const Index pairs = std::min(pair_tile, static_cast<Index>(pairs_.size()) - tile.pair);
        // Columns: for k outer, j ≤ k inner, so that neighbours in the transposed position share a cache
        // line.
        Index columns = 0;
        for (Index k = tile.j; k < count; ++k) columns += j_end(tile, k) - tile.j;

        Arena::Frame frame(arena);
        Rows left(arena, pairs), right(arena, column_block);
        double* product = arena.take<double>(pairs * columns);
        std::fill_n(product, pairs * columns, 0.0);
        for (Index begin = 0; begin < examples_; begin += inner_block) {
            const Index inner = std::min(inner_block, examples_ - begin);
            left.clear(inner);
            for (Index row = 0; row < pairs; ++row) {
                const auto [i, p] = pairs_[static_cast<std::size_t>(tile.pair + row)];
                std::copy_n(&curvature_(i, p, begin), inner, left.next());
            }
            double* out = product;
            for (Index k_begin = tile.j; k_begin < count; k_begin += column_block / feature_tile) {
                right.clear(inner);
                for (Index k = k_begin; k < std::min(k_begin + column_block / feature_tile, count); ++k)
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

  private:
    struct Tile {
        Index pair, j;
    };
    struct Pair {
        Index i, p;
    };

    const Feature& feature(Index j) const { return features_[static_cast<std::size_t>(j)]; }

    /// Features of a tile that are paired with k: from tile.j to here.
    Index j_end(const Tile& tile, Index k) const { return std::min(tile.j + feature_tile, k + 1); }

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
        for (Index k = tile.j; k < features; ++k) {
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
    std::vector<Tile> tiles_;
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

}  // namespace

void contract_layer_block(CpuContext& context, const LayerBlock<Space::host>& block) {
    const Index replicas = block.hessian.extent[0];
    require_equal("contract_layer_block: examples", block.input.extent[2], block.curvature.extent[3]);
    std::vector<WeightBlock> weights;
    std::vector<Index> first_tile{0};
    for (Index r = 0; r < replicas; ++r) {
        weights.emplace_back(block, r);
        first_tile.push_back(first_tile.back() + weights.back().tiles());
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
    const Index replicas = block.hessian.extent[0], examples = block.input.extent[2];
    const Index inputs = block.input.extent[1], units = block.d_h.extent[1];
    const Index later_inputs = block.later_input.extent[1], later_units = block.curvature.extent[1];
    require_equal("contract_cross_block: units", units, block.curvature.extent[2]);
    require_equal("contract_cross_block: examples", examples, block.curvature.extent[3]);
    const bool beta = block.d_beta && block.offsets.beta >= 0;
    const bool later_beta = static_cast<bool>(block.mixed);

    // A tile: unit i of this layer with a range of units p of the later one, all their weights, biases and β.
    const Index per_unit = later_inputs + 1 + (later_beta ? 1 : 0);
    const Index tile_units = std::clamp<Index>(column_tile / per_unit, 1, later_units);
    const Index tiles = (later_units + tile_units - 1) / tile_units;

    std::vector<std::vector<Feature>> features;
    for (Index r = 0; r < replicas; ++r) features.push_back(active_features(block.input[r]));

    context.parallel_for(replicas * units * tiles, [&](Index task, int worker) {
        const Index r = task / (units * tiles), i = task / tiles % units, p_begin = task % tiles * tile_units;
        const Index p_end = std::min(p_begin + tile_units, later_units);
        const double* d_h = &block.d_h(r, i, 0);
        const double* d_beta = beta ? &block.d_beta(r, i, 0) : nullptr;
        if (is_zero(d_h, examples) && (!beta || is_zero(d_beta, examples))) return;
        const auto& active = features[static_cast<std::size_t>(r)];
        const Index rows = static_cast<Index>(active.size()) + (beta ? 1 : 0);
        const Index columns = (p_end - p_begin) * per_unit;

        Arena& arena = context.arena(worker);
        Arena::Frame frame(arena);
        Rows left(arena, rows), right(arena, column_block);
        double* product = arena.take<double>(rows * columns);
        std::fill_n(product, rows * columns, 0.0);
        for (Index begin = 0; begin < examples; begin += inner_block) {
            const Index inner = std::min(inner_block, examples - begin);
            left.clear(inner);
            for (const Feature& feature : active) times_feature(d_h, feature, begin, inner, left.next());
            if (beta) std::copy_n(d_beta + begin, inner, left.next());

            right.clear(inner);
            double* out = product;
            const auto multiply_columns = [&] {
                multiply(left, right, out, columns);
                out += right.count();
                right.clear(inner);
            };
            const auto next_column = [&] {
                if (right.count() == column_block) multiply_columns();
                return right.next();
            };
            for (Index p = p_begin; p < p_end; ++p) {
                const double* v = &block.curvature(r, p, i, begin);
                const double* delta = block.later_delta ? &block.later_delta(r, p, begin) : nullptr;
                for (Index q = 0; q < later_inputs; ++q) {
                    double* column = next_column();
                    multiply_rows(v, &block.later_input(r, q, begin), column, inner);
                    if (!delta) continue;
                    if (block.jacobian) {
                        const double* j = &block.jacobian(r, q, i, begin);
                        for (Index e = 0; e < inner; ++e) column[e] += delta[e] * j[e];
                    } else if (q == i) {
                        for (Index e = 0; e < inner; ++e) column[e] += delta[e];
                    }
                }
                std::copy_n(v, inner, next_column());
                if (later_beta) std::copy_n(&block.mixed(r, p, i, begin), inner, next_column());
            }
            multiply_columns();
        }

        const View<double, 2> hessian = block.hessian[r];
        for (Index row = 0; row < rows; ++row) {
            const Index h_row =
                row < static_cast<Index>(active.size())
                    ? position(block.offsets, inputs, i, active[static_cast<std::size_t>(row)].index)
                    : block.offsets.beta + i;
            const double* values = product + row * columns;
            for (Index p = p_begin; p < p_end; ++p, values += per_unit) {
                double* out = &hessian(h_row, block.later_offsets.weights + p * later_inputs);
                for (Index q = 0; q < later_inputs; ++q) out[q] += values[q];
                hessian(h_row, block.later_offsets.bias + p) += values[later_inputs];
                if (later_beta) hessian(h_row, block.later_offsets.beta + p) += values[later_inputs + 1];
            }
        }
    });
}

}  // namespace espectra
