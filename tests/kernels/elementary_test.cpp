// Errors of the elementary functions in units in the last place (ulp), against long double and mpmath.

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
    // For any payload of the NaN.
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

TEST(Expm1Nonpositive, IsWithinThreeUlp) {
    const RandomStream random(1, 304);
    double worst = 0;
    for (int i = 0; i < samples; ++i) {
        const double u = random.uniform(static_cast<std::uint64_t>(i));
        const double x = i % 3 == 0 ? -std::exp2(-1000.0 * u) : i % 3 == 1 ? -2.0 * u : -50.0 * u;
        worst = std::max(worst, ulps(expm1_nonpositive(x), std::expm1(static_cast<long double>(x))));
    }
    EXPECT_LE(worst, 3.0);
    RecordProperty("worst_ulp", std::to_string(worst));
    EXPECT_EQ(expm1_nonpositive(0.0), 0.0);
    EXPECT_EQ(expm1_nonpositive(-1e300), -1.0);
    EXPECT_TRUE(std::isnan(expm1_nonpositive(std::nan("0x123"))));
}

// Where |x| ≤ 10 the rounding of x/√2 in long double changes Φ by less than 0.02 ulp of a double.
TEST(StandardNormal, IsWithinFiveUlp) {
    const RandomStream random(1, 305);
    const long double root = std::sqrt(2.0L), density_at_0 = 1 / std::sqrt(2 * std::acos(-1.0L));
    double worst = 0, worst_density = 0;
    for (int i = 0; i < samples; ++i) {
        const double u = random.uniform(static_cast<std::uint64_t>(i));
        const double x = i % 3 == 0 ? -10.0 * u : i % 3 == 1 ? -2.0 * u : 10.0 * u;
        const Normal normal = standard_normal(x);
        const auto exact = static_cast<long double>(x);
        worst = std::max(worst, ulps(normal.cumulative, std::erfc(-exact / root) / 2));
        worst_density =
            std::max(worst_density, ulps(normal.density, density_at_0 * std::exp(-exact * exact / 2)));
    }
    EXPECT_LE(worst, 5.0);
    EXPECT_LE(worst_density, 3.0);
    RecordProperty("worst_ulp", std::to_string(worst));
    RecordProperty("worst_ulp_of_density", std::to_string(worst_density));
}

TEST(StandardNormal, KeepsItsRelativePrecisionInTheTail) {
    // x, Φ(x) and the density by mpmath with 60 digits; rounding them to double adds half an ulp.
    const double rows[][3] = {{-37.5, 4.6053530095819548e-308, 1.7282337322841052e-306},
                              {-37.0, 5.7255712225245768e-300, 2.1200065515246056e-298},
                              {-30.0, 4.9067139271481871e-198, 1.4736461348785475e-196},
                              {-20.25, 1.77619986494957e-91, 3.6055338157275848e-90},
                              {-10.0, 7.6198530241605261e-24, 7.6945986267064193e-23},
                              {-5.5, 1.8989562465887719e-8, 1.0769760042543276e-7},
                              {-2.0, 0.022750131948179207, 0.053990966513188052},
                              {-1.0, 0.15865525393145705, 0.24197072451914335},
                              {-0.75, 0.2266273523768682, 0.3011374321548044},
                              {-0.125, 0.45026177516988711, 0.39583768694474948},
                              {0.0, 0.5, 0.39894228040143268},
                              {0.5, 0.6914624612740131, 0.35206532676429948},
                              {3.0, 0.99865010196836991, 0.0044318484119380072},
                              {8.25, 0.99999999999999992, 6.6271374559687515e-16}};
    for (const auto& [x, cumulative, density] : rows) {
        EXPECT_LE(ulps(standard_normal(x).cumulative, cumulative), 5.5) << x;
        EXPECT_LE(ulps(standard_normal(x).density, density), 3.5) << x;
    }
}

TEST(StandardNormal, HasItsLimits) {
    EXPECT_NEAR(standard_normal(-38.0).cumulative, 2.8854283600687843e-316, 3e-316);  // e^−708 is the last
    for (const double x : {40.0, 1e8, 1e300, std::numeric_limits<double>::infinity()}) {
        EXPECT_EQ(standard_normal(x).cumulative, 1.0);
        EXPECT_EQ(standard_normal(-x).cumulative, 0.0);
        EXPECT_EQ(standard_normal(x).density, 0.0);
    }
    EXPECT_TRUE(std::isnan(standard_normal(std::nan("")).cumulative));
    EXPECT_TRUE(std::isnan(standard_normal(std::nan("")).density));
}

}  // namespace
}  // namespace espectra
