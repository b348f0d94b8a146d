#pragma once

#include "espectra/kernels/network_view.hpp"
#include "espectra/runtime/view.hpp"

#include <algorithm>
#include <cstddef>

// The contractions over examples of the exact Hessian (kernels/hessian.hpp) are batches of products C = A·B
// of Khatri–Rao factors A [rows, examples] and B [examples, columns]. A CUDA device computes them in one of
// two ways:
//   tiles    factors are formed in shared memory, a tile at a time (kernels/group/tile_product.hpp);
//   cuBLAS   factors are written to memory once, multiplied by the library, and the products are added to the
//            Hessians (kernels/group/stored_contraction.hpp).
// This file has their shapes, the memory of the second way, and the model that chooses.

namespace espectra {

class CpuContext;
class CudaContext;

/// Extents of a batch of products C = A·B.
struct ContractionShape {
    Index batches = 0, rows = 0, columns = 0, examples = 0;

    ESPECTRA_HD constexpr bool empty() const {
        return batches == 0 || rows == 0 || columns == 0 || examples == 0;
    }
};

/// Units and inputs of a layer, and whether its β is trainable.
struct LayerSize {
    Index units, inputs;
    bool beta;
    ESPECTRA_HD constexpr Index parameters_per_unit() const { return inputs + (beta ? 2 : 1); }
};

/// Returns the shape for weights and biases of a layer with themselves: pairs of units and pairs of features.
ESPECTRA_HD constexpr ContractionShape layer_contraction(Index replicas, LayerSize layer, Index examples) {
    return {replicas, layer.units * (layer.units + 1) / 2, (layer.inputs + 1) * (layer.inputs + 2) / 2,
            examples};
}

/// Returns the shape for β of a layer with its weights and biases: pairs of β and unit, and features.
ESPECTRA_HD constexpr ContractionShape beta_contraction(Index replicas, LayerSize layer, Index examples) {
    return {replicas, layer.units * layer.units, layer.inputs + 1, examples};
}

/// Returns the shape for each unit of a layer with a later layer: parameters of the unit, and of that layer.
ESPECTRA_HD constexpr ContractionShape cross_contraction(Index replicas, LayerSize layer, LayerSize later,
                                                         Index examples) {
    return {replicas * layer.units, layer.parameters_per_unit(), later.units * later.parameters_per_unit(),
            examples};
}

/// Calls body(shape) for the contractions of a chunk of examples of R networks.
template <class Body>
void for_each_contraction(const NetworkView& network, Index replicas, Index examples, Body&& body) {
    const auto size = [&](int l) {
        const Layer& layer = network.layers[l];
        return LayerSize{layer.units, layer.inputs, layer.trainable_beta};
    };
    for (int k = 0; k < network.count; ++k) {
        body(layer_contraction(replicas, size(k), examples));
        if (size(k).beta) body(beta_contraction(replicas, size(k), examples));
        for (int l = 0; l < k; ++l) body(cross_contraction(replicas, size(l), size(k), examples));
    }
}

// ---- factors in memory ----

/// Arguments of multiply_factors: C = A·Bᵀ, or C += A·Bᵀ, for each of a batch.
template <Space S>
struct FactorProduct {
    View<double, 3, S> a;  ///< [batches, rows, examples]
    View<double, 3, S> b;  ///< [batches, columns, examples]
    View<double, 3, S> c;  ///< [batches, rows, columns]
    bool add = false;
};

/// Multiplies factors by cuBLAS. The last axis of each view is contiguous.
void multiply_factors(CudaContext& context, const FactorProduct<Space::device>& product);

/// Returns the distance of the rows of stored factors and products: a multiple of 128 bytes, the size of a
/// memory transaction.
ESPECTRA_HD constexpr Index padded_row(Index count) { return divide_up(count, 16) * 16; }

/// Returns the doubles of the factors and products of `part`, which are in memory at the same time.
ESPECTRA_HD constexpr Index stored_doubles(const ContractionShape& part) {
    return part.batches *
           ((part.rows + part.columns) * padded_row(part.examples) + part.rows * padded_row(part.columns));
}

/// Returns the factors and products of `part` in stored_doubles() of memory.
template <Space S>
FactorProduct<S> stored_product(double* memory, const ContractionShape& part) {
    const auto take = [&](Index rows, Index columns) {
        const auto padded = make_view<S>(memory, part.batches, rows, padded_row(columns));
        memory += padded.size();
        return padded.slice(2, 0, columns);
    };
    FactorProduct<S> product;
    product.c = take(part.rows, part.columns);  // at the same place for any number of examples
    product.a = take(part.rows, part.examples);
    product.b = take(part.columns, part.examples);
    return product;
}

/// Most rows, columns and examples of a part of a contraction that is stored at a time: products that large
/// run at the full rate of the library.
inline constexpr Index most_of_part = 4096;

/// Most doubles of a part, 400 MB: one product of that size, or several smaller ones.
inline constexpr Index most_part_doubles = 3 * most_of_part * most_of_part;

/// Most products of one call: blocks of a grid on its third axis, on which cuBLAS places them.
inline constexpr Index most_part_batches = 65535;

/// Returns the extents of the parts that a contraction, which is not empty, is cut into; the last parts may
/// be smaller.
constexpr ContractionShape largest_part(const ContractionShape& all) {
    ContractionShape part{1, std::min(all.rows, most_of_part), std::min(all.columns, most_of_part),
                          std::min(all.examples, most_of_part)};
    part.batches = std::clamp<Index>(most_part_doubles / stored_doubles(part), 1,
                                     std::min(all.batches, most_part_batches));
    return part;
}

// ---- the choice ----

/// Rates of an H100 that the choice assumes. None has been measured by this project: `espectra cuda-facts`
/// measures both ways (section `contractions`). Other devices with FP64 tensor cores are assumed to have the
/// same ratios; on devices without them both ways are bound by the same units, and tiles are taken.
struct ContractionRates {
    double tiles = 13e12;    ///< FLOP/s of the own tiles, by their loads from L2 per product
    double library = 60e12;  ///< FLOP/s of DGEMM, of 67 that the device has
    double memory = 3e12;    ///< bytes/s, of 3.35
    double launch = 5e-6;    ///< seconds of a launch and the begin and end of its work
    Index multiprocessors = 132;
    Index tile = 64;  ///< rows and columns that a multiprocessor computes at a time
};

/// Returns the seconds of the arithmetic of a contraction at a rate of the whole device: tiles are computed
/// whole, one on each multiprocessor at a time, and a tile's sum is not shared among multiprocessors.
constexpr double arithmetic_seconds(const ContractionShape& shape, double flops, const ContractionRates& on) {
    const Index tiles = shape.batches * divide_up(shape.rows, on.tile) * divide_up(shape.columns, on.tile);
    const double of_tile = 2.0 * static_cast<double>(on.tile * on.tile * shape.examples);
    return static_cast<double>(divide_up(tiles, on.multiprocessors) * on.multiprocessors) * of_tile / flops;
}

/// Returns the expected seconds of a contraction by tiles. The traffic of its operands is part of the rate;
/// that of the Hessian, which both ways have, is not counted.
constexpr double tile_seconds(const ContractionShape& shape, const ContractionRates& on = {}) {
    return on.launch + arithmetic_seconds(shape, on.tiles, on);
}

/// Returns the expected seconds of a contraction by cuBLAS: three launches for each part, a product at the
/// library's rate, 24 bytes of traffic for each number of the factors (read where it is formed, written, read
/// by the library), which are formed again for each part of the other factor's rows, and 16 for each of the
/// products.
constexpr double library_seconds(const ContractionShape& shape, const ContractionRates& on = {}) {
    const ContractionShape part = largest_part(shape);
    const Index row_parts = divide_up(shape.rows, part.rows),
                column_parts = divide_up(shape.columns, part.columns);
    const Index calls = divide_up(shape.batches, part.batches) * row_parts * column_parts *
                        divide_up(shape.examples, part.examples);
    const Index factors =
        shape.batches * shape.examples * (shape.rows * column_parts + shape.columns * row_parts);
    const Index products = shape.batches * shape.rows * shape.columns;
    return 3 * static_cast<double>(calls) * on.launch + arithmetic_seconds(shape, on.library, on) +
           static_cast<double>(24 * factors + 16 * products) / on.memory;
}

/// Returns true if a contraction is expected to be faster by cuBLAS. Products that do not fill a tile are
/// left to the tiles, since the library's rate for them is not known.
constexpr bool library_is_faster(const ContractionShape& shape, const ContractionRates& on = {}) {
    return shape.rows >= on.tile && shape.columns >= on.tile &&
           library_seconds(shape, on) < tile_seconds(shape, on);
}

/// Returns true if the factors of a contraction are stored and multiplied by cuBLAS: on devices with FP64
/// tensor cores where library_is_faster(), or as the environment says, ESPECTRA_HESSIAN_PRODUCTS=tiles or
/// cublas. Throws InputError for other values.
bool stores_factors(const CudaContext& context, const ContractionShape& shape);

/// Returns the bytes that the contractions of a network take on the device, in chunks of up to `examples`. As
/// a smaller chunk may be computed the other way, these are the bytes of all that could be stored.
std::size_t contraction_bytes(const CudaContext& context, const NetworkView& network, Index replicas,
                              Index examples);
inline std::size_t contraction_bytes(const CpuContext& /*context*/, const NetworkView& /*network*/,
                                     Index /*replicas*/, Index /*examples*/) {
    return 0;
}

}  // namespace espectra
