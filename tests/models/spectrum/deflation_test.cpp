// Rows of the Hessian that are exactly zero: their eigenvalues and eigenvectors.

#include <gtest/gtest.h>

#include "support/spectra.hpp"
#include <algorithm>
#include <limits>
#include <vector>

namespace espectra {
namespace {

using namespace test;
using enum Activation;

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr Loss squared_loss = Loss::mean_squared_error;

TEST(Deflation, DeadInputs) {
    NetworkCase c = make_case({{4, 3, 2}, {sigmoid}}, 15);
    for (std::size_t e = 0; e < 15; ++e)
        for (const std::size_t feature : {1u, 3u}) c.rows_x[e][feature] = c.features[feature * 15 + e] = 0;
    const Spectrum s = analyze(c)[0];
    // Two inputs of three units are dead: 6 of the 4·3 + 3 + 3·2 + 2 = 23 parameters.
    EXPECT_EQ(s.eigenvalues.size(), 23u);
    EXPECT_EQ(s.gamma_dead, 6.0 / 23);
    EXPECT_GE(std::count(s.eigenvalues.begin(), s.eigenvalues.end(), 0.0), 6);
    expect_spectrum(s.eigenvalues, naive_spectrum(naive_hessian(c)), s.frobenius);
    EXPECT_EQ(s.gamma, spectral_indices(s.eigenvalues, s.tolerance).gamma);
}

TEST(Deflation, DeadReluUnits) {
    const NetworkCase c = with_dead_relu();
    const Spectrum s = analyze(c)[0];
    // The two weights of the unit, its bias and its two outgoing weights: 5 of 2·3 + 3 + 3·2 + 2 = 17.
    EXPECT_EQ(s.gamma_dead, 5.0 / 17);
    EXPECT_GE(std::count(s.eigenvalues.begin(), s.eigenvalues.end(), 0.0), 5);
    expect_spectrum(s.eigenvalues, naive_spectrum(naive_hessian(c)), s.frobenius);
    EXPECT_LE(s.trace_error, 17 * eps);
    EXPECT_LE(s.symmetry_residual, 1e-13);
}

TEST(Deflation, EverythingDead) {
    // Weights, inputs and targets are zero, the loss is squared: only the output bias has curvature, 2.
    NetworkCase c = make_case({{1, 1, 1}, {relu}, true, 1.0, squared_loss}, 3);
    c.features.assign(3, 0.0);
    c.targets.assign(3, 0.0);
    c.thetas = {std::vector<double>(4, 0.0)};
    const Spectrum s = analyze(c, {.tolerance = 0, .eigenvectors = true})[0];
    EXPECT_EQ(s.eigenvalues, (std::vector<double>{0, 0, 0, 2}));
    EXPECT_EQ(s.gamma_dead, 0.75);
    EXPECT_EQ(s.gamma, 0.75);
    EXPECT_EQ(s.alpha, 0);
    EXPECT_EQ(s.eigenvectors, (std::vector<double>{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}));
    EXPECT_EQ(s.participation, (std::vector<double>{1, 1, 1, 1}));
}

}  // namespace
}  // namespace espectra
