// The activation table: hand-worked numbers, numbers by mpmath, closed forms in long double, limits.

#include "espectra/kernels/math/activation_jet.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace espectra {
namespace {

using Real = long double;  // 64 bits of mantissa: 2048 times finer than what is tested
constexpr double eps = std::numeric_limits<double>::epsilon();

constexpr auto all = all_values<Activation>;

ActivationJet jet_of(Activation activation, double h, double beta) {
    return visit_activation(activation, [&](auto a) { return activation_jet<a.value>(h, beta); });
}

using Jet = std::array<double, 6>;  // φ, φ_h, φ_β, φ_hh, φ_hβ, φ_ββ
Jet as_array(const ActivationJet& jet) {
    return {jet.value, jet.d_h, jet.d_beta, jet.d_hh, jet.d_hbeta, jet.d_betabeta};
}

void expect_jet(Activation activation, double h, double beta, const Jet& expected) {
    const Jet actual = as_array(jet_of(activation, h, beta));
    for (std::size_t i = 0; i < 6; ++i)
        EXPECT_NEAR(actual[i], expected[i], 8 * eps * std::max(1.0, std::fabs(expected[i])))
            << activation_name(activation) << "(" << h << ", " << beta << "), part " << i;
}

TEST(Activation, ByHandAtZeroPreactivation) {
    const double b = 3;  // σ = 1/2, σ′ = 1/4, σ″ = 0
    expect_jet(Activation::linear, 0, b, {0, b, 0, 0, 1, 0});
    expect_jet(Activation::sigmoid, 0, b, {0.5, b / 4, 0, 0, 0.25, 0});
    expect_jet(Activation::tanh, 0, b, {0, b, 0, 0, 1, 0});
    expect_jet(Activation::esp, 0, b, {0, 0.5, 0, b / 2, 0, 0});
    const double log2 = std::log(2.0);  // φ = log(1 + e^{βh})/β at h = 0: log 2/β
    expect_jet(Activation::softplus, 0, b,
               {log2 / b, 0.5, -log2 / (b * b), b / 4, 0, 2 * log2 / (b * b * b)});
}

TEST(Activation, ByHandAtZeroBeta) {
    const double h = 1.5;
    expect_jet(Activation::linear, h, 0, {0, 0, h, 0, 1, 0});
    expect_jet(Activation::sigmoid, h, 0, {0.5, 0, h / 4, 0, 0.25, 0});
    expect_jet(Activation::tanh, h, 0, {0, 0, h, 0, 1, 0});
    expect_jet(Activation::esp, h, 0, {h / 2, 0.5, h * h / 4, 0, h / 2, 0});
    expect_jet(Activation::esp, -h, 0, {-h / 2, 0.5, h * h / 4, 0, -h / 2, 0});
}

TEST(Activation, ByHandWhereTheGateIsAQuarter) {
    // e^{βh} = 1/3: σ = 1/4, σ′ = 3/16, σ″ = σ′(1 − 2σ) = 3/32; tanh(βh) = (1/9 − 1)/(1/9 + 1) = −4/5.
    const double b = 2, h = -std::log(3.0) / b, x = b * h;
    const double s = 1. / 4, s1 = 3. / 16, s2 = 3. / 32;
    expect_jet(Activation::sigmoid, h, b, {s, b * s1, h * s1, b * b * s2, s1 + x * s2, h * h * s2});
    expect_jet(
        Activation::esp, h, b,
        {h * s, s + x * s1, h * h * s1, 2 * b * s1 + b * x * s2, 2 * h * s1 + h * x * s2, h * h * h * s2});
    const double t = -4. / 5, t1 = 9. / 25, t2 = 72. / 125;  // 1 − t², −2t(1 − t²)
    expect_jet(Activation::tanh, h, b, {t, b * t1, h * t1, b * b * t2, t1 + x * t2, h * h * t2});
}

TEST(Activation, KinkOfRelu) {
    expect_jet(Activation::relu, 0.0, 1, {0, 0, 0, 0, 0, 0});
    expect_jet(Activation::relu, -0.0, 1, {0, 0, 0, 0, 0, 0});
    const double tiny = std::numeric_limits<double>::denorm_min();
    EXPECT_EQ(jet_of(Activation::relu, tiny, 1).d_h, 1);
    EXPECT_EQ(jet_of(Activation::relu, tiny, 1).value, tiny);
    EXPECT_EQ(jet_of(Activation::relu, -tiny, 1).d_h, 0);
    expect_jet(Activation::relu, 7, 5, {7, 1, 0, 0, 0, 0});
    expect_jet(Activation::relu, -7, 5, {0, 0, 0, 0, 0, 0});
}

TEST(Activation, LeakyReluByHand) {
    expect_jet(Activation::leaky_relu, 7, 0.25, {7, 1, 0, 0, 0, 0});
    expect_jet(Activation::leaky_relu, -8, 0.25, {-2, 0.25, -8, 0, 1, 0});
    expect_jet(Activation::leaky_relu, 0, 0.25, {0, 0.25, 0, 0, 1, 0});
    EXPECT_TRUE(std::isnan(jet_of(Activation::leaky_relu, std::nan(""), 0.25).value));
}

TEST(Activation, KinkOfElu) {
    expect_jet(Activation::elu, 0, 1, {0, 1, 0, 1, 1, 0});
    expect_jet(Activation::elu, std::numeric_limits<double>::denorm_min(), 3, {0, 1, 0, 0, 0, 0});
    EXPECT_TRUE(std::isnan(jet_of(Activation::elu, std::nan(""), 1).value));
}

// Derivatives of h·erfc(−βh/√2)/2 and β(e^h − 1) by mpmath, differentiated numerically with 60 digits.
TEST(Activation, EqualsNumbersOfHighPrecision) {
    struct Row {
        Activation activation;
        double h, beta;
        Jet jet;
    };
    const Row rows[] = {
        {Activation::gelu,
         0.5,
         1.0,
         {0.34573123063700655, 0.86749512465616284, 0.088016331691074869, 0.61611432183752409,
          0.30805716091876204, -0.022004082922768717}},
        {Activation::gelu,
         2.0,
         0.75,
         {1.8663855974622839, 1.1274691922299795, 0.51807038266356691, -0.024284549187354699,
          -0.064758797832945864, -1.5542111479907007}},
        {Activation::gelu,
         -0.75,
         1.0,
         {-0.16997051428265115, 7.7427826076489563e-4, 0.16938980558707748, 0.43288505872253133,
          -0.3246637940418985, -0.095281765642731081}},
        {Activation::gelu,
         -0.75,
         -1.5,
         {-0.65227911214739336, 1.108066709360853, 0.11918061324883095, -0.23339536761229394,
          -0.11669768380614697, 0.10055864242870111}},
        {Activation::gelu,
         -3.5,
         1.0,
         {-8.1420177662433763e-4, -0.0028217603536246352, 0.010690363014310561, -0.0089449976242190407,
          0.031307491684766642, -0.13095694692530437}},
        {Activation::gelu,
         -20.0,
         1.0,
         {-5.5072482372124674e-88, -1.1014360483133464e-86, 2.2083793448639053e-85, -2.1973374481395857e-85,
          4.3946748962791715e-84, -8.8335173794556211e-83}},
        {Activation::elu, 1.5, 2.0, {1.5, 1.0, 0, 0, 0, 0}},
        {Activation::elu,
         -0.5,
         1.0,
         {-0.39346934028736658, 0.60653065971263342, -0.39346934028736658, 0.60653065971263342,
          0.60653065971263342, 0}},
        {Activation::elu,
         -0x1p-30,
         1.0,
         {-9.3132257418179765e-10, 0.99999999906867743, -9.3132257418179765e-10, 0.99999999906867743,
          0.99999999906867743, 0}},
        {Activation::elu,
         -3.0,
         0.25,
         {-0.23755323290803401, 0.012446767091965986, -0.95021293163213606, 0.012446767091965986,
          0.049787068367863943, 0}},
        {Activation::elu,
         -30.0,
         2.0,
         {-1.9999999999998128, 1.8715245937680349e-13, -0.99999999999990642, 1.8715245937680349e-13,
          9.3576229688401746e-14, 0}},
    };
    for (const Row& row : rows) {
        const Jet actual = as_array(jet_of(row.activation, row.h, row.beta));
        // φ_h of gelu is a sum that nearly cancels at h = −0.75.
        for (std::size_t i = 0; i < 6; ++i)
            EXPECT_NEAR(actual[i], row.jet[i],
                        8 * eps * std::fabs(row.jet[i]) + (i == 1 && row.h == -0.75 ? eps : 0))
                << activation_name(row.activation) << "(" << row.h << ", " << row.beta << "), part " << i;
    }
}

/// The definitions of the table, in long double, each part written so that nothing cancels; `scale` is the
/// sum of the sizes of the terms that may cancel in it.
struct Reference {
    std::array<Real, 6> value{}, scale{};
};

Reference reference(Activation activation, Real h, Real b) {
    const Real x = b * h, s = 1 / (1 + std::exp(-x)), c = 1 / (1 + std::exp(x));
    const Real s1 = s * c, s2 = s1 * (c - s);
    const Real t = std::tanh(x), t1 = 1 / (std::cosh(x) * std::cosh(x)), t2 = -2 * t * t1;
    const Real log_z = std::max(x, Real{0}) + std::log1p(std::exp(-std::fabs(x)));
    Reference r;
    switch (activation) {
        case Activation::linear:
            r.value = {b * h, b, h, 0, 1, 0};
            break;
        case Activation::relu:
            r.value = {h > 0 ? h : 0, h > 0 ? Real{1} : 0, 0, 0, 0, 0};
            break;
        case Activation::sigmoid:
            r.value = {s, b * s1, h * s1, b * b * s2, s1 + x * s2, h * h * s2};
            r.scale[4] = s1 + std::fabs(x * s2);
            break;
        case Activation::tanh:
            r.value = {t, b * t1, h * t1, b * b * t2, t1 + x * t2, h * h * t2};
            r.scale[4] = t1 + std::fabs(x * t2);
            break;
        case Activation::esp:
            r.value = {
                h * s,         s + x * s1, h * h * s1, 2 * b * s1 + b * x * s2, 2 * h * s1 + h * x * s2,
                h * h * h * s2};
            r.scale[1] = s + std::fabs(x * s1);
            r.scale[3] = std::fabs(2 * b * s1) + std::fabs(b * x * s2);
            r.scale[4] = std::fabs(2 * h * s1) + std::fabs(h * x * s2);
            break;
        case Activation::softplus:
            r.value = {log_z / b, s,      (h * s - log_z / b) / b,
                       b * s1,    h * s1, (h * h * s1 - 2 * (h * s - log_z / b) / b) / b};
            r.scale[2] = (std::fabs(h * s) + std::fabs(log_z / b)) / std::fabs(b);
            r.scale[5] = (h * h * s1 + 2 * r.scale[2]) / std::fabs(b);
            break;
        case Activation::gelu: {
            const Real d = std::exp(-x * x / 2) / std::sqrt(2 * std::acos(Real{-1}));
            const Real distribution = std::erfc(-x / std::sqrt(Real{2})) / 2;
            r.value = {h * distribution,    distribution + x * d, h * h * d,
                       b * d * (2 - x * x), h * d * (2 - x * x),  -h * h * h * x * d};
            r.scale[1] = distribution + std::fabs(x * d);
            r.scale[3] = std::fabs(b) * d * (2 + x * x);
            r.scale[4] = std::fabs(h) * d * (2 + x * x);
            break;
        }
        case Activation::elu:
            if (h > 0)
                r.value = {h, 1, 0, 0, 0, 0};
            else
                r.value = {b * std::expm1(h), b * std::exp(h), std::expm1(h),
                           b * std::exp(h),   std::exp(h),     0};
            break;
        case Activation::leaky_relu:
            r.value = {h > 0 ? h : b * h, h > 0 ? 1 : b, h > 0 ? 0 : h, 0, h > 0 ? Real{0} : Real{1}, 0};
            break;
    }
    // 1 − 2σ and tanh lose their relative precision around 0.
    if (activation == Activation::sigmoid || activation == Activation::esp)
        for (const std::size_t i : {3u, 5u}) {
            const Real unit = s1 * (i == 3 ? b * b : h * h);
            r.scale[i] =
                std::max(r.scale[i], activation == Activation::esp && i == 5 ? unit * std::fabs(h) : unit);
        }
    for (std::size_t i = 0; i < 6; ++i) r.scale[i] = std::max(r.scale[i], std::fabs(r.value[i]));
    return r;
}

std::vector<double> preactivations() {
    std::vector<double> grid = {0.0, 1e-300, 1e-12, 1e-3};
    for (double h = 0.01; h < 1500; h *= 1.37) grid.push_back(h);
    const std::size_t positive = grid.size();
    for (std::size_t i = 0; i < positive; ++i) grid.push_back(-grid[i]);
    return grid;
}

// x = βh carries one rounding, and e^{−|x|} turns a relative error of x into |x| times that: (1 + |x|) ε, and
// e^{−x²/2} into x² times that; times up to 16 operations. Below 1e-290 the results lose bits on the way to
// zero.
TEST(Activation, EqualsClosedFormsWithRelativePrecision) {
    for (const Activation activation : all)
        for (const double beta : {1.0, 0.3, -0.7, 2.5, -40.0})
            for (const double h : preactivations()) {
                const Jet actual = as_array(jet_of(activation, h, beta));
                const Reference expected = reference(activation, h, beta);
                const Real x = Real{beta} * h, loss = activation == Activation::gelu ? x * x : std::fabs(x);
                const Real tolerance = 16 * eps * (1 + loss);
                for (std::size_t i = 0; i < 6; ++i) {
                    const auto bound = static_cast<double>(tolerance * expected.scale[i]) + 1e-290;
                    ASSERT_NEAR(actual[i], static_cast<double>(expected.value[i]), bound)
                        << activation_name(activation) << "(" << h << ", " << beta << "), part " << i;
                }
            }
}

// Checks the closed forms themselves by first and second differences of φ alone, in long double. Step 2^-13:
// error h²/6 φ‴ ≈ 2.5e-9·φ‴ and, of second differences, 1e-19/step² = 7e-12.
TEST(Activation, DerivativesAreThoseOfTheValue) {
    const auto phi = [](Activation activation, Real h, Real b) {
        return reference(activation, h, b).value[0];
    };
    const Real d = std::ldexp(Real{1}, -13);
    for (const Activation activation : all)
        for (const Real beta : {Real{1}, Real{-0.6}, Real{1.7}})
            for (const Real h : {Real{-2.3}, Real{-0.4}, Real{0.2}, Real{1.1}, Real{3.9}}) {
                const auto f = [&](int i, int j) { return phi(activation, h + i * d, beta + j * d); };
                const std::array<Real, 6> differences = {
                    f(0, 0),
                    (f(1, 0) - f(-1, 0)) / (2 * d),
                    (f(0, 1) - f(0, -1)) / (2 * d),
                    (f(1, 0) - 2 * f(0, 0) + f(-1, 0)) / (d * d),
                    (f(1, 1) - f(1, -1) - f(-1, 1) + f(-1, -1)) / (4 * d * d),
                    (f(0, 1) - 2 * f(0, 0) + f(0, -1)) / (d * d)};
                const Jet actual =
                    as_array(jet_of(activation, static_cast<double>(h), static_cast<double>(beta)));
                // Third and fourth derivatives here are below 400 (softplus at β = −0.6: 24 log Z/β⁵ = 700).
                for (std::size_t i = 0; i < 6; ++i)
                    EXPECT_NEAR(actual[i], static_cast<double>(differences[i]), 2e-6)
                        << activation_name(activation) << "(" << h << ", " << beta << "), part " << i;
            }
}

TEST(Activation, IsFiniteAndHasItsLimitsAtExtremes) {
    for (const double x : {40.0, 400.0, 700.0, 745.0, 1000.0, 1e6, 1e90})
        for (const double beta : {1.0, 1e-3, 1e3})
            for (const double sign : {1.0, -1.0}) {
                const double h = sign * x / beta, on = sign > 0 ? 1 : 0;
                const double rest = x * x * std::exp(-x) * std::max(1.0, 1 / beta) * std::max(1.0, beta);
                for (const Activation activation : all)
                    for (const double part : as_array(jet_of(activation, h, beta)))
                        EXPECT_TRUE(std::isfinite(part))
                            << activation_name(activation) << " " << h << " " << beta;
                const double bound = 4 * eps * std::fabs(h) + 10 * rest;
                for (const Activation activation : {Activation::esp, Activation::softplus}) {
                    EXPECT_NEAR(jet_of(activation, h, beta).value, on * h, bound);
                    EXPECT_NEAR(jet_of(activation, h, beta).d_h, on, 4 * eps + 10 * rest);
                }
                EXPECT_NEAR(jet_of(Activation::sigmoid, h, beta).value, on, 4 * eps + rest);
                EXPECT_NEAR(jet_of(Activation::tanh, h, beta).value, sign, 4 * eps + rest);
                EXPECT_NEAR(jet_of(Activation::sigmoid, h, beta).d_h, 0,
                            10 * rest + 1e-300);  // e^x ends at 3e-308
            }
}

TEST(Activation, SaturatedUnitsAreNotDead) {
    // σ′ and tanh′ at ±30: e^{−30} and 4e^{−60}, which 1 − t² would round to zero.
    for (const double h : {30.0, -30.0}) {
        EXPECT_NEAR(jet_of(Activation::sigmoid, h, 1).d_h / std::exp(-30.0), 1, 1e-12);  // next term: e^{−30}
        EXPECT_NEAR(jet_of(Activation::tanh, h, 1).d_h / (4 * std::exp(-60.0)), 1, 64 * 60 * eps);
    }
}

TEST(Activation, EspOfLargeBetaIsRelu) {
    for (const double beta : {1e3, 1e6})
        for (const double h : {-2.0, -0.7, -0.1, 0.1, 0.3, 5.0}) {
            const Jet esp = as_array(jet_of(Activation::esp, h, beta));
            const Jet relu = as_array(jet_of(Activation::relu, h, beta));
            // The rest is (βh)² e^{−β|h|} ≤ 1e4 e^{−100} = 4e-40, times β.
            for (std::size_t i = 0; i < 6; ++i)
                EXPECT_NEAR(esp[i], relu[i], 1e-33) << h << " " << beta << " " << i;
        }
    // At the kink esp passes through 1/2 with a slope of β/2.
    EXPECT_EQ(jet_of(Activation::esp, 0, 1e6).d_h, 0.5);
    EXPECT_EQ(jet_of(Activation::esp, 0, 1e6).d_hh, 5e5);
}

TEST(Activation, EspIsHomogeneous) {
    // c·φ(h, β) = φ(c·h, β/c); powers of two: no rounding at all.
    for (const double c : {2.0, 0.25})
        for (const double h : {-3.1, 0.4, 2.2})
            EXPECT_EQ(c * jet_of(Activation::esp, h, 1.3).value,
                      jet_of(Activation::esp, c * h, 1.3 / c).value);
}

TEST(Logistic, KeepsTheRelativePrecisionOfBothParts) {
    EXPECT_EQ(logistic(0).s, 0.5);
    EXPECT_EQ(logistic(0).complement, 0.5);
    for (const double x : {1e-9, 0.5, 3.0, 40.0, 100.0, 700.0}) {
        const auto small = static_cast<double>(1 / (1 + std::exp(Real{x})));
        const auto large = static_cast<double>(1 / (1 + std::exp(-Real{x})));
        // exp, +, /, · : four roundings of ε/2 each (exp within one).
        EXPECT_NEAR(logistic(x).complement / small, 1, 4 * eps) << x;
        EXPECT_NEAR(logistic(-x).s / small, 1, 4 * eps) << x;
        EXPECT_NEAR(logistic(x).s / large, 1, 4 * eps) << x;
        EXPECT_NEAR(logistic(-x).complement / large, 1, 4 * eps) << x;
    }
    EXPECT_NEAR(logistic(-40).s / 4.248354255291589e-18, 1, 4 * eps);            // 1/(1 + e^40)
    EXPECT_NEAR(logistic(700).complement / 9.859676543759771e-305, 1, 4 * eps);  // e^−700
    EXPECT_EQ(logistic(1e4).s, 1);
    EXPECT_NEAR(logistic(1e4).complement, 0, 1e-307);  // the smallest e^x: elementary.hpp
    EXPECT_NEAR(logistic(-1e4).s, 0, 1e-307);
    EXPECT_TRUE(std::isnan(logistic(std::nan("")).s));
}

TEST(LogOnePlusExp, IsRightEverywhere) {
    EXPECT_NEAR(log_one_plus_exp(0), std::log(2.0), eps);
    for (const double x : {-700.0, -40.0, -1.0, -1e-8, 1e-8, 2.0, 35.0, 40.0, 700.0}) {
        const Real expected = x < 0 ? std::log1p(std::exp(Real{x})) : x + std::log1p(std::exp(-Real{x}));
        EXPECT_NEAR(log_one_plus_exp(x) / static_cast<double>(expected), 1, 4 * eps) << x;
    }
    EXPECT_EQ(log_one_plus_exp(800), 800);
    EXPECT_NEAR(log_one_plus_exp(-800), 0, 1e-307);
    EXPECT_EQ(log_one_plus_exp(1e308), 1e308);
}

}  // namespace
}  // namespace espectra
