// Blocks of a Hessian: the parameters of a layer, or of one kind.

#include "espectra/models/spectrum/parameter_blocks.hpp"

#include <gtest/gtest.h>

#include "oracle/jacobi.hpp"
#include <limits>
#include <vector>

namespace espectra {
namespace {

using Positions = std::vector<Index>;

TEST(ParameterBlocks, PositionsOfLayersAndKinds) {
    const Network network({.widths = {2, 2, 1}, .hidden_activations = {Activation::esp}});
    const auto blocks = parameter_blocks(network);
    ASSERT_EQ(blocks.size(), 5u);
    EXPECT_EQ(blocks[0].name, "layer_1");  // W₁ 0 … 3, b₁ 4, 5, β₁ 6, 7
    EXPECT_EQ(blocks[0].parameters, (Positions{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(blocks[1].name, "layer_2");  // W₂ 8, 9, b₂ 10, β₂ 11
    EXPECT_EQ(blocks[1].parameters, (Positions{8, 9, 10, 11}));
    EXPECT_EQ(blocks[2].name, "weights");
    EXPECT_EQ(blocks[2].parameters, (Positions{0, 1, 2, 3, 8, 9}));
    EXPECT_EQ(blocks[3].name, "biases");
    EXPECT_EQ(blocks[3].parameters, (Positions{4, 5, 10}));
    EXPECT_EQ(blocks[4].name, "betas");
    EXPECT_EQ(blocks[4].parameters, (Positions{6, 7, 11}));

    const auto plain = parameter_blocks(Network({.widths = {3, 1}, .hidden_activations = {}}));
    ASSERT_EQ(plain.size(), 3u);
    EXPECT_EQ(plain[0].parameters, (Positions{0, 1, 2, 3}));
    EXPECT_EQ(plain[2].name, "biases");
}

TEST(ParameterBlocks, SpectrumOfABlock) {
    // Eigenvalues 1 and 3 of rows 0 and 2; row 3 is zero within the block though not outside of it.
    const std::vector<double> matrix = {
        2, 9, 1, 0,  //
        9, 5, 9, 7,  //
        1, 9, 2, 0,  //
        0, 7, 0, 0,
    };
    CpuContext context(1);
    const BlockSpectrum found = block_spectrum(context, matrix, 4, {"rows", {0, 2, 3}});
    ASSERT_EQ(found.eigenvalues.size(), 3u);
    constexpr double eps = std::numeric_limits<double>::epsilon();
    EXPECT_EQ(found.eigenvalues[0], 0.0);
    EXPECT_NEAR(found.eigenvalues[1], 1, 12 * eps);
    EXPECT_NEAR(found.eigenvalues[2], 3, 12 * eps);
    EXPECT_LE(found.trace_error, 12 * eps);

    const BlockSpectrum zero = block_spectrum(context, matrix, 4, {"zero", {3}});
    EXPECT_EQ(zero.eigenvalues, std::vector<double>{0.0});
    EXPECT_EQ(zero.trace_error, 0.0);

    // All rows: the spectrum of the matrix.
    const BlockSpectrum all = block_spectrum(context, matrix, 4, {"all", {0, 1, 2, 3}});
    const auto expected = oracle::jacobi_eigenvalues(matrix, 4);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(all.eigenvalues[i], expected[i], 80 * eps);
}

}  // namespace
}  // namespace espectra
