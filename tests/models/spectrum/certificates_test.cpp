// Certificates: limits of correct spectra, and values for errors made on purpose.

#include "espectra/models/spectrum/certificates.hpp"

#include <gtest/gtest.h>

#include "support/spectra.hpp"
#include <cmath>
#include <limits>
#include <vector>

namespace espectra {
namespace {

using namespace test;
using enum Activation;

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr Loss sigmoid_loss = Loss::sigmoid_cross_entropy;
constexpr Loss softmax_loss = Loss::softmax_cross_entropy;
constexpr Loss squared_loss = Loss::mean_squared_error;

TEST(Certificates, ScalingSymmetryHoldsAtEveryPoint) {
    for (const Activation activation : {esp, relu, leaky_relu, linear})
        for (const Loss loss : {sigmoid_loss, softmax_loss, squared_loss})
            for (const auto& widths : std::vector<std::vector<Index>>{{2, 6, 3}, {3, 4, 4, 2}}) {
                const NetworkCase c = make_case({widths, {activation}, true, 1.0, loss}, 50);
                EXPECT_LE(analyze(c)[0].symmetry_residual, 1e-13)
                    << activation_name(activation) << loss_name(loss);
            }
}

TEST(Certificates, ScalingSymmetryDoesNotApplyToSaturatingUnits) {
    for (const Activation activation : {sigmoid, tanh, softplus, gelu, elu})
        EXPECT_TRUE(std::isnan(analyze(make_case({{2, 4, 2}, {activation}}, 10))[0].symmetry_residual));
    // An esp network whose β is fixed has no symmetry.
    EXPECT_TRUE(std::isnan(analyze(make_case({{2, 4, 2}, {esp}, false, 2.0, {}}, 10))[0].symmetry_residual));
}

TEST(Certificates, ScalingSymmetryFailsForAWrongGradient) {
    const NetworkCase c = make_case({{2, 6, 3}, {esp}}, 50);
    for (const double error : {1e-3, 1e-9}) {
        const Spectrum s = analyze(c, {}, error)[0];
        // One direction contains the first weight: the residual is error/(‖H‖ ‖T∘θ‖), ‖T∘θ‖ < 2·√P ≈ 14.
        EXPECT_GE(s.symmetry_residual, error / (s.frobenius * 14));
        EXPECT_LE(s.symmetry_residual, 100 * error / s.frobenius + 1e-13);
    }
    const NetworkCase r = make_case({{2, 6, 3}, {relu}}, 50);
    EXPECT_GE(analyze(r, {}, 1e-3)[0].symmetry_residual, 1e-6);
}

TEST(Certificates, ScalingResidualByHand) {
    // H = (0 −g; −g 0) is the Hessian of ℓ(wv) with ℓ′ = −g, ℓ″ = 0 at w = 2, v = 3; T = (1, −1); ∇ℓ = (−3g,
    // −2g).
    CpuContext context(1);
    const double g = 0.5;
    const std::vector<double> h = {0, -g, std::nan(""), 0}, signs = {1, -1}, theta = {2, 3};
    const std::vector<double> frobenius = {std::sqrt(2.0) * g};
    std::vector<double> gradient = {-3 * g, -2 * g};
    double residual = -1;
    const auto compute = [&] {
        scaling_residual(context, {.matrices = make_view(h.data(), 1, 2, 2),
                                   .signs = make_view(signs.data(), 1, 2),
                                   .theta = make_view(theta.data(), 1, 2),
                                   .gradient = make_view(static_cast<const double*>(gradient.data()), 1, 2),
                                   .frobenius = make_view(frobenius.data(), 1),
                                   .residual = make_view(&residual, 1)});
        return residual;
    };
    // H(T∘θ) = (3g, −2g), T∘∇ℓ = (−3g, 2g): the sum is zero.
    EXPECT_EQ(compute(), 0);
    gradient[1] += 0.25;  // the sum becomes (0, −¼); ‖T∘θ‖ = √13
    EXPECT_NEAR(compute(), 0.25 / (std::sqrt(2.0) * g * std::sqrt(13.0)), 4 * eps);
}

TEST(Certificates, TraceErrorShowsAWrongEigenvalue) {
    const std::vector<double> right = {-1, 0, 2, 3};  // tr = 4, ‖H‖² = 14
    const double frobenius = std::sqrt(14.0);
    EXPECT_LE(trace_error(right, 4, frobenius), 8 * eps);
    EXPECT_NEAR(trace_error(std::vector<double>{-1, 0, 2, 3.01}, 4, frobenius), (3.01 * 3.01 - 9) / 14,
                8 * eps);
    // A wrong sign does not change the squares: |Σλ − tr|/(√P ‖H‖) = 2/(2·√14).
    EXPECT_NEAR(trace_error(std::vector<double>{1, 0, 2, 3}, 4, frobenius), 1 / frobenius, 8 * eps);
    // One eigenvalue replaced by zero.
    EXPECT_NEAR(trace_error(std::vector<double>{0, 0, 2, 3}, 4, frobenius), 1 / (2 * frobenius), 8 * eps);
    EXPECT_EQ(trace_error(std::vector<double>{0, 0}, 0, 0), 0);
}

}  // namespace
}  // namespace espectra
