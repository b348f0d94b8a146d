// Random numbers against the definition of Philox, and their distributions.

#include "espectra/runtime/random.hpp"

#include "espectra/runtime/view.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <type_traits>
#include <vector>

namespace espectra {
namespace {

using Words = std::array<std::uint32_t, 4>;

/// Philox 4×32-10 from the paper (Salmon et al., SC'11, section 3.3), written down a second time.
Words naive_philox(Words x, std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53} * x[0], b = std::uint64_t{0xCD9E8D57} * x[2];
        x = {static_cast<std::uint32_t>(b >> 32) ^ x[1] ^ key[0], static_cast<std::uint32_t>(b),
             static_cast<std::uint32_t>(a >> 32) ^ x[3] ^ key[1], static_cast<std::uint32_t>(a)};
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
    return x;
}

TEST(RandomStream, KnownAnswers) {
    // kat_vectors of Random123, philox4x32 10.
    EXPECT_EQ(naive_philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(naive_philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(naive_philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
    EXPECT_EQ(RandomStream(0, 0).bits(0), 0xe169c58d6627e8d5u);
}

TEST(RandomStream, IsPhiloxOfSeedStreamAndIndex) {
    const std::uint64_t seed = 0x0123456789abcdef, index = 0xfedcba9876543210;
    const Words w = naive_philox({0x76543210, 0xfedcba98, 77, 0}, {0x89abcdef, 0x01234567});
    const RandomStream random(seed, 77);
    EXPECT_EQ(random.bits(index), (std::uint64_t{w[1]} << 32) | w[0]);
    EXPECT_EQ(random.uniform(index), std::ldexp(static_cast<double>(random.bits(index) >> 11), -53));
    const double u = std::ldexp(static_cast<double>(random.bits(index) >> 11) + 1, -53);
    const double v = std::ldexp(static_cast<double>(((std::uint64_t{w[3]} << 32) | w[2]) >> 11), -53);
    EXPECT_DOUBLE_EQ(random.normal(index), std::sqrt(-2 * std::log(u)) * std::cos(2 * std::acos(-1.0) * v));
}

TEST(RandomStream, StreamsAndSeedsDiffer) {
    const std::vector<std::uint64_t> bits = {RandomStream(1, 0).bits(0), RandomStream(1, 1).bits(0),
                                             RandomStream(2, 0).bits(0), RandomStream(1, 0).bits(1),
                                             RandomStream(1ull << 32, 0).bits(0)};
    for (std::size_t i = 0; i < bits.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) EXPECT_NE(bits[i], bits[j]);
}

// Sample moments of n numbers are normally distributed about the true ones: five standard deviations (p =
// 6e-7).
constexpr int samples = 200'000;
double five_deviations(double variance) { return 5 * std::sqrt(variance / samples); }

TEST(RandomStream, UniformMoments) {
    const RandomStream random(3, 4);
    double mean = 0, square = 0, neighbours = 0, last = 0.5;
    for (int i = 0; i < samples; ++i) {
        const double x = random.uniform(static_cast<std::uint64_t>(i));
        ASSERT_TRUE(x >= 0 && x < 1);
        mean += x / samples;
        square += x * x / samples;
        neighbours += (x - 0.5) * (last - 0.5) / samples;
        last = x;
    }
    EXPECT_NEAR(mean, 0.5, five_deviations(1.0 / 12));                 // Var x = 1/12
    EXPECT_NEAR(square, 1.0 / 3, five_deviations(1.0 / 5 - 1.0 / 9));  // Var x² = E x⁴ − (E x²)²
    EXPECT_NEAR(neighbours, 0, five_deviations(1.0 / 144));            // independent: (1/12)²
}

TEST(RandomStream, NormalMoments) {
    const RandomStream random(3, 5);
    double moments[5] = {};
    for (int i = 0; i < samples; ++i) {
        const double x = random.normal(static_cast<std::uint64_t>(i));
        double power = 1;
        for (double& moment : moments) moment += power / samples, power *= x;
    }
    // E x^k = 0, 1, 0, 3 and Var x^k = E x^2k − (E x^k)² = 1, 3 − 1, 15, 105 − 9.
    EXPECT_NEAR(moments[1], 0, five_deviations(1));
    EXPECT_NEAR(moments[2], 1, five_deviations(2));
    EXPECT_NEAR(moments[3], 0, five_deviations(15));
    EXPECT_NEAR(moments[4], 3, five_deviations(96));
}

TEST(RandomStream, ShufflesFairly) {
    // Where number 0 goes among 5 places, 10 000 times: binomial, standard deviation √(n p (1 − p)) = 40.
    std::array<int, 5> places{};
    for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
        std::array<int, 5> numbers = {0, 1, 2, 3, 4};
        RandomStream(seed, split_stream).shuffle(numbers);
        ++places[static_cast<std::size_t>(std::find(numbers.begin(), numbers.end(), 0) - numbers.begin())];
        std::sort(numbers.begin(), numbers.end());
        ASSERT_EQ(numbers, (std::array<int, 5>{0, 1, 2, 3, 4}));
    }
    for (const int count : places) EXPECT_NEAR(count, 2000, 5 * 40);
}

TEST(RandomStream, ShuffleIsReproducibleAndTakesAnySize) {
    std::vector<int> numbers(1000), again(1000), other(1000), none, one = {9};
    for (auto* range : {&numbers, &again, &other}) std::iota(range->begin(), range->end(), 0);
    const auto sorted = numbers;
    RandomStream(5, split_stream).shuffle(numbers);
    RandomStream(5, split_stream).shuffle(again);
    RandomStream(6, split_stream).shuffle(other);
    RandomStream(5, split_stream).shuffle(none);
    RandomStream(5, split_stream).shuffle(one);
    EXPECT_EQ(numbers, again);
    EXPECT_NE(numbers, other);
    EXPECT_NE(numbers, sorted);
    EXPECT_EQ(one, std::vector<int>{9});
    EXPECT_TRUE(std::is_permutation(numbers.begin(), numbers.end(), sorted.begin()));
}

}  // namespace
}  // namespace espectra
