// Spectra against the naive Hessian diagonalised by Jacobi rotations, and the Hessians themselves.

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

TEST(Spectrum, EqualsThatOfTheNaiveHessian) {
    for (const ShapeAndReplicas& setting : spectrum_shapes()) {
        const NetworkCase c = make_case(setting.shape, 12, setting.replicas);
        const auto spectra = analyze(c);
        ASSERT_EQ(spectra.size(), static_cast<std::size_t>(setting.replicas));
        for (std::size_t r = 0; r < spectra.size(); ++r) {
            const auto hessian = naive_hessian(c, r);
            const Spectrum& s = spectra[r];
            SCOPED_TRACE(c.network.widths_text() + " " + c.network.activations_text());
            expect_spectrum(s.eigenvalues, naive_spectrum(hessian), s.frobenius);
            double squares = 0, trace = 0;
            const std::size_t p = s.eigenvalues.size();
            for (const double v : hessian) squares += v * v;
            for (std::size_t i = 0; i < p; ++i) trace += hessian[i * p + i];
            EXPECT_NEAR(s.frobenius / std::sqrt(squares), 1, 1e-13);
            EXPECT_NEAR(s.trace, trace, 1e-13 * std::sqrt(static_cast<double>(p)) * s.frobenius);
            // P·ε with P ≤ 42, both parts relative to the norm.
            EXPECT_LE(s.trace_error, 42 * eps);
            EXPECT_TRUE(s.gauss_newton.empty());
            EXPECT_TRUE(s.eigenvectors.empty());
            EXPECT_GE(s.seconds_hessian, 0);
        }
    }
}

TEST(Eigenvectors, DiagonaliseTheHessian) {
    for (const NetworkCase& c : {make_case({{2, 5, 1}, {esp}}, 20), with_dead_relu()}) {
        const Spectrum s = analyze(c, {.tolerance = 0, .eigenvectors = true})[0];
        const auto hessian = naive_hessian(c);
        const std::size_t p = s.eigenvalues.size();
        ASSERT_EQ(s.eigenvectors.size(), p * p);
        expect_spectrum(s.eigenvalues, naive_spectrum(hessian), s.frobenius);
        for (std::size_t e = 0; e < p; ++e) {
            const double* v = s.eigenvectors.data() + e * p;
            double fourth = 0;
            for (std::size_t i = 0; i < p; ++i) {
                double product = 0;
                for (std::size_t j = 0; j < p; ++j) product += hessian[i * p + j] * v[j];
                // Limits like those of the eigenvalues: the Hessian's 1e-13 and the solver's P·ε.
                EXPECT_NEAR(product, s.eigenvalues[e] * v[i], 1e-13 * s.frobenius);
                fourth += v[i] * v[i] * v[i] * v[i];
            }
            EXPECT_NEAR(s.participation[e], fourth, 4 * static_cast<double>(p) * eps);
            for (std::size_t f = 0; f <= e; ++f) {
                double dot = 0;
                for (std::size_t i = 0; i < p; ++i) dot += v[i] * s.eigenvectors[f * p + i];
                EXPECT_NEAR(dot, e == f ? 1 : 0, 4 * static_cast<double>(p) * eps);
            }
        }
    }
}

TEST(Spectrum, NotFiniteParametersAreAnError) {
    NetworkCase c = make_case({{2, 3, 1}, {esp}}, 5);
    c.thetas[0][2] = std::nan("");
    try {
        analyze(c);
        FAIL();
    } catch (const NumericalError& error) {
        EXPECT_STREQ(error.what(), "the Hessian has entries that are not finite");
    }
}

TEST(Spectrum, HessianIsReceivedBeforeItIsSolved) {
    const NetworkCase c = make_case({{2, 4, 2}, {esp}}, 10);
    CpuContext context(2);
    const std::vector<double> theta = c.flat_theta();
    const Index p = c.network.parameters();
    const auto at = make_view(theta.data(), 1, p);
    Evaluator<CpuContext> evaluator(context, c.network, c.view(), 1);
    evaluator.evaluate(at);
    SpectrumAnalyzer<CpuContext> analyzer(context, c.network, c.view(), 1, {.gauss_newton = true});
    const auto alone = fetch(context, analyzer.hessian(at).data, p * p);
    const auto expected = analyzer.analyze(at, evaluator.gradient()).front();
    std::vector<std::vector<double>> received;
    analyzer.on_hessian(
        [&](View<const double, 3> hessian) { received.push_back(fetch(context, hessian.data, p * p)); });
    const auto spectrum = analyzer.analyze(at, evaluator.gradient()).front();
    ASSERT_EQ(received.size(), 1U);  // the Gauss–Newton part is not received
    EXPECT_TRUE(received.front() == alone);
    EXPECT_TRUE(spectrum.eigenvalues == expected.eigenvalues);
}

TEST(Spectrum, HessianAloneHasBothTriangles) {
    const NetworkCase c = make_case({{2, 4, 2}, {esp}}, 10);
    CpuContext context(2);
    SpectrumAnalyzer<CpuContext> analyzer(context, c.network, c.view(), 1, {});
    const std::vector<double> theta = c.flat_theta();
    const Index p = c.network.parameters();
    const auto hessian = analyzer.hessian(make_view(theta.data(), 1, p));
    const auto expected = naive_hessian(c);
    double squares = 0;
    for (const double v : expected) squares += v * v;
    for (Index i = 0; i < p; ++i)
        for (Index j = 0; j < p; ++j) {
            EXPECT_EQ(hessian(0, i, j), hessian(0, j, i));
            EXPECT_NEAR(hessian(0, i, j), expected[static_cast<std::size_t>(i * p + j)],
                        1e-13 * std::sqrt(squares));
        }
}

}  // namespace
}  // namespace espectra
