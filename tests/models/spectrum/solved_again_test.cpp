// Wrong eigenvalues of a batch, made on purpose: their certificate shows them, and the matrices are solved
// again by themselves.

#include "espectra/models/spectrum/certificates.hpp"

#include <gtest/gtest.h>

#include "emulation/faulty_solver.hpp"
#include "support/spectra.hpp"
#include <cmath>
#include <limits>
#include <vector>

namespace espectra {
namespace {

using namespace test;
using enum Activation;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t wrong = 2;  // replica whose eigenvalues are changed

/// Four 3-6-2 networks; with relu, hidden unit r of replica r is off for all examples.
NetworkCase four(Activation activation) {
    NetworkCase c = make_case({{3, 6, 2}, {activation}}, 30, 4);
    if (activation == relu)
        for (std::size_t r = 0; r < 4; ++r) c.thetas[r][18 + r] = -1000;
    return c;
}

/// Bound of the difference of eigenvalues solved alone and in a batch, as in batches_test.
double bound(const Spectrum& spectrum) {
    return 3 * automatic_tolerance(static_cast<Index>(spectrum.eigenvalues.size())) * spectrum.frobenius;
}

void expect_equal(const Spectrum& actual, const Spectrum& expected) {
    ASSERT_EQ(actual.eigenvalues.size(), expected.eigenvalues.size());
    for (std::size_t i = 0; i < expected.eigenvalues.size(); ++i)
        EXPECT_NEAR(actual.eigenvalues[i], expected.eigenvalues[i], bound(expected)) << i;
    EXPECT_EQ(actual.alpha, expected.alpha);
    EXPECT_EQ(actual.gamma, expected.gamma);
}

/// Expects eigenvectors of length 1 with H v = λ v.
void expect_eigenvectors(const NetworkCase& c, std::size_t replica, const Spectrum& spectrum) {
    const std::size_t p = spectrum.eigenvalues.size();
    const std::vector<double> hessian = naive_hessian(c, replica);
    ASSERT_EQ(spectrum.eigenvectors.size(), p * p);
    for (std::size_t e = 0; e < p; ++e) {
        const double* v = spectrum.eigenvectors.data() + e * p;
        double squares = 0, fourth = 0;
        for (std::size_t i = 0; i < p; ++i) {
            double product = 0;
            for (std::size_t j = 0; j < p; ++j) product += hessian[i * p + j] * v[j];
            EXPECT_NEAR(product, spectrum.eigenvalues[e] * v[i], 1e-13 * spectrum.frobenius) << e;
            squares += v[i] * v[i];
            fourth += v[i] * v[i] * v[i] * v[i];
        }
        EXPECT_NEAR(squares, 1, 1e-14);
        EXPECT_NEAR(spectrum.participation[e], fourth, 1e-14);
    }
}

struct Fault {
    const char* name;
    FaultySolver::Mistake make;  ///< in the eigenvalues of replica `wrong`
};

std::vector<Fault> faults() {
    const auto row = [](View<double, 2> values) { return values[static_cast<Index>(wrong)]; };
    return {{"the largest eigenvalue is lost", [row](View<double, 2> v) { row(v)(v.extent[1] - 1) = 0; }},
            // The sum of squares is right, the sum is not.
            {"a wrong sign", [row](View<double, 2> v) { row(v)(0) = -row(v)(0); }},
            // The sum is right, the sum of squares is not.
            {"two eigenvalues apart",
             [row](View<double, 2> v) {
                 const double step = 1e-3 * std::fabs(row(v)(v.extent[1] - 1));
                 row(v)(0) -= step;
                 row(v)(v.extent[1] - 1) += step;
             }},
            {"not finite", [row](View<double, 2> v) {
                 for (Index i = 0; i < v.extent[1]; ++i) row(v)(i) = nan;
             }}};
}

TEST(SolvedAgain, IsTheMatrixWhoseCertificateIsViolated) {
    for (const Activation activation : {esp, relu})
        for (const Fault& fault : faults()) {
            SCOPED_TRACE(fault.name);
            const NetworkCase c = four(activation);
            FaultySolver device(fault.make);
            const auto spectra = analyze_on(device, c);
            const auto expected = analyze(c);
            for (std::size_t r = 0; r < 4; ++r) {
                expect_equal(spectra[r], expected[r]);
                EXPECT_EQ(spectra[r].failure, "");
                EXPECT_LE(spectra[r].trace_error, certificate_limit(c.network.parameters()));
                EXPECT_EQ(spectra[r].solved_again, r == wrong ? 1 : 0);
            }
            EXPECT_EQ(device.solved_alone, 1);
        }
}

TEST(SolvedAgain, WithEigenvectors) {
    for (const Activation activation : {esp, relu}) {
        const NetworkCase c = four(activation);
        FaultySolver device(faults().front().make);
        const auto spectra = analyze_on(device, c, {.eigenvectors = true});
        for (std::size_t r = 0; r < 4; ++r) {
            EXPECT_EQ(spectra[r].solved_again, r == wrong ? 1 : 0);
            expect_eigenvectors(c, r, spectra[r]);
        }
        EXPECT_EQ(device.solved_alone, 1);
    }
}

TEST(SolvedAgain, CountsBothParts) {
    const NetworkCase c = four(esp);
    FaultySolver device(faults().front().make);
    const auto spectra = analyze_on(device, c, {.gauss_newton = true});
    const auto expected = analyze(c, {.gauss_newton = true});
    for (std::size_t r = 0; r < 4; ++r) {
        EXPECT_EQ(spectra[r].solved_again, r == wrong ? 2 : 0);
        for (std::size_t i = 0; i < expected[r].gauss_newton.size(); ++i)
            EXPECT_NEAR(spectra[r].gauss_newton[i], expected[r].gauss_newton[i], bound(expected[r])) << i;
    }
}

TEST(SolvedAgain, IsNothingWhereRoundingExplainsTheError) {
    const NetworkCase c = four(esp);
    // A tenth of the limit, in the sum.
    FaultySolver device([&](View<double, 2> values) {
        const auto p = static_cast<double>(values.extent[1]);
        double squares = 0;
        for (Index i = 0; i < values.extent[1]; ++i) squares += values(0, i) * values(0, i);
        values(0, values.extent[1] / 2) += 0.1 * certificate_limit(values.extent[1]) * std::sqrt(p * squares);
    });
    const auto spectra = analyze_on(device, c);
    EXPECT_GT(spectra[0].trace_error, 0.05 * certificate_limit(c.network.parameters()));
    for (const Spectrum& spectrum : spectra) EXPECT_EQ(spectrum.solved_again, 0);
    EXPECT_EQ(device.solved_alone, 0);
}

TEST(SolvedAgain, LeavesTheCertificateOfASecondMistake) {
    const NetworkCase c = four(esp);
    FaultySolver device([](View<double, 2> values) { values(0, values.extent[1] - 1) = 0; });
    device.also_alone = true;
    const auto spectra = analyze_on(device, c);
    EXPECT_EQ(spectra[0].solved_again, 1);
    EXPECT_GT(spectra[0].trace_error, certificate_limit(c.network.parameters()));
    EXPECT_EQ(spectra[1].solved_again, 0);
}

TEST(SolvedAgain, AreNoMatricesThatAreNotFinite) {
    NetworkCase c = four(relu);
    c.thetas[1][0] = nan;
    FaultySolver device([](View<double, 2>) {});
    const auto spectra = analyze_on(device, c, {.eigenvectors = true});
    EXPECT_EQ(spectra[1].failure, "the Hessian has entries that are not finite");
    EXPECT_EQ(device.solved_alone, 0);
    for (const std::size_t r : {0u, 2u, 3u}) expect_eigenvectors(c, r, spectra[r]);
}

}  // namespace
}  // namespace espectra
