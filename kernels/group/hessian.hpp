#pragma once

#include "espectra/kernels/group/dense.hpp"
#include "espectra/kernels/group/stored_contraction.hpp"
#include "espectra/kernels/hessian.hpp"

#include <utility>

// Group kernels of the steps of the exact Hessian.

namespace espectra::group {

/// Work(r, p, q, e) for each element of [R, p, q, m]. One block: (r, p, q) and 512 examples.
template <class Work>
struct PerExampleKernel {
    static constexpr const char* name = Work::name;
    static constexpr int threads = 128;
    Work work;
    Index replicas, rows, columns, examples;

    Index blocks() const { return replicas * rows * columns * divide_up(examples, dense_chunk); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index parts = divide_up(examples, dense_chunk), begin = block % parts * dense_chunk;
        const Index left = examples - begin, matrix = block / parts;
        const Index q = matrix % columns, p = matrix / columns % rows, r = matrix / columns / rows;
        for_each_item(group, left < dense_chunk ? left : dense_chunk,
                      [&](Index item) { work(r, p, q, begin + item); });
    }
};

template <Space S>
struct ActivationCurvatureWork {
    static constexpr const char* name = "activation_curvature";
    ActivationCurvature<S> a;

    ESPECTRA_HD void operator()(Index r, Index p, Index q, Index e) const {
        const auto& d = a.derivatives;
        const double b = a.output_curvature(r, p, q, e);
        const double delta = p == q && a.output_delta ? a.output_delta(r, p, e) : 0.0;
        const bool diagonal = p == q && a.output_delta;
        const double value = d.d_h(r, p, e) * d.d_h(r, q, e) * b;
        a.curvature(r, p, q, e) = diagonal ? value + delta * d.d_hh(r, p, e) : value;
        if (a.mixed) {
            const double mixed = d.d_beta(r, p, e) * d.d_h(r, q, e) * b;
            a.mixed(r, p, q, e) = diagonal ? mixed + delta * d.d_hbeta(r, p, e) : mixed;
        }
        if (a.beta_curvature) {
            const double beta = d.d_beta(r, p, e) * d.d_beta(r, q, e) * b;
            a.beta_curvature(r, p, q, e) = diagonal ? beta + delta * d.d_betabeta(r, p, e) : beta;
        }
    }
};

template <class C>
void activation_curvature(C& context, const ActivationCurvature<C::space>& a) {
    const auto& b = a.output_curvature;
    launch(context, PerExampleKernel<ActivationCurvatureWork<C::space>>{
                        {a}, b.extent[0], b.extent[1], b.extent[2], b.extent[3]});
}

template <Space S>
struct LayerJacobianWork {
    static constexpr const char* name = "layer_jacobian";
    LayerJacobian<S> a;
    ESPECTRA_HD void operator()(Index r, Index p, Index i, Index e) const {
        a.jacobian(r, p, i, e) = a.d_h(r, p, e) * a.weights(r, p, i);
    }
};

template <class C>
void layer_jacobian(C& context, const LayerJacobian<C::space>& a) {
    const auto& j = a.jacobian;
    launch(context, PerExampleKernel<LayerJacobianWork<C::space>>{
                        {a}, j.extent[0], j.extent[1], j.extent[2], j.extent[3]});
}

template <Space S>
struct CurvatureVectorWork {
    static constexpr const char* name = "curvature_times_vector";
    CurvatureTimesVector<S> a;
    ESPECTRA_HD void operator()(Index r, Index p, Index, Index e) const {
        double sum = 0;
        for (Index q = 0; q < a.vector.extent[1]; ++q) sum += a.curvature(r, p, q, e) * a.vector(r, q, e);
        a.product(r, p, e) = sum;
    }
};

template <class C>
void curvature_times_vector(C& context, const CurvatureTimesVector<C::space>& a) {
    const auto& y = a.product;
    launch(context,
           PerExampleKernel<CurvatureVectorWork<C::space>>{{a}, y.extent[0], y.extent[1], 1, y.extent[2]});
}

/// Y_p = Wᵀ diag(φ_h) X_p for each row p of X, examples in columns; without φ_h the identity.
template <Space S>
struct PullBackProduct {
    static constexpr const char* name = "pull_back";
    static constexpr bool a_inner = false, b_inner = false;
    static constexpr std::size_t table_doubles = 0;
    PullBack<S> args;

    ESPECTRA_HD Index batches() const { return args.product.extent[0] * args.product.extent[1]; }
    ESPECTRA_HD Index rows() const { return args.product.extent[2]; }
    ESPECTRA_HD Index columns() const { return args.product.extent[3]; }
    ESPECTRA_HD Index depth() const { return args.matrix.extent[2]; }

    struct Tile {
        const PullBack<S>& args;
        Index r, p, row, column;
        ESPECTRA_HD double a(int i, Index k) const { return args.weights(r, k, row + i); }
        ESPECTRA_HD double b(Index k, int j) const {
            const double x = args.matrix(r, p, k, column + j);
            return args.d_h ? x * args.d_h(r, k, column + j) : x;
        }
        ESPECTRA_HD void store(int i, int j, double value) const {
            args.product(r, p, row + i, column + j) = value;
        }
    };
    template <Group G>
    ESPECTRA_HD Tile tile(const G&, double*, Index batch, Index row, Index column) const {
        return {args, batch / args.product.extent[1], batch % args.product.extent[1], row, column};
    }
};

template <class C>
void pull_back(C& context, const PullBack<C::space>& a) {
    multiply(context, PullBackProduct<C::space>{a});
}

template <class T, Space S>
View<T, 4, S> swap_rows_and_columns(View<T, 4, S> matrices) {
    std::swap(matrices.extent[1], matrices.extent[2]);
    std::swap(matrices.stride[1], matrices.stride[2]);
    return matrices;
}

/// (Wᵀ X)ᵀ = Xᵀ W.
template <class C>
void weights_transposed_times(C& context, const WeightsTransposedTimes<C::space>& a) {
    pull_back(context, PullBack<C::space>{.matrix = swap_rows_and_columns(a.matrix),
                                          .d_h = {},
                                          .weights = a.weights,
                                          .product = swap_rows_and_columns(a.product)});
}

/// A pair of indices in a table in shared memory.
struct IndexPair {
    int first, second;
};
static_assert(sizeof(IndexPair) == sizeof(double));

/// Pair number t of (0,0), (0,1), (1,1), (0,2), (1,2), (2,2), …: first ≤ second.
ESPECTRA_HD inline IndexPair triangular_pair(Index t) {
    auto second = static_cast<Index>((std::sqrt(8.0 * static_cast<double>(t) + 1.0) - 1.0) / 2.0);
    while (second * (second + 1) / 2 > t) --second;  // the root may be one too large
    while ((second + 1) * (second + 2) / 2 <= t) ++second;
    return {static_cast<int>(t - second * (second + 1) / 2), static_cast<int>(second)};
}

template <Space S>
ESPECTRA_HD LayerSize layer_size(const LayerBlock<S>& a) {
    return {a.curvature.extent[1], a.input.extent[1], static_cast<bool>(a.mixed)};
}

/// Weights and biases of a layer with themselves: unit pairs i ≤ p times feature pairs j ≤ k, Σ A_ip ã_j ã_k
/// over examples. Each element is added at (i,j),(p,k) and, off the diagonals, at its mirror (i,k),(p,j).
template <Space S>
struct LayerBlockProduct {
    static constexpr const char* name = "contract_layer_block";
    static constexpr bool a_inner = true, b_inner = true;
    static constexpr std::size_t table_doubles = 2 * group::tile;
    static constexpr Space space = S;
    LayerBlock<S> args;

    ESPECTRA_HD ContractionShape shape() const {
        return layer_contraction(args.hessian.extent[0], layer_size(args), args.input.extent[2]);
    }
    ESPECTRA_HD Index batches() const { return shape().batches; }
    ESPECTRA_HD Index rows() const { return shape().rows; }
    ESPECTRA_HD Index columns() const { return shape().columns; }
    ESPECTRA_HD Index depth() const { return shape().examples; }

    struct Tile {
        const LayerBlock<S>& args;
        const IndexPair* units;
        const IndexPair* features;
        Index r;

        ESPECTRA_HD double a(int row, Index e) const {
            return args.curvature(r, units[row].first, units[row].second, e);
        }
        ESPECTRA_HD double feature(Index j, Index e) const {
            return j < args.input.extent[1] ? args.input(r, j, e) : 1.0;
        }
        ESPECTRA_HD double b(Index e, int column) const {
            return feature(features[column].first, e) * feature(features[column].second, e);
        }
        ESPECTRA_HD void add(Index x, Index y, double value) const {
            args.hessian(r, x < y ? x : y, x < y ? y : x) += value;
        }
        ESPECTRA_HD void store(int row, int column, double value) const {
            const auto [i, p] = units[row];
            const auto [j, k] = features[column];
            const Index inputs = args.input.extent[1];
            add(args.offsets.position(inputs, i, j), args.offsets.position(inputs, p, k), value);
            if (i != p && j != k)
                add(args.offsets.position(inputs, i, k), args.offsets.position(inputs, p, j), value);
        }
    };
    template <Group G>
    ESPECTRA_HD Tile tile(const G& group, double* table, Index r, Index row, Index column) const {
        auto* pairs = reinterpret_cast<IndexPair*>(table);
        for_each_item(group, 2 * group::tile, [&](Index t) {
            const Index number = t < group::tile ? row + t : column + t - group::tile;
            const bool inside = number < (t < group::tile ? rows() : columns());
            pairs[t] = inside ? triangular_pair(number) : IndexPair{0, 0};
        });
        group.sync();
        return {args, pairs, pairs + group::tile, r};
    }
};

/// β of a layer with its weights and biases: Σ M_pi ã_j at (i,j),(β,p).
template <Space S>
struct BetaBlockProduct {
    static constexpr const char* name = "contract_layer_block (beta)";
    static constexpr bool a_inner = true, b_inner = true;
    static constexpr std::size_t table_doubles = 0;
    static constexpr Space space = S;
    LayerBlock<S> args;

    ESPECTRA_HD ContractionShape shape() const {
        return beta_contraction(args.hessian.extent[0], layer_size(args), args.input.extent[2]);
    }
    ESPECTRA_HD Index units() const { return args.mixed.extent[1]; }
    ESPECTRA_HD Index batches() const { return shape().batches; }
    ESPECTRA_HD Index rows() const { return shape().rows; }
    ESPECTRA_HD Index columns() const { return shape().columns; }
    ESPECTRA_HD Index depth() const { return shape().examples; }

    struct Tile {
        const LayerBlock<S>& args;
        Index units, r, row, column;
        ESPECTRA_HD double a(int i, Index e) const {
            return args.mixed(r, (row + i) / units, (row + i) % units, e);
        }
        ESPECTRA_HD double b(Index e, int j) const {
            return column + j < args.input.extent[1] ? args.input(r, column + j, e) : 1.0;
        }
        ESPECTRA_HD void store(int i, int j, double value) const {
            const Index p = (row + i) / units, unit = (row + i) % units;
            args.hessian(r, args.offsets.position(args.input.extent[1], unit, column + j),
                         args.offsets.beta + p) += value;
        }
    };
    template <Group G>
    ESPECTRA_HD Tile tile(const G&, double*, Index r, Index row, Index column) const {
        return {args, units(), r, row, column};
    }
};

/// β of a layer with themselves: Σ D_pq at (β,p),(β,q), p ≤ q; one block per unit p and 32 units q.
template <Space S>
struct BetaSumsKernel {
    static constexpr const char* name = "contract_layer_block (beta with beta)";
    static constexpr int threads = 128;
    static constexpr Index width = 32;
    LayerBlock<S> a;

    Index blocks() const {
        const Index units = a.beta_curvature.extent[1];
        return a.hessian.extent[0] * units * divide_up(units, width);
    }
    std::size_t shared_doubles() const { return width * sum_lanes; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const Index units = a.beta_curvature.extent[1], parts = divide_up(units, width);
        const Index part = block % parts * width, p = block / parts % units, r = block / parts / units;
        const Index begin = part > p ? part : p, end = part + width < units ? part + width : units;
        if (begin >= end) return;
        lane_sums(
            group, end - begin, a.beta_curvature.extent[3], shared,
            [&](Index q, Index e) { return a.beta_curvature(r, p, begin + q, e); },
            [&](Index q, double sum) {
                a.hessian(r, a.offsets.beta + p, a.offsets.beta + begin + q) += sum;
            });
    }
};

template <class C>
void contract_layer_block(C& context, const LayerBlock<C::space>& a) {
    require_equal("contract_layer_block: examples", a.input.extent[2], a.curvature.extent[3]);
    contract(context, LayerBlockProduct<C::space>{a});
    if (!a.mixed) return;
    contract(context, BetaBlockProduct<C::space>{a});
    launch(context, BetaSumsKernel<C::space>{a});
}

/// One unit i of a layer (its weights, bias and β) with a later layer: rows φ_h,i ã_j, then φ_β,i; columns V,
/// δ^h J, U as in CrossBlock.
template <Space S>
struct CrossBlockProduct {
    static constexpr const char* name = "contract_cross_block";
    static constexpr bool a_inner = true, b_inner = true;
    static constexpr std::size_t table_doubles = group::tile;
    static constexpr Space space = S;
    CrossBlock<S> args;

    ESPECTRA_HD LayerSize layer() const {
        return {args.d_h.extent[1], args.input.extent[1], args.d_beta && args.offsets.beta >= 0};
    }
    ESPECTRA_HD LayerSize later_layer() const {
        return {args.curvature.extent[1], args.later_input.extent[1], static_cast<bool>(args.mixed)};
    }
    ESPECTRA_HD ContractionShape shape() const {
        return cross_contraction(args.hessian.extent[0], layer(), later_layer(), args.input.extent[2]);
    }
    ESPECTRA_HD Index batches() const { return shape().batches; }
    ESPECTRA_HD Index rows() const { return shape().rows; }
    ESPECTRA_HD Index columns() const { return shape().columns; }
    ESPECTRA_HD Index depth() const { return shape().examples; }

    struct Tile {
        const CrossBlock<S>& args;
        const IndexPair* later;  // unit p and feature q of a column
        Index r, i, row;

        ESPECTRA_HD double a(int at, Index e) const {
            const Index j = row + at, inputs = args.input.extent[1];
            if (j < inputs) return args.d_h(r, i, e) * args.input(r, j, e);
            return j == inputs ? args.d_h(r, i, e) : args.d_beta(r, i, e);
        }
        ESPECTRA_HD double b(Index e, int column) const {
            const auto [p, q] = later[column];
            const Index inputs = args.later_input.extent[1];
            if (q > inputs) return args.mixed(r, p, i, e);
            const double v = args.curvature(r, p, i, e);
            if (q == inputs) return v;
            double value = v * args.later_input(r, q, e);
            if (args.later_delta) {
                if (args.jacobian)
                    value += args.later_delta(r, p, e) * args.jacobian(r, q, i, e);
                else if (q == i)
                    value += args.later_delta(r, p, e);
            }
            return value;
        }
        ESPECTRA_HD void store(int at, int column, double value) const {
            const Index j = row + at, inputs = args.input.extent[1],
                        later_inputs = args.later_input.extent[1];
            const auto [p, q] = later[column];
            const Index x = j <= inputs ? args.offsets.position(inputs, i, j) : args.offsets.beta + i;
            const Index y = q <= later_inputs ? args.later_offsets.position(later_inputs, p, q)
                                              : args.later_offsets.beta + p;
            args.hessian(r, x, y) += value;
        }
    };
    template <Group G>
    ESPECTRA_HD Tile tile(const G& group, double* table, Index batch, Index row, Index column) const {
        auto* later = reinterpret_cast<IndexPair*>(table);
        const Index width = later_layer().parameters_per_unit(), end = columns();
        for_each_item(group, group::tile, [&](Index t) {
            const Index at = column + t;
            later[t] = at < end ? IndexPair{static_cast<int>(at / width), static_cast<int>(at % width)}
                                : IndexPair{0, 0};
        });
        group.sync();
        return {args, later, batch / args.d_h.extent[1], batch % args.d_h.extent[1], row};
    }
};

template <class C>
void contract_cross_block(C& context, const CrossBlock<C::space>& a) {
    require_equal("contract_cross_block: units", a.d_h.extent[1], a.curvature.extent[2]);
    require_equal("contract_cross_block: examples", a.input.extent[2], a.curvature.extent[3]);
    contract(context, CrossBlockProduct<C::space>{a});
}

}  // namespace espectra::group
