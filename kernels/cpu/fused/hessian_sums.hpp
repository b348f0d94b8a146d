#pragma once

#include "espectra/kernels/cpu/hessian/example_products.hpp"
#include "espectra/kernels/network_view.hpp"

#include <algorithm>

// Layout of the sums over examples of a small network's Hessian.

namespace espectra {

inline constexpr Index rows_together = 8;       // rows of A that are multiplied as soon as they are formed
inline constexpr Index link_rows = 12;          // approximate number of rows of scaled units formed at a time
inline constexpr Index cross_factor_rows = 48;  // factor rows of a cross block formed at a time

constexpr Index triangle(Index n) { return n * (n + 1) / 2; }

/// Index of the pair i ≤ j in the upper triangle, column by column.
constexpr Index pair_index(Index i, Index j) { return triangle(j) + i; }

/// Index in M of β of unit p and h of unit i, in the order of pairs: (β i, h j), (β j, h i) for i < j, then
/// (β j, h j).
constexpr Index mixed_index(Index p, Index i) {
    const Index j = std::max(p, i);
    return j * j + 2 * std::min(p, i) + (p > i ? 1 : 0);
}

/// A matrix of sums over examples, stored by rows or by columns.
struct Sums {
    double* data = nullptr;
    Index row_stride = 0, column_stride = 0;
    double operator()(Index row, Index column) const {
        return data[row * row_stride + column * column_stride];
    }
};

/// Makes the longer side contiguous: tiles of sums are four rows high.
inline Sums make_sums(double* data, Index row_count, Index column_count) {
    return row_count >= column_count ? Sums{data, 1, row_count} : Sums{data, column_count, 1};
}

/// Adds the products of row_count rows of X with column_count rows of Y to the sums, beginning at row
/// row_begin and column column_begin.
inline void add_products(const double* const* x, Index row_begin, Index row_count, const double* const* y,
                         Index column_begin, Index column_count, Index length, const Sums& sums) {
    double* out = sums.data + row_begin * sums.row_stride + column_begin * sums.column_stride;
    if (sums.row_stride == 1)
        rows::add_products(x, row_count, y, column_count, length, out, sums.column_stride);
    else
        rows::add_products(y, column_count, x, row_count, length, out, sums.row_stride);
}

/// Numbers of rows of a layer.
struct LayerPlan {
    bool separate = false;  ///< outputs that do not interact: A, M, D are diagonal
    Index unit_pairs = 0, mixed = 0, feature_pairs = 0;
};

/// Sums of a layer with itself: A with products of two features, M with features, D.
struct LayerSums {
    Sums weights, mixed;
    double* beta;
    double* end;
};

inline LayerSums layer_sums(double* data, const Layer& layer, const LayerPlan& plan) {
    LayerSums sums;
    sums.weights = make_sums(data, plan.unit_pairs, plan.feature_pairs);
    data += plan.unit_pairs * plan.feature_pairs;
    sums.mixed = make_sums(data, plan.mixed, layer.inputs + 1);
    sums.beta = data + plan.mixed * (layer.inputs + 1);
    sums.end = sums.beta + (layer.trainable_beta ? plan.unit_pairs : 0);
    return sums;
}

inline LayerPlan plan_layer(const Layer& layer, bool separate) {
    LayerPlan plan;
    plan.separate = separate;
    plan.unit_pairs = separate ? layer.units : triangle(layer.units);
    plan.mixed = !layer.trainable_beta ? 0 : separate ? layer.units : layer.units * layer.units;
    plan.feature_pairs = triangle(layer.inputs + 1);
    return plan;
}

inline Index cross_rows(const Layer& layer) { return layer.inputs + 1 + (layer.trainable_beta ? 1 : 0); }
inline Index cross_columns(const Layer& layer) { return layer.units * cross_rows(layer); }

/// Units of the later layer whose factor rows are formed together.
inline Index units_together(const Layer& later) {
    return std::clamp<Index>(cross_factor_rows / cross_rows(later), 1, later.units);
}

/// Returns true if the block of neighbouring layers l and k = l + 1 is multiplied with the units of layer l
/// scaled (LinkSums), which forms k_l + 4 rows for each pair of units, instead of with the factor X, which
/// forms k_k.
inline bool scales_units(const Layer& dense, const Layer& later, Index distance) {
    return distance == 1 && dense.inputs + 4 < later.inputs;
}

/// Sums of one unit p of the later layer with all units i of the layer before, with the two terms of
/// X_{i,(p,q)} = V_{pi} ã_q + δ^h_p [q = i] apart. `scaled`: rows (i, c), V_{pi} times φ_h ã_j or φ_β;
/// columns ã_q. `rest`: rows δ^h_p φ_h of all i, then U_{pi} φ_h; columns ã_j of layer l. `beta`: as `rest`,
/// with φ_β instead of φ_h ã_j.
struct LinkSums {
    Sums scaled, rest;
    double* beta;
    double* end;
};

inline LinkSums link_sums(double* data, const Layer& dense, const Layer& later) {
    LinkSums sums;
    const Index row_count = dense.units * cross_rows(dense),
                rest = dense.units * (later.trainable_beta ? 2 : 1);
    sums.scaled = make_sums(data, row_count, later.inputs + 1);
    data += row_count * (later.inputs + 1);
    sums.rest = make_sums(data, rest, dense.inputs + 1);
    sums.beta = data + rest * (dense.inputs + 1);
    sums.end = sums.beta + (dense.trainable_beta ? rest : 0);
    return sums;
}

/// Number of sums of layers l < k.
inline Index cross_sums(const NetworkView& network, int l, int k) {
    const Layer* layers = network.layers;
    const bool scaled = scales_units(layers[l], layers[k], k - l);
    return layers[l].units * cross_rows(layers[l]) *
           (cross_columns(layers[k]) + (scaled ? layers[k].units : 0));
}

inline bool separate_outputs(const NetworkView& network, int layer) {
    return layer + 1 == network.count && traits_of(network.loss).elementwise;
}

}  // namespace espectra
