#pragma once

#include "espectra/kernels/contraction.hpp"
#include "espectra/kernels/group/tile_product.hpp"
#include "espectra/runtime/buffer.hpp"

#include <algorithm>

// Contractions by factors that are stored (kernels/contraction.hpp). What a factor holds and where a product
// is added is what a tile of the same product loads and stores: the Product of tile_product.hpp, with
// shape().

namespace espectra::group {

/// Forms the factors A and B of a part of a contraction. One block: up to 64 rows of A, or columns of B, and
/// up to 128 examples.
template <class Product>
struct FactorsKernel {
    static constexpr const char* name = Product::name;
    static constexpr int threads = 128;
    static constexpr Index width = 128;
    Product product;
    ContractionShape first;  ///< where the part begins
    FactorProduct<Product::space> part;

    ESPECTRA_HD Index row_tiles() const { return divide_up(part.a.extent[1], tile); }
    ESPECTRA_HD Index column_tiles() const { return divide_up(part.b.extent[1], tile); }
    Index blocks() const {
        return part.a.extent[0] * (row_tiles() + column_tiles()) * divide_up(part.a.extent[2], width);
    }
    std::size_t shared_doubles() const { return Product::table_doubles; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const Index slabs = divide_up(part.a.extent[2], width), tiles = row_tiles() + column_tiles();
        const Index begin = block % slabs * width, number = block / slabs % tiles,
                    batch = block / slabs / tiles;
        const bool left = number < row_tiles();
        const Index at = (left ? number : number - row_tiles()) * tile;
        const auto source = product.tile(group, shared, first.batches + batch, first.rows + (left ? at : 0),
                                         first.columns + (left ? 0 : at));
        const auto& factor = left ? part.a : part.b;
        const Index rows = factor.extent[1] - at, examples = factor.extent[2] - begin;
        for_each_item(group, (rows < tile ? rows : tile) * width, [&](Index item) {
            const int row = static_cast<int>(item / width);
            const Index e = item % width;
            if (e >= examples) return;
            const Index example = first.examples + begin + e;
            factor(batch, at + row, begin + e) = left ? source.a(row, example) : source.b(example, row);
        });
    }
};

/// Adds the products C of a part to the Hessians. One block: a tile of C.
template <class Product>
struct AddProductsKernel {
    static constexpr const char* name = Product::name;
    static constexpr int threads = 128;
    Product product;
    ContractionShape first;
    View<double, 3, Product::space> c;

    ESPECTRA_HD Index column_tiles() const { return divide_up(c.extent[2], tile); }
    Index blocks() const { return c.extent[0] * divide_up(c.extent[1], tile) * column_tiles(); }
    std::size_t shared_doubles() const { return Product::table_doubles; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const Index row_tiles = divide_up(c.extent[1], tile);
        const Index column = block % column_tiles() * tile, row = block / column_tiles() % row_tiles * tile,
                    batch = block / column_tiles() / row_tiles;
        const auto target =
            product.tile(group, shared, first.batches + batch, first.rows + row, first.columns + column);
        const Index rows = c.extent[1] - row, columns = c.extent[2] - column;
        for_each_item(group, (rows < tile ? rows : tile) * tile, [&](Index item) {
            const int i = static_cast<int>(item / tile), j = static_cast<int>(item % tile);
            if (j < columns) target.store(i, j, c(batch, row + i, column + j));
        });
    }
};

/// Calls body(first, count) for the parts of an axis.
template <class Body>
void for_parts(Index all, Index part, Body&& body) {
    for (Index first = 0; first < all; first += part) body(first, std::min(part, all - first));
}

/// Computes a contraction by storing its factors, in parts of these extents, and calling multiply_factors().
template <class C, class Product>
void multiply_stored(C& context, const Product& product, const ContractionShape& most) {
    const ContractionShape all = product.shape();
    Buffer<double, C::space> memory(context, stored_doubles(most));
    ContractionShape first, part;
    const auto compute_part = [&] {
        FactorProduct<C::space> factors;
        for_parts(all.examples, most.examples, [&](Index example, Index examples) {
            first.examples = example;
            part.examples = examples;
            factors = stored_product<C::space>(memory.data(), part);
            factors.add = example > 0;
            launch(context, FactorsKernel<Product>{product, first, factors});
            multiply_factors(context, factors);
        });
        launch(context, AddProductsKernel<Product>{product, first, factors.c});
    };
    for_parts(all.batches, most.batches, [&](Index batch, Index batches) {
        for_parts(all.rows, most.rows, [&](Index row, Index rows) {
            for_parts(all.columns, most.columns, [&](Index column, Index columns) {
                first = {batch, row, column, 0};
                part = {batches, rows, columns, 0};
                compute_part();
            });
        });
    });
}

/// Computes a contraction in the way that the context chooses: stores_factors().
template <class C, class Product>
void contract(C& context, const Product& product) {
    const ContractionShape shape = product.shape();
    if (shape.empty()) return;
    if (stores_factors(context, shape))
        multiply_stored(context, product, largest_part(shape));
    else
        multiply(context, product);
}

}  // namespace espectra::group
