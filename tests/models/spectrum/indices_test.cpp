// The indices α and γ, and their tolerance.

#include "espectra/models/spectrum/indices.hpp"

#include <gtest/gtest.h>

#include "support/spectra.hpp"
#include <limits>
#include <utility>
#include <vector>

namespace espectra {
namespace {

using namespace test;
using enum Activation;

constexpr double eps = std::numeric_limits<double>::epsilon();

TEST(Indices, ByHand) {
    const std::vector<double> values = {-4, -0.5, -0.04, 0, 0.04, 0.05, 2, 3};  // |λ|_max = 4
    const auto at = [&](double tolerance) {
        const SpectralIndices i = spectral_indices(values, tolerance);
        return std::pair{i.alpha * 8, i.gamma * 8};
    };
    EXPECT_EQ(at(0), (std::pair{3.0, 1.0}));
    EXPECT_EQ(at(0.01), (std::pair{2.0, 3.0}));  // ±0.04 is at the threshold: zero
    EXPECT_EQ(at(0.0125), (std::pair{2.0, 4.0}));
    EXPECT_EQ(at(0.2), (std::pair{1.0, 5.0}));
    EXPECT_EQ(at(1), (std::pair{0.0, 8.0}));
    EXPECT_EQ(spectral_indices(std::vector<double>{0, 0, 0}, 1e-10).gamma, 1);
    EXPECT_EQ(spectral_indices(std::vector<double>{0, 0, 0}, 1e-10).alpha, 0);
    EXPECT_EQ(spectral_indices({}, 0).gamma, 0);
}

TEST(Indices, AutomaticTolerance) {
    EXPECT_EQ(automatic_tolerance(1000), 4000 * eps);
    const NetworkCase c = make_case({{2, 5, 1}, {esp}}, 20);
    const Spectrum automatic = analyze(c)[0], coarse = analyze(c, {.tolerance = 0.5})[0];
    EXPECT_EQ(automatic.tolerance, 4 * static_cast<double>(c.network.parameters()) * eps);
    EXPECT_EQ(coarse.tolerance, 0.5);
    EXPECT_EQ(coarse.eigenvalues, automatic.eigenvalues);
    EXPECT_GT(coarse.gamma, automatic.gamma);
    EXPECT_EQ(coarse.alpha, spectral_indices(coarse.eigenvalues, 0.5).alpha);
}

}  // namespace
}  // namespace espectra
