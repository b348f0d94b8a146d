// Blocks of one layer's parameters among themselves.

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/cpu/hessian/features.hpp"
#include "espectra/kernels/cpu/reduction.hpp"
#include "espectra/kernels/hessian.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <vector>

namespace espectra {

namespace {

constexpr Index pair_tile = 128;         // unit pairs in a task
constexpr Index feature_tile = 16;       // features j in a task, with all j′ ≥ j
constexpr Index weighted_pairs = 384;    // unit pairs in a task that leaves zeros out
constexpr Index weighted_features = 32;  // features j′ in such a task
static_assert(streamed_rows % feature_tile == 0);

/// The block of a layer's weights and biases with themselves, for one replica.
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

    /// Number of doubles of A [pair, m] transposed to one row for each example, which leaving zeros out
    /// needs: for each part of the pairs [m, pairs of the part]. 0 where zeros are not left out.
    Index turned_size() const {
        if (!leave_zeros_out_ || tiles_.empty()) return 0;
        Index width = 0;
        for (const Tile& tile : tiles_)
            if (tile.j == 0 && tile.k == 0) width += simd::padded(tile.pair_end - tile.pair);
        return width * examples_;
    }

    void keep_turned(double* turned) { turned_ = turned; }

    /// Transposes examples [begin, begin + count) to the memory given to keep_turned().
    void turn(Index begin, Index count, Arena& arena) const {
        double* turned = turned_;
        for (const Tile& tile : tiles_) {
            if (tile.j > 0 || tile.k > 0) break;
            const Index pairs = tile.pair_end - tile.pair, width = simd::padded(pairs);
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
    /// Unit pairs [pair, pair_end) with up to feature_tile features from j on and those of [k, k_end).
    struct Tile {
        Index pair, pair_end, j, k, k_end;
    };
    struct Pair {
        Index i, p;
    };

    void contract_all(const Tile& tile, Arena& arena) const {
        const Index pairs = tile.pair_end - tile.pair, columns = column_count(tile);
        Rows left(arena, pairs), right(arena, streamed_rows);
        double* product = arena.take<double>(pairs * columns);
        std::fill_n(product, pairs * columns, 0.0);
        for (Index begin = 0; begin < examples_; begin += inner_chunk) {
            const Index inner = std::min(inner_chunk, examples_ - begin);
            left.clear(inner);
            for (Index row = tile.pair; row < tile.pair_end; ++row) {
                const auto [i, p] = pairs_[static_cast<std::size_t>(row)];
                std::copy_n(&curvature_(i, p, begin), inner, left.next());
            }
            double* out = product;
            for (Index k_begin = tile.k; k_begin < tile.k_end; k_begin += streamed_rows / feature_tile) {
                right.clear(inner);
                for (Index k = k_begin; k < std::min(k_begin + streamed_rows / feature_tile, tile.k_end); ++k)
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

    /// Contracts two features k at a time, so that each row of pairs is loaded for two products.
    void contract_nonzero(const Tile& tile, Arena& arena) const {
        const Index pairs = tile.pair_end - tile.pair, width = simd::padded(pairs),
                    columns = column_count(tile);
        const double* turned = turned_;
        for (const Tile* part = tiles_.data(); part->pair < tile.pair; ++part)
            turned += examples_ * simd::padded(part->pair_end - part->pair);
        double* product = arena.take<double>(columns * width);
        std::fill_n(product, columns * width, 0.0);
        auto& list = *arena.take<weighted::WeightedExamples>(1);
        const Index chunk = weighted::chunk_examples(width);
        for (Index begin = 0; begin < examples_; begin += chunk) {
            const Index words = (std::min(chunk, examples_ - begin) + weighted::word - 1) / weighted::word;
            const double* examples = turned + begin * width;
            const auto factor = [&](Index f) { return feature(f).factor(begin); };
            double* out = product;
            for (Index k = tile.k; k < tile.k_end; k += 2) {
                const Index here = j_end(tile, k) - tile.j;
                const Index next = k + 1 < tile.k_end ? j_end(tile, k + 1) - tile.j : 0;
                for (Index j = 0; j < std::max(here, next); ++j) {
                    const bool first = j < here,
                               second = j < next;  // one of them at the ends of the triangle
                    weighted::gather(factor(tile.j + j), factor(first ? k : k + 1),
                                     factor(second ? k + 1 : k), words, list);
                    double *with_k = out + j * width, *with_next = out + (here + j) * width;
                    weighted::add_rows(list, examples, width, first ? with_k : with_next,
                                       first && second ? with_next : nullptr);
                }
                out += (here + next) * width;
            }
        }
        // Eight pairs at a time share the cache lines of the products.
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

    /// End of the features of a tile that are paired with k; they begin at tile.j.
    Index j_end(const Tile& tile, Index k) const { return std::min(tile.j + feature_tile, k + 1); }

    /// Number of a tile's products, ordered with k outer and j ≤ k inner, so that neighbours in the
    /// transposed position share a cache line.
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
            return offsets_.position(inputs, unit, feature(f).index);
        };
        Index row_j[feature_tile], column_j[feature_tile];
        for (Index j = tile.j; j < std::min(tile.j + feature_tile, features); ++j) {
            row_j[j - tile.j] = at(i, j);
            column_j[j - tile.j] = at(p, j);
        }
        for (Index k = tile.k; k < tile.k_end; ++k) {
            const Index row_k = at(i, k), column_k = at(p, k);
            const Index count = j_end(tile, k) - tile.j;
            // Biases are stored after the weights: only (i,bias),(p,weight) is below the diagonal.
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
    std::vector<Tile> tiles_;  // first those of the first features, in order of pairs
    bool leave_zeros_out_ = false;
    double* turned_ = nullptr;
};

/// Adds the block of β_b with the weights and biases of its layer, and with β_b and later β, for one replica.
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
        blas::for_example_chunks(context, 1, examples, [&](Index, Index begin, Index count, int worker) {
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

}  // namespace espectra
