#include "espectra/experiments/data/data_set.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace espectra {
namespace {

using Doubles = std::vector<double>;
using Labels = std::vector<int>;

TEST(Digits, AreTheKnownOnes) {
    const RawData raw = load_digits();
    EXPECT_EQ(raw.source, "digits");
    EXPECT_EQ(raw.examples, 1797);
    EXPECT_EQ(raw.feature_count, 64);
    EXPECT_EQ(raw.classes, 10);
    ASSERT_EQ(raw.features.size(), 1797u * 64u);
    const Doubles first = {0, 0,  5, 13, 9,  1, 0,  0, 0,  0,  13, 15, 10, 15, 5, 0,  0,  3, 15, 2, 0,  11,
                           8, 0,  0, 4,  12, 0, 0,  8, 8,  0,  0,  5,  8,  0,  0, 9,  8,  0, 0,  4, 11, 0,
                           1, 12, 7, 0,  0,  2, 14, 5, 10, 12, 0,  0,  0,  0,  6, 13, 10, 0, 0,  0};
    EXPECT_TRUE(std::equal(first.begin(), first.end(), raw.features.begin()));
    EXPECT_EQ(Labels(raw.labels.begin(), raw.labels.begin() + 12),
              (Labels{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1}));
    EXPECT_EQ(raw.labels.back(), 8);
    std::vector<int> count(10);
    for (const int label : raw.labels) ++count[static_cast<std::size_t>(label)];
    EXPECT_EQ(count, (std::vector<int>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}));
    const auto [low, high] = std::minmax_element(raw.features.begin(), raw.features.end());
    EXPECT_EQ(*low, 0.0);
    EXPECT_EQ(*high, 16.0);
    EXPECT_TRUE(
        std::all_of(raw.features.begin(), raw.features.end(), [](double x) { return x == std::floor(x); }));
}

/// Runs the perceptron rule with a bias until an epoch makes no mistake; returns false after `epochs`.
bool perceptron_converges(const RawData& raw, int epochs) {
    double w[3] = {0, 0, 0};
    for (int epoch = 0; epoch < epochs; ++epoch) {
        int mistakes = 0;
        for (std::size_t i = 0; i < raw.labels.size(); ++i) {
            const double sign = raw.labels[i] == 1 ? 1.0 : -1.0;
            const double x[3] = {raw.features[2 * i], raw.features[2 * i + 1], 1.0};
            if (sign * (w[0] * x[0] + w[1] * x[1] + w[2] * x[2]) > 0) continue;
            for (int k = 0; k < 3; ++k) w[k] += sign * x[k];
            ++mistakes;
        }
        if (mistakes == 0) return true;
    }
    return false;
}

/// Returns the best accuracy of any line among 360 directions × all offsets.
double best_linear_accuracy(const RawData& raw) {
    double best = 0.0;
    for (int degree = 0; degree < 360; ++degree) {
        const double angle = degree * M_PI / 180.0;
        std::vector<std::pair<double, int>> projected;
        for (std::size_t i = 0; i < raw.labels.size(); ++i)
            projected.emplace_back(
                std::cos(angle) * raw.features[2 * i] + std::sin(angle) * raw.features[2 * i + 1],
                raw.labels[i]);
        std::sort(projected.begin(), projected.end());
        auto right = std::count(raw.labels.begin(), raw.labels.end(), 1);
        for (const auto& [position, label] : projected) {
            right += label == 0 ? 1 : -1;
            best = std::max(best, static_cast<double>(right) / static_cast<double>(raw.examples));
        }
    }
    return best;
}

void expect_planar(const RawData& raw, Index zeros, Index ones, double width, double height) {
    EXPECT_EQ(raw.examples, zeros + ones);
    EXPECT_EQ(raw.feature_count, 2);
    EXPECT_EQ(raw.classes, 2);
    EXPECT_EQ(std::count(raw.labels.begin(), raw.labels.end(), 0), zeros);
    EXPECT_EQ(std::count(raw.labels.begin(), raw.labels.end(), 1), ones);
    ASSERT_EQ(static_cast<Index>(raw.features.size()), 2 * raw.examples);
    for (std::size_t i = 0; i < raw.features.size(); i += 2) {
        EXPECT_TRUE(raw.features[i] >= 0.0 && raw.features[i] <= width);
        EXPECT_TRUE(raw.features[i + 1] >= 0.0 && raw.features[i + 1] <= height);
    }
}

TEST(Generators, LinearIsSeparableByALine) {
    for (const std::uint64_t seed : {0u, 1u, 2u, 12345u}) {
        const RawData raw = generate_linear(seed);
        expect_planar(raw, 30, 21, 4.5, 5.0);
        EXPECT_TRUE(perceptron_converges(raw, 100000)) << seed;
    }
}

TEST(Generators, NonlinearIsNot) {
    for (const std::uint64_t seed : {0u, 1u, 2u}) {
        const RawData raw = generate_nonlinear(seed);
        expect_planar(raw, 383, 480, 1.0, 1.0);
        EXPECT_FALSE(perceptron_converges(raw, 1000)) << seed;
        const double accuracy = best_linear_accuracy(raw);
        EXPECT_GT(accuracy, 0.6) << seed;
        EXPECT_LT(accuracy, 0.9) << seed;
    }
}

TEST(Generators, DependOnTheSeedOnly) {
    EXPECT_EQ(generate_linear(7).features, generate_linear(7).features);
    EXPECT_NE(generate_linear(7).features, generate_linear(8).features);
    EXPECT_EQ(generate_nonlinear(7).features, generate_nonlinear(7).features);
    EXPECT_NE(generate_nonlinear(7).features, generate_nonlinear(8).features);
}

}  // namespace
}  // namespace espectra
