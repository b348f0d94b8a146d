// Tests of the contractions with stored factors: their shapes and memory, the parts that they are cut into,
// and the model that chooses them.

#include "espectra/kernels/contraction.hpp"

#include "espectra/kernels/group/hessian.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "kernels/device/sliced_array.hpp"
#include "support/backend_work.hpp"
#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

namespace espectra {

bool operator==(const ContractionShape& x, const ContractionShape& y) {
    return std::tie(x.batches, x.rows, x.columns, x.examples) ==
           std::tie(y.batches, y.rows, y.columns, y.examples);
}

namespace test {
namespace {

using Shapes = std::vector<ContractionShape>;

Shapes shapes_of(const Network& network, Index replicas, Index examples) {
    Shapes shapes;
    for_each_contraction(network.view(), replicas, examples,
                         [&](const ContractionShape& shape) { shapes.push_back(shape); });
    return shapes;
}

// Section 6 of docs/mathematics.md has the digits network with the bias among 65 features.
TEST(Contraction, HasTheShapesOfTheDigits) {
    const Network digits({{64, 25, 10}, {Activation::esp}, true, 1.0, {}});
    const Shapes expected = {{1, 325, 2145, 1437},
                             {1, 625, 65, 1437},
                             {1, 55, 351, 1437},
                             {1, 100, 26, 1437},
                             {25, 66, 270, 1437}};
    EXPECT_EQ(shapes_of(digits, 1, 1437), expected);
    const Network fixed({{64, 25, 10}, {Activation::esp}, false, 1.0, {}});
    EXPECT_EQ(shapes_of(fixed, 3, 7), (Shapes{{3, 325, 2145, 7}, {3, 55, 351, 7}, {75, 65, 260, 7}}));
}

TEST(Contraction, AllThatAnAssemblyMakesAreListed) {
    for (const bool beta : {true, false}) {
        const NetworkCase c =
            make_case({{3, 4, 5, 2}, {Activation::esp}, beta, 1.0, Loss::softmax_cross_entropy}, 6, 2);
        Shapes made, listed = shapes_of(c.network, 2, 6);
        EmulatedContext context(1);
        context.stores_factors = [&](const ContractionShape& shape) {
            made.push_back(shape);
            return true;
        };
        hessians(context, c, HessianPart::full, std::size_t{1} << 22);
        const auto order = [](const ContractionShape& s) {
            return std::tuple(s.batches, s.rows, s.columns, s.examples);
        };
        std::ranges::sort(made, {}, order);
        std::ranges::sort(listed, {}, order);
        EXPECT_EQ(made, listed);
    }
}

/// Calls body(address) for every number of a view.
template <class Body>
void for_each_number(const View<double, 3>& view, const Body& body) {
    for (Index i = 0; i < view.extent[0]; ++i)
        for (Index j = 0; j < view.extent[1]; ++j)
            for (Index k = 0; k < view.extent[2]; ++k) body(&view(i, j, k));
}

TEST(Contraction, FactorsAndProductsShareTheirMemoryWithoutOverlap) {
    for (const ContractionShape& part : Shapes{{1, 1, 1, 1}, {2, 3, 17, 16}, {3, 16, 5, 33}}) {
        std::vector<double> memory(static_cast<std::size_t>(stored_doubles(part)));
        std::vector<int> uses(memory.size());
        const auto product = stored_product<Space::host>(memory.data(), part);
        for (const auto& view : {product.a, product.b, product.c}) {
            for_each_number(view, [&](const double* address) {
                const auto at = static_cast<std::size_t>(address - memory.data());
                ASSERT_LT(at, uses.size());
                ++uses[at];
            });
            EXPECT_EQ(view.stride[1] % 16, 0);  // 128 bytes
            EXPECT_EQ(view.stride[2], 1);
        }
        EXPECT_EQ(*std::ranges::max_element(uses), 1);
        EXPECT_EQ(std::ranges::count(uses, 1), product.a.size() + product.b.size() + product.c.size());
        // The products stay where they are while parts of other numbers of examples are added to them.
        ContractionShape other = part;
        other.examples += 40;
        EXPECT_EQ(stored_product<Space::host>(memory.data(), other).c.data, product.c.data);
    }
}

TEST(Contraction, PartsAreLimited) {
    EXPECT_EQ(largest_part({1, 1, 1, 1}), (ContractionShape{1, 1, 1, 1}));
    EXPECT_EQ(largest_part({1, 4096, 4096, 4096}), (ContractionShape{1, 4096, 4096, 4096}));
    EXPECT_EQ(largest_part({7, 5000, 400000, 60000}), (ContractionShape{1, 4096, 4096, 4096}));
    EXPECT_EQ(largest_part({1000000, 1, 1, 1}).batches, 65535);
    for (const ContractionShape& all :
         Shapes{{25, 66, 270, 1437}, {100000, 66, 270, 1437}, {1000, 4096, 1, 5000}, {3, 9000, 9000, 1}}) {
        const ContractionShape part = largest_part(all);
        EXPECT_GE(part.batches, 1);
        EXPECT_LE(part.batches, all.batches);
        EXPECT_LE(stored_doubles(part), most_part_doubles);
    }
}

// By hand, with a device of one multiprocessor, tiles of 64 × 64, and rates of 1.
TEST(Contraction, TimesAreThoseOfTheModel) {
    const ContractionRates one{
        .tiles = 1, .library = 2, .memory = 8, .launch = 100, .multiprocessors = 1, .tile = 64};
    const double tile = 2 * 64 * 64 * 10;
    EXPECT_EQ(tile_seconds({1, 1, 1, 10}, one), 100 + tile);
    EXPECT_EQ(tile_seconds({2, 65, 64, 10}, one), 100 + 4 * tile);
    EXPECT_EQ(library_seconds({2, 65, 64, 10}, one),
              300 + 2 * tile + (24 * 2 * 129 * 10 + 16 * 2 * 65 * 64) / 8.0);
    // Two parts of rows, so that the factor of the columns is formed twice.
    EXPECT_EQ(library_seconds({1, 4097, 64, 10}, one),
              600 + 65 * tile / 2 + (24 * (4097 + 2 * 64) * 10 + 16 * 4097 * 64) / 8.0);
    ContractionRates three = one;
    three.multiprocessors = 3;  // computes three tiles in the time of one, at a third of the rate each
    EXPECT_EQ(tile_seconds({2, 65, 64, 10}, three), 100 + 2 * 3 * tile);
}

TEST(Contraction, LargeOnesAreLeftToTheLibrary) {
    EXPECT_TRUE(library_is_faster({1, 325, 2145, 1437}));  // the digits
    EXPECT_TRUE(library_is_faster({1, 625, 65, 1437}));
    EXPECT_TRUE(library_is_faster({25, 66, 270, 1437}));
    EXPECT_TRUE(library_is_faster({1, 1275, 308505, 8192}));  // 784-50-10
    EXPECT_FALSE(library_is_faster({1, 325, 2145, 10}));      // launches take longer
    EXPECT_FALSE(library_is_faster({1, 55, 351, 1437}));      // less than a tile
    EXPECT_FALSE(library_is_faster({10000, 4, 12, 690}));
    // Factors as long as they are wide have more traffic than arithmetic.
    EXPECT_FALSE(library_is_faster({100000, 64, 64, 1000}));
}

// Whole numbers, so that the Hessians are equal in whatever order their terms are added.
TEST(Contraction, AnyPartsGiveTheSumsOfTiles) {
    constexpr Index replicas = 2, units = 3, inputs = 4, later_units = 2, examples = 9, size = 64;
    const auto make = [](std::uint32_t stream, auto... extents) {
        return whole_numbers((Index{1} * ... * extents), stream);
    };
    const Values input = make(1, replicas, inputs, examples), d_h = make(2, replicas, units, examples),
                 d_beta = make(3, replicas, units, examples),
                 later_delta = make(4, replicas, later_units, examples),
                 v = make(5, replicas, later_units, units, examples),
                 u = make(6, replicas, later_units, units, examples),
                 curvature = symmetric_whole_numbers(replicas, units, examples, 7),
                 mixed = make(8, replicas, units, units, examples);
    const LayerOffsets offsets{0, 12, 15}, later_offsets{18, 24, 26};
    const auto assemble = [&](const auto& way) {
        Values hessian = make(9, replicas, size, size);
        const auto h = make_view(hessian.data(), replicas, size, size);
        LayerBlock<Space::host> block;
        block.input = make_view(input.data(), replicas, inputs, examples);
        block.curvature = make_view(curvature.data(), replicas, units, units, examples);
        block.mixed = make_view(mixed.data(), replicas, units, units, examples);
        block.offsets = offsets;
        block.hessian = h;
        CrossBlock<Space::host> cross;
        cross.input = block.input;
        cross.d_h = make_view(d_h.data(), replicas, units, examples);
        cross.d_beta = make_view(d_beta.data(), replicas, units, examples);
        cross.later_input = cross.d_h;
        cross.curvature = make_view(v.data(), replicas, later_units, units, examples);
        cross.mixed = make_view(u.data(), replicas, later_units, units, examples);
        cross.later_delta = make_view(later_delta.data(), replicas, later_units, examples);
        cross.offsets = offsets;
        cross.later_offsets = later_offsets;
        cross.hessian = h;
        way(group::LayerBlockProduct<Space::host>{block});
        way(group::BetaBlockProduct<Space::host>{block});
        way(group::CrossBlockProduct<Space::host>{cross});
        return hessian;
    };
    EmulatedContext context(1);
    const Values tiles = assemble([&](const auto& product) { group::multiply(context, product); });
    for (const ContractionShape& part :
         Shapes{{1, 1, 1, 1}, {6, 9, 15, 9}, {4, 2, 100, 9}, {1, 100, 4, 4}, {5, 4, 5, 7}})
        EXPECT_TRUE(equal(
            tiles, assemble([&](const auto& product) { group::multiply_stored(context, product, part); })))
            << part.batches << ", " << part.rows << " × " << part.columns << ", " << part.examples;
}

}  // namespace
}  // namespace test
}  // namespace espectra
