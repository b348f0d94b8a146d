// Errors of the elementary functions against long double, in units in the last place (ulp).

#include "espectra/kernels/math/elementary.hpp"

#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace espectra {
namespace {

/// |actual − exact| in units of the last place of the exact value.
double ulps(double actual, long double exact) {
    const double rounded = static_cast<double>(exact);
    const double unit =
        std::nextafter(std::fabs(rounded), std::numeric_limits<double>::infinity()) - std::fabs(rounded);
    return static_cast<double>(std::fabs(static_cast<long double>(actual) - exact) /
                               static_cast<long double>(unit));
}

constexpr int samples = 200000;

TEST(ExpNonpositive, IsWithinOneUlp) {
    const RandomStream random(1, 300);
    double worst = 0;
    for (int i = 0; i < samples; ++i) {
        // Half of the points near zero, half over the whole range.
        const double u = random.uniform(static_cast<std::uint64_t>(i));
        const double x = i % 2 ? -708.0 * u : -std::exp2(-60.0 * u);
        worst = std::max(worst, ulps(exp_nonpositive(x), std::exp(static_cast<long double>(x))));
    }
    EXPECT_LE(worst, 1.0);
    RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(ExpNonpositive, HasItsLimits) {
    EXPECT_EQ(exp_nonpositive(0.0), 1.0);
    EXPECT_EQ(exp_nonpositive(-0.0), 1.0);
    EXPECT_EQ(exp_nonpositive(std::nextafter(-708.0, -1e3)), 0.0);
    EXPECT_EQ(exp_nonpositive(-1e6), 0.0);
    EXPECT_EQ(exp_nonpositive(-std::numeric_limits<double>::infinity()), 0.0);
    EXPECT_GT(exp_nonpositive(-708.0), 0.0);
    EXPECT_LT(exp_nonpositive(-708.0), 4e-308);
    // Whatever the payload of the NaN.
    for (const char* payload : {"", "1", "0x123", "0x3ff", "0x7ffffffff"})
        EXPECT_TRUE(std::isnan(exp_nonpositive(std::nan(payload)))) << payload;
}

TEST(Log1pUnit, IsWithinTwoUlp) {
    const RandomStream random(1, 301);
    double worst = 0;
    for (int i = 0; i < samples; ++i) {
        const double u = random.uniform(static_cast<std::uint64_t>(i));
        const double x = i % 2 ? u : std::exp2(-1000.0 * u);
        worst = std::max(worst, ulps(log1p_unit(x), std::log1p(static_cast<long double>(x))));
    }
    EXPECT_LE(worst, 2.0);
    RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(Log1pUnit, HasItsLimits) {
    EXPECT_EQ(log1p_unit(0.0), 0.0);
    EXPECT_DOUBLE_EQ(log1p_unit(1.0), 0.69314718055994530942);
    EXPECT_TRUE(std::isnan(log1p_unit(std::numeric_limits<double>::quiet_NaN())));
}

TEST(Log1pNonnegative, IsWithinThreeUlp) {
    const RandomStream random(1, 302);
    double worst = 0;
    for (int i = 0; i < samples; ++i) {
        const double u = random.uniform(static_cast<std::uint64_t>(i));
        const double x = i % 3 == 0 ? std::exp2(-1000.0 * u) : i % 3 == 1 ? 4.0 * u : std::exp2(1000.0 * u);
        worst = std::max(worst, ulps(log1p_nonnegative(x), std::log1p(static_cast<long double>(x))));
    }
    EXPECT_LE(worst, 3.0);
    RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(Log1pNonnegative, HasItsLimits) {
    EXPECT_EQ(log1p_nonnegative(0.0), 0.0);
    EXPECT_DOUBLE_EQ(log1p_nonnegative(std::nextafter(1.0, 2.0)), 0.69314718055994530942);
    EXPECT_DOUBLE_EQ(log1p_nonnegative(3.0), 2 * 0.69314718055994530942);
    for (const char* payload : {"", "1", "0x7ffffffff"})
        EXPECT_TRUE(std::isnan(log1p_nonnegative(std::nan(payload)))) << payload;
}

TEST(HyperbolicTangent, IsWithinThreeUlp) {
    const RandomStream random(1, 303);
    double worst = 0;
    for (int i = 0; i < samples; ++i) {
        const double u = random.uniform(static_cast<std::uint64_t>(i));
        const double x = i % 3 == 0 ? -std::exp2(-1000.0 * u) : i % 3 == 1 ? 2.0 * u : 25.0 * u;
        worst = std::max(worst, ulps(hyperbolic_tangent(x), std::tanh(static_cast<long double>(x))));
    }
    EXPECT_LE(worst, 3.0);
    RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(HyperbolicTangent, HasItsLimits) {
    EXPECT_EQ(hyperbolic_tangent(0.0), 0.0);
    EXPECT_TRUE(std::signbit(hyperbolic_tangent(-0.0)));
    for (const double x : {20.0, 1e3, std::numeric_limits<double>::infinity()}) {
        EXPECT_EQ(hyperbolic_tangent(x), 1.0);
        EXPECT_EQ(hyperbolic_tangent(-x), -1.0);
    }
    EXPECT_TRUE(std::isnan(hyperbolic_tangent(std::nan("0x123"))));
}

}  // namespace
}  // namespace espectra
