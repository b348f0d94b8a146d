// Searches for critical points, against known ones and against the naive gradient and Hessian.

#include "espectra/models/critical_point.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "oracle/jacobi.hpp"
#include "oracle/naive_network.hpp"
#include "support/network_cases.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace espectra {
namespace {

using test::make_case;
using test::NetworkCase;
using enum Activation;

using Values = std::vector<double>;
constexpr Loss squared_loss = Loss::mean_squared_error;
constexpr double eps = std::numeric_limits<double>::epsilon();

CriticalPoint find(const NetworkCase& c, const Values& theta, const CriticalPointOptions& options = {}) {
    CpuContext context(1);
    CriticalPointSearch<CpuContext> search(context, c.network, c.view(), options);
    return search.find(theta);
}

double norm(const Values& v) {
    double squares = 0;
    for (const double x : v) squares += x * x;
    return std::sqrt(squares);
}

long count(double fraction, const CriticalPoint& point) {
    return std::lround(fraction * static_cast<double>(point.theta.size()));
}

/// Linear network 1-1-1: ℓ = mean (w₂(w₁x + b₁) + b₂ − y)² over x = ±1, ±2 and y = ax, ‖x‖²/m = 2.5. θ = (w₁,
/// b₁, w₂, b₂). Critical points: w₁ = w₂ = b₂ = 0, a saddle, and w₁w₂ = a with w₂b₁ + b₂ = 0, minima of cost
/// 0.
constexpr double slope = 0.7, mean_square = 2.5;

NetworkCase linear_case() {
    NetworkCase c = make_case({{1, 1, 1}, {linear}, true, 1.0, squared_loss}, 4);
    c.features = {-2, -1, 1, 2};
    for (std::size_t e = 0; e < 4; ++e) c.targets[e] = slope * c.features[e];
    return c;
}

TEST(CriticalPoint, FindsTheSaddleOfALinearNetwork) {
    const Values start = {0.1, 0, 0.05, 0};
    const CriticalPoint saddle = find(linear_case(), start);
    ASSERT_EQ(saddle.outcome, SearchOutcome::converged);
    EXPECT_LE(saddle.gradient_norm, 1e-10);
    for (const double value : saddle.theta) EXPECT_NEAR(value, 0, 1e-9);
    // H has −2a·mean x² = −3.5 between w₁ and w₂, 2 for b₂ and, where b₁ = 0, nothing for b₁.
    const double coupling = 2 * slope * mean_square;
    ASSERT_EQ(saddle.spectrum.eigenvalues.size(), 4u);
    const Values expected = {-coupling, 0, 2, coupling};
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(saddle.spectrum.eigenvalues[i], expected[i], 1e-8) << i;
    EXPECT_NEAR(saddle.cost, slope * slope * mean_square, 1e-12);
    EXPECT_EQ(saddle.spectrum.alpha, 0.25);
    EXPECT_NEAR(saddle.distance, norm(start), 1e-9);
    EXPECT_GT(saddle.iterations, 0);
    EXPECT_TRUE(saddle.spectrum.eigenvectors.empty());
}

TEST(CriticalPoint, FindsMinimaOfALinearNetwork) {
    const Values start = {1.3, 0.3, 0.6, -0.1};
    const CriticalPoint minimum = find(linear_case(), start);
    ASSERT_EQ(minimum.outcome, SearchOutcome::converged);
    const Values& t = minimum.theta;
    EXPECT_NEAR(t[0] * t[2], slope, 1e-9);
    EXPECT_NEAR(t[2] * t[1] + t[3], 0, 1e-9);
    EXPECT_NEAR(minimum.cost, 0, 1e-18);
    EXPECT_EQ(minimum.spectrum.alpha, 0);
    // Two flat directions: the scaling of the hidden unit, and its bias against that of the output.
    EXPECT_EQ(count(minimum.spectrum.gamma, minimum), 2);
    EXPECT_EQ(count(minimum.spectrum.gamma_symmetry, minimum), 1);
    EXPECT_EQ(count(minimum.spectrum.gamma_numerical, minimum), 1);
    // The point is near: the search does not move along flat directions.
    EXPECT_LE(minimum.distance, 0.2);
    Values difference = t;
    for (std::size_t i = 0; i < 4; ++i) difference[i] -= start[i];
    EXPECT_NEAR(minimum.distance, norm(difference), 4 * eps);
}

TEST(CriticalPoint, IsTheSameOnAnotherBackend) {
    const NetworkCase c = linear_case();
    for (const Values& start : {Values{0.1, 0.2, 0.05, 0.1}, Values{1.3, 0.3, 0.6, -0.1}}) {
        const CriticalPoint expected = find(c, start);
        test::EmulatedContext device(3);
        CriticalPointSearch<test::EmulatedContext> search(device, c.network, c.view(), {});
        const CriticalPoint actual = search.find(start);
        EXPECT_EQ(actual.outcome, expected.outcome);
        EXPECT_EQ(actual.spectrum.alpha, expected.spectrum.alpha);
        // Both are within a Newton step of the same point, up to 1e-6 and squared by the last one.
        for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(actual.theta[i], expected.theta[i], 1e-9);
    }
}

TEST(CriticalPoint, OfEspNetworksHasTheirSymmetries) {
    int converged = 0, saddles = 0;
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        const NetworkCase c = make_case({{2, 3, 1}, {esp}, true, 1.0, squared_loss}, 30, 1, seed);
        const CriticalPoint point = find(c, c.thetas[0]);
        if (!point.converged()) continue;
        SCOPED_TRACE(seed);
        ++converged;
        saddles += point.spectrum.alpha > 0;
        EXPECT_LE(point.gradient_norm, 1e-10);
        // The naive gradient differs by rounding of sums of 30 numbers of magnitude up to 10.
        const Values gradient = oracle::naive_gradient(c.naive, point.theta, c.rows_x, c.rows_y);
        EXPECT_LE(norm(gradient), 1e-10 + 1e-13);
        const Values hessian = oracle::naive_hessian(c.naive, point.theta, c.rows_x, c.rows_y);
        const Values expected = oracle::jacobi_eigenvalues(hessian, point.theta.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            EXPECT_NEAR(point.spectrum.eigenvalues[i], expected[i], 1e-13 * point.spectrum.frobenius);
        // Three hidden units and the output, unless one of them vanishes (β = 0, or all weights 0).
        EXPECT_EQ(count(point.spectrum.gamma_symmetry, point), 4);
    }
    EXPECT_GE(converged, 4);
    EXPECT_GE(saddles, 1);
}

TEST(CriticalPoint, DoesNotMoveAlongDeadRows) {
    NetworkCase c = make_case({{2, 3, 1}, {relu}, true, 1.0, squared_loss}, 40);
    Values theta = {1, 0.5, 0.01, 0.01, -0.6, 1, /* biases */ 0.2, -5, 0.1, /* output */ 0.4, 0.7, 0.9, 0.1};
    const CriticalPoint point = find(c, theta);
    // The second unit is off for all examples: its weights, its bias and its outgoing weight.
    for (const std::size_t i : {2u, 3u, 7u, 10u}) EXPECT_EQ(point.theta[i], theta[i]) << i;
    EXPECT_GT(point.distance, 0);
    EXPECT_GE(count(point.spectrum.gamma_dead_units, point), 4);
}

TEST(CriticalPoint, ReportsThatIterationsAreUsedUp) {
    const NetworkCase c = linear_case();
    const Values start = {0.1, 0.2, 0.05, 0.1};
    const CriticalPoint one = find(c, start, {.iterations = 1});
    EXPECT_EQ(one.outcome, SearchOutcome::most_iterations);
    EXPECT_EQ(one.iterations, 1);
    EXPECT_GT(one.gradient_norm, 1e-10);
    EXPECT_EQ(one.spectrum.eigenvalues.size(), 4u);

    CpuContext context(1);
    CriticalPointSearch<CpuContext> search(context, c.network, c.view(), {});
    const CriticalPoint none = search.find(start, [] { return true; });
    EXPECT_EQ(none.outcome, SearchOutcome::most_iterations);
    EXPECT_EQ(none.iterations, 0);
    EXPECT_EQ(none.theta, start);
    EXPECT_EQ(none.distance, 0);
}

TEST(CriticalPoint, TolerancesAreRespected) {
    const NetworkCase c = make_case({{2, 3, 1}, {esp}}, 30);
    const CriticalPoint point = find(c, c.thetas[0]);
    ASSERT_TRUE(point.converged());
    // τ applies to the counts; the search has its own tolerance.
    const CriticalPoint coarse = find(c, c.thetas[0], {.tolerance = 0.5});
    EXPECT_TRUE(coarse.converged());
    EXPECT_EQ(coarse.theta, point.theta);
    EXPECT_EQ(coarse.spectrum.tolerance, 0.5);
    EXPECT_GT(coarse.spectrum.gamma, point.spectrum.gamma);
    // Rounding leaves a gradient of some ε: this tolerance cannot be reached.
    EXPECT_FALSE(find(c, c.thetas[0], {.gradient_tolerance = 1e-30}).converged());
}

TEST(CriticalPoint, ReportsThatTheCostGoesToZeroAtInfinity) {
    // Separable classes have no best logistic regression: ℓ → 0 as w → ∞.
    NetworkCase c = make_case({{1, 1}, {}}, 4);
    c.features = {-2, -1, 1, 2};
    c.targets = {0, 0, 1, 1};
    const CriticalPoint point = find(c, {1, 0.1});
    EXPECT_EQ(point.outcome, SearchOutcome::at_infinity);
    EXPECT_LT(point.cost, 1e-10);
    EXPECT_GT(point.distance, 10);
    // With an example on the wrong side there is one.
    c.targets = {0, 1, 0, 1};
    EXPECT_EQ(find(c, {1, 0.1}).outcome, SearchOutcome::converged);
}

TEST(CriticalPoint, ReportsThatTheGradientCannotBecomeSmaller) {
    // A saturated logistic unit on the wrong side: ∇ℓ = (x, 1), and its curvature e⁻¹⁰⁰⁰ is 0.
    NetworkCase c = make_case({{1, 1}, {}}, 1);
    c.features = {3};
    c.targets = {0};
    const CriticalPoint point = find(c, {0, 1000});
    EXPECT_EQ(point.outcome, SearchOutcome::stationary);
    EXPECT_NEAR(point.gradient_norm, std::sqrt(10.0), 8 * eps);
    EXPECT_EQ(point.theta, (Values{0, 1000}));
}

TEST(CriticalPoint, ReportsThatTheCostIsNotFinite) {
    const NetworkCase c = linear_case();
    const CriticalPoint point = find(c, {0.1, std::nan(""), 0.1, 0.1});
    EXPECT_EQ(point.outcome, SearchOutcome::not_finite);
    EXPECT_FALSE(point.converged());
}

}  // namespace
}  // namespace espectra
