// Layout of θ, scaling directions and initial parameters.

#include "espectra/models/network.hpp"

#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace espectra {
namespace {

using enum Activation;

TEST(Network, ParametersByHand) {
    // 2-10-1 esp: 10·(2 + 1 + 1) + 10 + 1 + 1; 64-25-10 esp: 25·66 + 10·27; 2-10-1 relu: 10·3 + 11; 2-8-2-1
    // relu: 8·3 + 2·9 + 3.
    EXPECT_EQ(Network({.widths = {2, 10, 1}, .hidden_activations = {esp}}).parameters(), 52);
    EXPECT_EQ(Network({.widths = {64, 25, 10}, .hidden_activations = {esp}}).parameters(), 1920);
    EXPECT_EQ(Network({.widths = {2, 10, 1}, .hidden_activations = {relu}}).parameters(), 41);
    EXPECT_EQ(Network({.widths = {2, 8, 2, 1}, .hidden_activations = {relu}}).parameters(), 45);
    EXPECT_EQ(Network({.widths = {3, 2}, .hidden_activations = {}}).parameters(), 8);
    EXPECT_EQ(
        Network({.widths = {2, 10, 1}, .hidden_activations = {esp}, .trainable_beta = false}).parameters(),
        41);
}

TEST(Network, OffsetsByHand) {
    // 2-3-4-1, esp then relu: W₁ 6, b₁ 3, β₁ 3, W₂ 12, b₂ 4, W₃ 4, b₃ 1, β₃ 1 (an esp network trains its
    // output's β).
    const Network network({.widths = {2, 3, 4, 1}, .hidden_activations = {esp, relu}});
    const auto& layers = network.layers();
    ASSERT_EQ(layers.size(), 3u);
    const auto offsets = [&](std::size_t l) {
        const LayerOffsets& o = layers[l].offsets;
        return std::vector<Index>{o.weights, o.bias, o.beta};
    };
    EXPECT_EQ(offsets(0), (std::vector<Index>{0, 6, 9}));
    EXPECT_EQ(offsets(1), (std::vector<Index>{12, 24, -1}));
    EXPECT_EQ(offsets(2), (std::vector<Index>{28, 32, 33}));
    EXPECT_EQ(network.parameters(), 34);
    EXPECT_EQ(network.inputs(), 2);
    EXPECT_EQ(network.outputs(), 1);
    EXPECT_EQ(layers[2].activation, linear);
    EXPECT_TRUE(layers[2].trainable_beta);
    EXPECT_EQ(network.widths_text(), "2-3-4-1");
    EXPECT_EQ(network.activations_text(), "esp-relu");
}

TEST(Network, OneActivationForAllLayers) {
    const Network network({.widths = {2, 3, 4, 1}, .hidden_activations = {tanh}});
    EXPECT_EQ(network.layers()[1].activation, tanh);
    EXPECT_EQ(network.activations_text(), "tanh");
    EXPECT_FALSE(network.layers()[2].trainable_beta);
    EXPECT_EQ(Network({.widths = {2, 1}, .hidden_activations = {}}).activations_text(), "linear");
}

TEST(Network, FixedBetaIsThatOfEspOnly) {
    const Network network({.widths = {2, 3, 3, 1},
                           .hidden_activations = {esp, sigmoid},
                           .trainable_beta = false,
                           .fixed_beta = 2.5});
    EXPECT_EQ(network.layers()[0].fixed_beta, 2.5);
    EXPECT_EQ(network.layers()[1].fixed_beta, 1);
    EXPECT_EQ(network.layers()[2].fixed_beta, 1);
    for (const Layer& layer : network.layers()) EXPECT_FALSE(layer.trainable_beta);
}

TEST(Network, NegativeSlopeIsThatOfLeakyReluOnly) {
    const Network network({.widths = {2, 3, 3, 3, 1},
                           .hidden_activations = {leaky_relu, gelu, elu},
                           .fixed_beta = 2.5,
                           .negative_slope = 0.2});
    EXPECT_EQ(network.layers()[0].fixed_beta, 0.2);
    for (std::size_t l = 1; l < 4; ++l) EXPECT_EQ(network.layers()[l].fixed_beta, 1);
    for (const Layer& layer : network.layers()) EXPECT_FALSE(layer.trainable_beta);
}

TEST(Network, LayerParametersAreViewsOfTheta) {
    const Network network({.widths = {2, 3, 1}, .hidden_activations = {esp}});
    const Index p = network.parameters();  // 12 + 5
    std::vector<double> theta(static_cast<std::size_t>(2 * p));
    for (std::size_t i = 0; i < theta.size(); ++i) theta[i] = static_cast<double>(i);
    const auto hidden = layer_parameters(network.layers()[0], make_view(theta.data(), 2, p));
    const auto output = layer_parameters(network.layers()[1], make_view(theta.data(), 2, p));
    EXPECT_EQ(hidden.weights(0, 2, 1), 5);
    EXPECT_EQ(hidden.weights(1, 0, 0), 17);
    EXPECT_EQ(hidden.bias(0, 0), 6);
    EXPECT_EQ(hidden.beta(1, 2), 17 + 11);
    EXPECT_EQ(output.weights(0, 0, 2), 14);
    EXPECT_EQ(output.bias(0, 0), 15);
    EXPECT_EQ(output.beta(1, 0), 17 + 16);
    const Network without({.widths = {2, 3, 1}, .hidden_activations = {relu}});
    EXPECT_FALSE(layer_parameters(without.layers()[0], make_view(theta.data(), 2, 13)).beta);
}

TEST(Network, RejectsBadShapes) {
    const auto message = [](std::vector<Index> widths, std::vector<Activation> activations) -> std::string {
        try {
            Network({.widths = std::move(widths), .hidden_activations = std::move(activations)});
        } catch (const InputError& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(message({2, 3, 1}, {relu}), "");
    EXPECT_NE(message({}, {relu}), "");
    EXPECT_NE(message({5}, {relu}), "");
    EXPECT_EQ(message({2, 0, 1}, {relu}), "network: width 0 (layer 1): expected at least 1");
    EXPECT_EQ(message({2, 3, -4}, {relu}), "network: width -4 (layer 2): expected at least 1");
    EXPECT_EQ(message({2, 3, 3, 3, 1}, {relu, esp}), "network: expected 1 or 3 hidden activations, got 2");
    EXPECT_EQ(message({2, 3, 1}, {}), "network: expected 1 or 1 hidden activations, got 0");
    EXPECT_NE(message({2, 1}, {relu, esp}), "");  // no hidden layer, two activations
}

TEST(ScalingDirections, ByHand) {
    // 1-1-1 esp: w₁ b₁ β₁ w₂ b₂ β₂. Hidden unit: w₁, b₁ up, β₁ and w₂ down; output z = β₂(w₂ a + b₂): w₂, b₂
    // up, β₂ down.
    EXPECT_EQ(Network({.widths = {1, 1, 1}, .hidden_activations = {esp}}).scaling_directions(),
              (std::vector<double>{1, 1, -1, -1, 0, 0,  //
                                   0, 0, 0, 1, 1, -1}));
    // 1-1-1 relu: w₁ b₁ w₂ b₂.
    EXPECT_EQ(Network({.widths = {1, 1, 1}, .hidden_activations = {relu}}).scaling_directions(),
              (std::vector<double>{1, 1, -1, 0}));
    EXPECT_EQ(Network({.widths = {1, 1, 1}, .hidden_activations = {leaky_relu}}).scaling_directions(),
              (std::vector<double>{1, 1, -1, 0}));
    // 1-2-2 relu: W₁ (2), b₁ (2), W₂ (2 × 2), b₂ (2); a unit's outgoing weights are a column of W₂.
    EXPECT_EQ(Network({.widths = {1, 2, 2}, .hidden_activations = {relu}}).scaling_directions(),
              (std::vector<double>{1, 0, 1, 0, -1, 0,  -1, 0,  0, 0,  //
                                   0, 1, 0, 1, 0,  -1, 0,  -1, 0, 0}));
    for (const Activation none : {sigmoid, tanh, softplus, gelu, elu})
        EXPECT_TRUE(
            Network({.widths = {1, 2, 2}, .hidden_activations = {none}}).scaling_directions().empty());
    EXPECT_EQ(Network({.widths = {64, 25, 10}, .hidden_activations = {esp}}).scaling_directions().size(),
              35u * 1920u);
}

}  // namespace
}  // namespace espectra
