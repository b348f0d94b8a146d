// Origins of zero eigenvalues: dead inputs, dead units, scaling symmetries, rounding.

#include "espectra/models/spectrum/zeros.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "support/spectra.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace espectra {
namespace {

using namespace test;
using enum Activation;

constexpr Loss squared_loss = Loss::mean_squared_error;

/// Numbers of zero eigenvalues in the order dead inputs, dead units, symmetry, numerical.
using Zeros = std::vector<long>;

Zeros zeros(const Spectrum& s) {
    const auto count = [&](double fraction) {
        return std::lround(fraction * static_cast<double>(s.eigenvalues.size()));
    };
    EXPECT_EQ(count(s.gamma_dead), count(s.gamma_dead_inputs) + count(s.gamma_dead_units));
    EXPECT_EQ(count(s.gamma), count(s.gamma_dead) + count(s.gamma_symmetry) + count(s.gamma_numerical));
    return {count(s.gamma_dead_inputs), count(s.gamma_dead_units), count(s.gamma_symmetry),
            count(s.gamma_numerical)};
}

/// Counts on the CPU; expects the same of the one step that a device takes.
Zeros zeros(const NetworkCase& c, double tolerance = 0) {
    CpuContext cpu(1);
    const Zeros counts = zeros(analyze_on(cpu, c, {.tolerance = tolerance})[0]);
    EmulatedContext device(3);
    EXPECT_EQ(zeros(analyze_on(device, c, {.tolerance = tolerance})[0]), counts);
    return counts;
}

void set_feature_to_zero(NetworkCase& c, Index feature) {
    std::fill_n(c.features.begin() + feature * c.examples, c.examples, 0.0);
}

TEST(Zeros, OfDeadInputs) {
    NetworkCase c = make_case({{4, 3, 2}, {sigmoid}}, 15);
    EXPECT_EQ(zeros(c), (Zeros{0, 0, 0, 0}));
    for (const Index feature : {1, 3}) set_feature_to_zero(c, feature);
    EXPECT_EQ(zeros(c), (Zeros{2 * 3, 0, 0, 0}));
}

TEST(Zeros, OfDeadUnits) {
    NetworkCase c = with_dead_relu(squared_loss, 40);
    // Two weights and a bias before, two outgoing weights of the unit.
    EXPECT_EQ(zeros(c), (Zeros{0, 5, 0, 0}));
    // Three weights of the feature; one of them is among the five rows of the unit.
    set_feature_to_zero(c, 0);
    EXPECT_EQ(zeros(c), (Zeros{3, 4, 0, 0}));
}

TEST(Zeros, UnitsThatLeakAreNotDead) {
    for (const Activation activation : {leaky_relu, elu, gelu})
        EXPECT_EQ(zeros(with_dead_relu(squared_loss, 40, activation))[1], 0) << activation_name(activation);
}

TEST(Zeros, WeightsOfAFeatureThatOnlyDeadUnitsSeeAreDeadUnits) {
    NetworkCase c = with_dead_relu(squared_loss, 40);
    std::fill_n(c.thetas[0].begin() + 6, 3, -1000.0);  // all units are off
    // 2·3 weights, 3 biases, 3·2 outgoing weights; two output biases remain.
    EXPECT_EQ(zeros(c), (Zeros{0, 15, 0, 0}));
}

TEST(Zeros, OfScalingSymmetriesAtACriticalPoint) {
    const auto symmetry = [](const NetworkShape& shape) { return zeros(taught(make_case(shape, 300)))[2]; };
    // Units of the hidden layers and the output for esp, hidden units for relu.
    EXPECT_EQ(symmetry({{2, 5, 1}, {esp}, true, 1.0, squared_loss}), 6);
    EXPECT_EQ(symmetry({{2, 4, 3, 2}, {esp}, true, 1.0, squared_loss}), 9);
    EXPECT_EQ(symmetry({{2, 4, 2}, {relu}, true, 1.0, squared_loss}), 4);
    EXPECT_EQ(symmetry({{2, 4, 2}, {leaky_relu}, true, 1.0, squared_loss}), 4);
    EXPECT_EQ(symmetry({{2, 4, 2}, {sigmoid}, true, 1.0, squared_loss}), 0);
    EXPECT_EQ(symmetry({{2, 4, 2}, {esp}, false, 2.0, squared_loss}), 0);
}

TEST(Zeros, AreAtLeastThoseOfTheScalingSymmetriesAtACriticalPoint) {
    // H(T∘θ) = 0 for each of the 5 hidden units and the one output.
    const Spectrum s = analyze(taught(make_case({{2, 5, 1}, {esp}, true, 1.0, squared_loss}, 200)))[0];
    EXPECT_EQ(s.alpha, 0);
    EXPECT_GE(s.gamma * static_cast<double>(s.eigenvalues.size()), 6 - 1e-9);
}

TEST(Zeros, DeadUnitsHaveNoSymmetry) {
    NetworkCase c = taught(with_dead_relu(squared_loss, 40));
    EXPECT_EQ(zeros(c), (Zeros{0, 5, 2, 0}));
    set_feature_to_zero(c, 0);  // the other units keep theirs, with fewer parameters
    EXPECT_EQ(zeros(taught(c)), (Zeros{3, 4, 2, 0}));
}

TEST(Zeros, WithoutAnExplanationAreNumerical) {
    // A parallel unit with no weight of its own: w₂φ(x) = (w₂ + ε)φ(x) − εφ(x) is flat, and no symmetry.
    NetworkCase c = make_case({{2, 2, 1}, {sigmoid}, true, 1.0, squared_loss}, 50);
    std::vector<double>& theta = c.thetas[0];  // W₁ (2, 2), b₁ (2), W₂ (2), b₂
    theta[2] = theta[0];
    theta[3] = theta[1];
    theta[5] = theta[4];
    theta[7] = theta[6];
    // The two units' incoming weights and biases count together: three antisymmetric directions, and one of
    // the outgoing weights.
    EXPECT_EQ(zeros(taught(c)), (Zeros{0, 0, 0, 4}));
}

TEST(Zeros, AwayFromCriticalPointsSymmetriesExplainNothing) {
    for (const Activation activation : {esp, relu})
        EXPECT_EQ(zeros(make_case({{2, 5, 1}, {activation}}, 50))[2], 0);
}

TEST(Zeros, SymmetryNeverCountsMoreThanThereAre) {
    // Thresholds for ‖T∘∇ℓ‖ from one at which no direction counts to one at which all do.
    for (const auto& shape : {NetworkShape{{2, 5, 1}, {esp}}, NetworkShape{{3, 4, 4, 2}, {relu}},
                              NetworkShape{{2, 3, 3, 3, 1}, {linear}}}) {
        const NetworkCase c = make_case(shape, 40);
        const Index p = c.network.parameters();
        const std::vector<double> theta = c.flat_theta();
        CpuContext context(1);
        Evaluator<CpuContext> evaluator(context, c.network, c.view(), 1);
        evaluator.evaluate(make_view(theta.data(), 1, p));
        const Spectrum s = analyze_on(context, c)[0];
        const auto directions = scaling_directions(c.network.scaling_directions(), p);
        const std::vector<unsigned char> keep(static_cast<std::size_t>(p), 1);
        Index most = 0;
        for (double threshold = 1e-6 * s.frobenius; threshold < s.frobenius; threshold *= 1.25) {
            const Index modes = symmetry_zero_modes(
                directions, theta, {evaluator.gradient().data, static_cast<std::size_t>(p)}, keep, threshold);
            // Eigenvalues are within 4·P·ε·‖H‖ of the exact ones.
            const double rounding = automatic_tolerance(p) * s.frobenius;
            const auto zero = std::ranges::count_if(
                s.eigenvalues, [&](double v) { return std::fabs(v) <= threshold + rounding; });
            EXPECT_LE(modes, zero) << threshold;
            most = std::max(most, modes);
        }
        EXPECT_EQ(most, std::ssize(directions));
    }
}

TEST(SymmetryZeroModes, ByHand) {
    const std::vector<unsigned char> all = {1, 1, 1};
    const auto count = [&](const std::vector<double>& signs, const std::vector<double>& theta,
                           const std::vector<double>& gradient, double threshold) {
        return symmetry_zero_modes(scaling_directions(signs, std::ssize(theta)), theta, gradient, all,
                                   threshold);
    };
    // The third direction is the sum of the first two.
    const std::vector<double> signs = {1, -1, 0, 0, 1, -1, 1, 0, -1};
    EXPECT_EQ(count(signs, {1, 2, 3}, {0, 0, 0}, 1e-10), 2);
    EXPECT_EQ(count(signs, {1, 0, 0}, {0, 0, 0}, 1e-10), 1);  // the second one vanishes
    EXPECT_EQ(count(signs, {0, 0, 0}, {0, 0, 0}, 1e-10), 0);
    // Each direction counts alone: ‖T∘∇ℓ‖ = ½ threshold, ‖T∘θ‖ ≥ 1. But H = diag(0, −5 threshold) has only
    // one zero.
    const double threshold = 1e-3;
    EXPECT_EQ(count({1, 1, 1, -1}, {1, 0.1}, {0, 0.5 * threshold}, threshold), 1);
    EXPECT_EQ(count({1, 1, 1, -1}, {1, 0.1}, {0, 0.05 * threshold}, threshold), 2);
    EXPECT_EQ(count({1, 1, 1, -1}, {1, 0.1}, {0, 1.5 * threshold}, threshold), 0);
    const std::vector<unsigned char> first = {1, 0};
    EXPECT_EQ(symmetry_zero_modes(scaling_directions(std::vector<double>{0, 1}, 2), std::vector<double>{1, 1},
                                  std::vector<double>{0, 0}, first, threshold),
              0);
}

}  // namespace
}  // namespace espectra
