// The distributions of the initial θ.

#include "espectra/models/initial_theta.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace espectra {
namespace {

using enum Activation;

TEST(InitialTheta, IsXavierWithZeroBiases) {
    const Network network({.widths = {64, 25, 10}, .hidden_activations = {esp}});
    const auto theta = initial_theta(network, {.mean = 0.5, .standard_deviation = 0.1}, 7);
    ASSERT_EQ(theta.size(), 1920u);
    for (const Layer& layer : network.layers()) {
        // Uniform on ±√(6/(n_in + n_out)): variance limit²/3, of n samples the mean within 5 standard
        // deviations.
        const double limit = std::sqrt(6.0 / static_cast<double>(layer.inputs + layer.units));
        const auto begin = theta.begin() + layer.offsets.weights, end = theta.begin() + layer.offsets.bias;
        const auto count = static_cast<double>(end - begin);
        double mean = 0, square = 0;
        for (auto w = begin; w != end; ++w) {
            EXPECT_LE(std::fabs(*w), limit);
            mean += *w / count;
            square += *w * *w / count;
        }
        EXPECT_NEAR(mean, 0, 5 * limit / std::sqrt(3 * count));
        EXPECT_NEAR(square, limit * limit / 3,
                    5 * limit * limit * std::sqrt(4.0 / 45 / count));  // Var x² = 4/45 limit⁴
        EXPECT_GT(*std::max_element(begin, end), 0.9 * limit);
        for (Index i = 0; i < layer.units; ++i) {
            EXPECT_EQ(theta[static_cast<std::size_t>(layer.offsets.bias + i)], 0);
            // 35 normal numbers: none beyond 6 standard deviations (p = 7e-8).
            const double beta = theta[static_cast<std::size_t>(layer.offsets.beta + i)];
            EXPECT_NEAR(beta, 0.5, 0.6);
            EXPECT_NE(beta, 0.5);
        }
    }
}

/// Initial weights of layer l, row by row.
std::vector<double> weights(const Network& network, std::size_t l, const InitialWeights& initial) {
    const std::vector<double> theta = initial_theta(network, {}, 3, initial);
    const LayerOffsets& at = network.layers()[l].offsets;
    return {theta.begin() + at.weights, theta.begin() + at.bias};
}

struct Moments {
    double mean = 0, variance = 0, kurtosis = 0, largest = 0;
};

Moments moments(const std::vector<double>& values) {
    Moments m;
    const auto count = static_cast<double>(values.size());
    for (const double v : values) {
        m.mean += v / count;
        m.variance += v * v / count;
        m.largest = std::max(m.largest, std::fabs(v));
    }
    for (const double v : values) m.kurtosis += v * v * v * v / (m.variance * m.variance * count);
    return m;
}

TEST(InitialTheta, HasTheVarianceOfItsDistribution) {
    // A layer of k = 90 inputs and n = 40 units: 3600 weights.
    using enum WeightDistribution;
    struct Case {
        InitialWeights initial;
        double variance;
        bool uniform;
    };
    const Network network({.widths = {90, 40, 1}, .hidden_activations = {relu}});
    for (const Case& c : {Case{{xavier_uniform}, 2.0 / 130, true}, Case{{xavier_normal}, 2.0 / 130, false},
                          Case{{he_uniform}, 2.0 / 90, true}, Case{{he_normal}, 2.0 / 90, false},
                          Case{{lecun_uniform}, 1.0 / 90, true}, Case{{lecun_normal}, 1.0 / 90, false},
                          Case{{gaussian, 1.5, 0.3}, 2.25 / 90, false}}) {
        SCOPED_TRACE(std::string(names_of(c.initial.distribution).name));
        const Moments m = moments(weights(network, 0, c.initial));
        // Five standard deviations: Var x = v, Var x² = (κ − 1) v², with κ = 9/5 or 3. Var x⁴ is 96 v⁴ of a
        // normal number; the kurtosis of 3600 has a standard deviation of 2 √(6/3600) = 0.08.
        const double kurtosis = c.uniform ? 1.8 : 3.0, count = 3600;
        EXPECT_NEAR(m.mean, 0, 5 * std::sqrt(c.variance / count));
        EXPECT_NEAR(m.variance, c.variance, 5 * c.variance * std::sqrt((kurtosis - 1) / count));
        EXPECT_NEAR(m.kurtosis, kurtosis, 0.4);
        if (c.uniform) {
            EXPECT_LE(m.largest, std::sqrt(3 * c.variance));
        }
    }
}

TEST(InitialTheta, BiasesHaveSigmaB) {
    const Network network({.widths = {2, 900, 1}, .hidden_activations = {esp}});
    const LayerOffsets& at = network.layers()[0].offsets;
    const auto biases = [&](const InitialWeights& initial) {
        const std::vector<double> theta = initial_theta(network, {}, 3, initial);
        return std::vector<double>(theta.begin() + at.bias, theta.begin() + at.bias + 900);
    };
    for (const WeightDistribution distribution : all_values<WeightDistribution>) {
        const Moments m = moments(biases({distribution, 1.0, 0.5}));
        if (!has_sigmas(distribution)) {
            EXPECT_EQ(m.largest, 0);
            continue;
        }
        EXPECT_NEAR(m.mean, 0, 5 * 0.5 / 30);
        EXPECT_NEAR(m.variance, 0.25, 5 * 0.25 * std::sqrt(2.0 / 900));
        EXPECT_EQ(moments(biases({distribution, 1.0, 0})).largest, 0);
    }
    // The random numbers of biases, β and weights are not the same ones.
    const std::vector<double> theta = initial_theta(network, {.mean = 0, .standard_deviation = 1}, 3,
                                                    {WeightDistribution::gaussian, std::sqrt(2.0), 1});
    double products = 0;
    for (Index i = 0; i < 900; ++i)
        products +=
            theta[static_cast<std::size_t>(at.bias + i)] * theta[static_cast<std::size_t>(at.beta + i)];
    EXPECT_NEAR(products / 900, 0, 5.0 / 30);
}

TEST(InitialTheta, OrthogonalMatrices) {
    // As many rows as columns, fewer and more; a single weight has size σ_w.
    for (const auto& [k, n] : {std::pair<Index, Index>{7, 7}, {30, 12}, {12, 30}, {64, 25}, {1, 1}}) {
        const Network network({.widths = {k, n, 1}, .hidden_activations = {relu}});
        const auto w = weights(network, 0, {WeightDistribution::orthogonal, 1.25, 0});
        const Index vectors = std::min(n, k), length = std::max(n, k);
        const auto entry = [&](Index vector, Index i) {
            return w[static_cast<std::size_t>(n <= k ? vector * k + i : i * k + vector)];
        };
        for (Index a = 0; a < vectors; ++a)
            for (Index b = 0; b < vectors; ++b) {
                double product = 0;
                for (Index i = 0; i < length; ++i) product += entry(a, i) * entry(b, i);
                // Orthogonal within a few units of rounding for each of `length` products.
                EXPECT_NEAR(product, a == b ? 1.25 * 1.25 : 0.0,
                            4 * static_cast<double>(length) * std::numeric_limits<double>::epsilon())
                    << n << " x " << k << ", " << a << ", " << b;
            }
    }
    // Uniformly distributed: entries of both signs, and the sum of squares of a row of 40 in 1600 is 40/1600.
    const Network network({.widths = {40, 40, 1}, .hidden_activations = {relu}});
    const Moments m = moments(weights(network, 0, {WeightDistribution::orthogonal, 1, 0}));
    EXPECT_NEAR(m.mean, 0, 5 * std::sqrt(40.0) / 1600);  // the sum of n² entries has the variance n
    EXPECT_NEAR(m.kurtosis, 3, 0.5);
}

TEST(InitialTheta, DependsOnTheSeedAlone) {
    const Network network({.widths = {3, 4, 2}, .hidden_activations = {esp}});
    EXPECT_EQ(initial_theta(network, {}, 1), initial_theta(network, {}, 1));
    EXPECT_NE(initial_theta(network, {}, 1), initial_theta(network, {}, 2));
    // The distribution of β does not change the weights.
    auto a = initial_theta(network, {.mean = 0, .standard_deviation = 0}, 1);
    auto b = initial_theta(network, {.mean = 3, .standard_deviation = 1}, 1);
    const Layer& hidden = network.layers()[0];
    EXPECT_EQ(a[static_cast<std::size_t>(hidden.offsets.beta)], 0);
    a.resize(static_cast<std::size_t>(hidden.offsets.beta));
    b.resize(static_cast<std::size_t>(hidden.offsets.beta));
    EXPECT_EQ(a, b);
}

TEST(InitialTheta, AliasesOfKerasAndPyTorch) {
    using enum WeightDistribution;
    for (const auto& [name, value] : {std::pair{"glorot_uniform", xavier_uniform},
                                      {"Xavier", xavier_uniform},
                                      {"He", he_normal},
                                      {"kaiming-uniform", he_uniform},
                                      {"LeCun", lecun_normal},
                                      {"normal", gaussian}})
        EXPECT_EQ(value_from_name<WeightDistribution>(name), value) << name;
}

}  // namespace
}  // namespace espectra
