// Spectra of the Gauss–Newton part, against formulas and against Jacobians of hyper-dual numbers.

#include <gtest/gtest.h>

#include "support/spectra.hpp"
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace espectra {
namespace {

using namespace test;
using enum Activation;

constexpr Loss sigmoid_loss = Loss::sigmoid_cross_entropy;
constexpr Loss softmax_loss = Loss::softmax_cross_entropy;
constexpr Loss squared_loss = Loss::mean_squared_error;

TEST(GaussNewton, OfALinearLayerIsTheWholeHessian) {
    // z = W x + b, sigmoid cross-entropy: H = (1/m) Σ s(1 − s) x̃ x̃ᵀ; no second derivatives of z.
    const NetworkCase c = make_case({{3, 1}, {}}, 12);
    const Spectrum s = analyze(c, {.tolerance = 0, .eigenvectors = false, .gauss_newton = true})[0];
    std::vector<double> formula(16, 0.0);
    for (const auto& row : c.rows_x) {
        std::vector<double> x = row;
        x.push_back(1);
        const double z = oracle::naive_logits(c.naive, c.thetas[0], row)[0], g = 1 / (1 + std::exp(-z));
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = 0; j < 4; ++j) formula[i * 4 + j] += g * (1 - g) * x[i] * x[j] / 12;
    }
    expect_spectrum(s.gauss_newton, naive_spectrum(formula), s.frobenius);
    expect_spectrum(s.eigenvalues, naive_spectrum(formula), s.frobenius);
}

/// Jᵀ (∂²ℓ/∂z∂z) J for squared loss: (2/mC) Σ_e Σ_c ∇z_c ∇z_cᵀ, ∇z by hyper-dual numbers.
std::vector<double> naive_gauss_newton(const NetworkCase& c) {
    const std::size_t p = c.thetas[0].size(), outputs = static_cast<std::size_t>(c.network.outputs());
    std::vector<double> matrix(p * p, 0.0);
    for (const auto& row : c.rows_x) {
        std::vector<double> jacobian(outputs * p);
        for (std::size_t i = 0; i < p; ++i) {
            std::vector<oracle::HyperDual> point(c.thetas[0].begin(), c.thetas[0].end());
            point[i].e1 = 1;
            const auto z = oracle::naive_logits(c.naive, point, row);
            for (std::size_t k = 0; k < outputs; ++k) jacobian[k * p + i] = z[k].e1;
        }
        const double weight = 2.0 / static_cast<double>(c.rows_x.size() * outputs);
        for (std::size_t k = 0; k < outputs; ++k)
            for (std::size_t i = 0; i < p; ++i)
                for (std::size_t j = 0; j < p; ++j)
                    matrix[i * p + j] += weight * jacobian[k * p + i] * jacobian[k * p + j];
    }
    return matrix;
}

TEST(GaussNewton, EqualsTheProductOfJacobians) {
    for (const ShapeAndReplicas& setting : spectrum_shapes()) {
        NetworkShape shape = setting.shape;
        shape.loss = squared_loss;
        const NetworkCase c = make_case(shape, 8);
        const auto expected = naive_gauss_newton(c);
        double squares = 0;
        for (const double v : expected) squares += v * v;
        const Spectrum s = analyze(c, {.tolerance = 0, .eigenvectors = false, .gauss_newton = true})[0];
        expect_spectrum(s.gauss_newton, naive_spectrum(expected), std::sqrt(squares));
        expect_spectrum(s.eigenvalues, naive_spectrum(naive_hessian(c)), s.frobenius);  // of the full Hessian
    }
}

TEST(GaussNewton, IsPositiveSemidefiniteWhereTheHessianIsNot) {
    for (const Loss loss : {sigmoid_loss, softmax_loss, squared_loss}) {
        const NetworkCase c = make_case({{3, 5, 2}, {esp}, true, 1.0, loss}, 20);
        const Spectrum s = analyze(c, {.tolerance = 0, .eigenvectors = false, .gauss_newton = true})[0];
        const double rounding = automatic_tolerance(c.network.parameters()) * s.gauss_newton.back();
        EXPECT_GE(s.gauss_newton.front(), -rounding);
        EXPECT_LT(s.eigenvalues.front(), -1e-3 * s.eigenvalues.back());
    }
}

TEST(GaussNewton, IsTheHessianWhereResidualsAreZero) {
    const NetworkCase c = taught(make_case({{3, 4, 2}, {tanh}, true, 1.0, squared_loss}, 10));
    const Spectrum s = analyze(c, {.tolerance = 0, .eigenvectors = false, .gauss_newton = true})[0];
    expect_spectrum(s.gauss_newton, s.eigenvalues, 0);  // δ is exactly zero: the same bits
}

}  // namespace
}  // namespace espectra
