// Spectra with their certificates, against the naive Hessian diagonalised by Jacobi rotations.

#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/spectrum/certificates.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "oracle/jacobi.hpp"
#include "oracle/naive_network.hpp"
#include "support/network_cases.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace espectra {
namespace {

using test::make_case;
using test::NetworkCase;
using enum Activation;

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr Loss sigmoid_loss = Loss::sigmoid_cross_entropy;
constexpr Loss softmax_loss = Loss::softmax_cross_entropy;
constexpr Loss squared_loss = Loss::mean_squared_error;

/// Spectra of all replicas of a case, with the library's own gradients plus `gradient_error` in the first
/// component.
template <class Context>
std::vector<Spectrum> analyze_on(Context& context, const NetworkCase& c, const SpectrumOptions& options = {},
                                 double gradient_error = 0) {
    const auto replicas = static_cast<Index>(c.thetas.size());
    const std::vector<double> theta = c.flat_theta();
    const auto theta_view = make_view(theta.data(), replicas, c.network.parameters());
    Evaluator<Context> evaluator(context, c.network, c.view(), replicas);
    evaluator.evaluate(theta_view);
    std::vector<double> gradient(evaluator.gradient().data, evaluator.gradient().data + theta.size());
    gradient[0] += gradient_error;
    SpectrumAnalyzer<Context> analyzer(context, c.network, c.view(), replicas, options);
    return analyzer.analyze(
        theta_view, make_view(static_cast<const double*>(gradient.data()), replicas, c.network.parameters()));
}

std::vector<Spectrum> analyze(const NetworkCase& c, const SpectrumOptions& options = {},
                              double gradient_error = 0, int threads = 2) {
    CpuContext context(threads);
    return analyze_on(context, c, options, gradient_error);
}

std::vector<double> naive_hessian(const NetworkCase& c, std::size_t replica = 0) {
    return oracle::naive_hessian(c.naive, c.thetas[replica], c.rows_x, c.rows_y);
}

std::vector<double> naive_spectrum(const std::vector<double>& hessian) {
    return oracle::jacobi_eigenvalues(hessian,
                                      static_cast<std::size_t>(std::lround(std::sqrt(hessian.size()))));
}

/// The Hessian agrees to 1e-13 ‖H‖_F (hessian_test) and, by Weyl's theorem, so do the eigenvalues; the
/// solvers' rounding, a few P·ε·‖H‖ ≤ 60·2e-16·‖H‖, is below that.
void expect_spectrum(const std::vector<double>& actual, const std::vector<double>& expected,
                     double frobenius) {
    ASSERT_EQ(actual.size(), expected.size());
    EXPECT_TRUE(std::is_sorted(actual.begin(), actual.end()));
    for (std::size_t i = 0; i < actual.size(); ++i)
        EXPECT_NEAR(actual[i], expected[i], 1e-13 * frobenius) << "eigenvalue " << i;
}

struct Setting {
    NetworkShape shape;
    Index replicas = 1;
};

std::vector<Setting> settings() {
    return {{{{2, 5, 1}, {esp}, true, 1.0, sigmoid_loss}},
            {{{2, 4, 3}, {esp}, true, 1.0, softmax_loss}, 2},
            {{{3, 4, 2}, {relu}, true, 1.0, squared_loss}},
            {{{3, 3, 3, 2}, {relu}, true, 1.0, softmax_loss}, 3},
            {{{3, 3, 2, 2}, {esp, relu}, true, 1.0, sigmoid_loss}},
            {{{2, 3, 3, 1}, {tanh}, true, 1.0, squared_loss}},
            {{{4, 3}, {}, true, 1.0, softmax_loss}}};
}

TEST(Spectrum, EqualsTheNaiveHessianDiagonalisedPlainly) {
    for (const Setting& setting : settings()) {
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

TEST(Spectrum, ReplicasTogetherOrAloneGiveTheSameBits) {
    const NetworkCase c = make_case({{3, 6, 2}, {esp}}, 30, 3);
    for (const int threads : {1, 2, 3}) {
        const auto together = analyze(c, {}, 0, threads);
        for (std::size_t r = 0; r < 3; ++r) {
            NetworkCase one = c;
            one.thetas = {c.thetas[r]};
            const auto alone = analyze(one);
            EXPECT_EQ(alone[0].eigenvalues, together[r].eigenvalues);
            EXPECT_EQ(alone[0].symmetry_residual, together[r].symmetry_residual);
            EXPECT_EQ(alone[0].trace_error, together[r].trace_error);
        }
    }
}

TEST(Certificates, ScalingSymmetryHoldsAtEveryPoint) {
    for (const Activation activation : {esp, relu, linear})
        for (const Loss loss : {sigmoid_loss, softmax_loss, squared_loss})
            for (const auto& widths : std::vector<std::vector<Index>>{{2, 6, 3}, {3, 4, 4, 2}}) {
                const NetworkCase c = make_case({widths, {activation}, true, 1.0, loss}, 50);
                EXPECT_LE(analyze(c)[0].symmetry_residual, 1e-13)
                    << activation_name(activation) << loss_name(loss);
            }
}

TEST(Certificates, ScalingSymmetryDoesNotApplyToSaturatingUnits) {
    for (const Activation activation : {sigmoid, tanh, softplus})
        EXPECT_TRUE(std::isnan(analyze(make_case({{2, 4, 2}, {activation}}, 10))[0].symmetry_residual));
    // Without training β an esp network has no symmetry left.
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

TEST(Certificates, TraceErrorDetectsAWrongEigenvalue) {
    const std::vector<double> right = {-1, 0, 2, 3};  // tr = 4, ‖H‖² = 14
    const double frobenius = std::sqrt(14.0);
    EXPECT_LE(trace_error(right, 4, frobenius), 8 * eps);
    EXPECT_NEAR(trace_error(std::vector<double>{-1, 0, 2, 3.01}, 4, frobenius), (3.01 * 3.01 - 9) / 14,
                8 * eps);
    // A wrong sign leaves the squares alone: |Σλ − tr|/(√P ‖H‖) = 2/(2·√14).
    EXPECT_NEAR(trace_error(std::vector<double>{1, 0, 2, 3}, 4, frobenius), 1 / frobenius, 8 * eps);
    // One lost and replaced by zero.
    EXPECT_NEAR(trace_error(std::vector<double>{0, 0, 2, 3}, 4, frobenius), 1 / (2 * frobenius), 8 * eps);
    EXPECT_EQ(trace_error(std::vector<double>{0, 0}, 0, 0), 0);
}

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

/// 2-3-2 relu network whose second hidden unit is off for all examples (|x| < 4), and only that.
NetworkCase with_dead_relu() {
    NetworkCase c = make_case({{2, 3, 2}, {relu}}, 15);
    const std::vector<double> hidden = {1, 0.5, 0.01, 0.01, -0.6, 1, /* biases */ 0.2, -5, 0.1};
    std::copy(hidden.begin(), hidden.end(), c.thetas[0].begin());
    return c;
}

TEST(Deflation, DeadReluUnits) {
    const NetworkCase c = with_dead_relu();
    const Spectrum s = analyze(c)[0];
    // The unit's two weights and its bias, and the two weights that it feeds: 5 of 2·3 + 3 + 3·2 + 2 = 17.
    EXPECT_EQ(s.gamma_dead, 5.0 / 17);
    EXPECT_GE(std::count(s.eigenvalues.begin(), s.eigenvalues.end(), 0.0), 5);
    expect_spectrum(s.eigenvalues, naive_spectrum(naive_hessian(c)), s.frobenius);
    EXPECT_LE(s.trace_error, 17 * eps);
    EXPECT_LE(s.symmetry_residual, 1e-13);
}

TEST(Deflation, ReplicasAreDeflatedEachOnItsOwn) {
    NetworkCase c = with_dead_relu();
    const NetworkCase alive = make_case(c.network.shape(), 15, 2, 9);
    c.thetas = {alive.thetas[0], c.thetas[0], alive.thetas[1]};
    const auto spectra = analyze(c, {.tolerance = 0, .eigenvectors = true, .gauss_newton = true});
    for (std::size_t r = 0; r < 3; ++r) {
        const auto hessian = naive_hessian(c, r);
        expect_spectrum(spectra[r].eigenvalues, naive_spectrum(hessian), spectra[r].frobenius);
        int dead = 0;
        for (std::size_t i = 0; i < 17; ++i)
            dead += std::all_of(hessian.begin() + static_cast<Index>(i * 17),
                                hessian.begin() + static_cast<Index>((i + 1) * 17),
                                [](double v) { return v == 0; });
        EXPECT_EQ(spectra[r].gamma_dead, dead / 17.0);
    }
    EXPECT_EQ(spectra[1].gamma_dead, 5.0 / 17);
}

/// 2-3-2 relu networks of which 0, 1, 2, 3 and 0 hidden units are off for all examples.
NetworkCase with_dead_units() {
    NetworkCase c = make_case({{2, 3, 2}, {relu}, true, 1.0, softmax_loss}, 15, 5, 4);
    for (std::size_t r = 0; r < 5; ++r)
        for (std::size_t unit = 0; unit < 3; ++unit) c.thetas[r][6 + unit] = r < 4 && unit < r ? -1000 : 3;
    return c;
}

/// The eigensolver's rounding, 4·n·ε·‖·‖ (eigen_block_test), alone with ‖H‖ and in a batch with 2‖H‖_F.
double batch_bound(const Spectrum& spectrum) {
    return 3 * automatic_tolerance(static_cast<Index>(spectrum.eigenvalues.size())) * spectrum.frobenius;
}

/// `together` is of replica r on the same backend.
template <class Context>
void expect_equal_to_alone(Context& context, const NetworkCase& c, std::size_t r, const Spectrum& together) {
    NetworkCase one = c;
    one.thetas = {c.thetas[r]};
    const Spectrum alone = analyze_on(context, one)[0];
    EXPECT_EQ(together.failure, "");
    ASSERT_EQ(together.eigenvalues.size(), alone.eigenvalues.size());
    EXPECT_TRUE(std::is_sorted(together.eigenvalues.begin(), together.eigenvalues.end()));
    for (std::size_t i = 0; i < alone.eigenvalues.size(); ++i)
        EXPECT_NEAR(together.eigenvalues[i], alone.eigenvalues[i], batch_bound(alone)) << i;
    EXPECT_EQ(together.gamma_dead, alone.gamma_dead);
    EXPECT_EQ(together.frobenius, alone.frobenius);
    EXPECT_EQ(together.symmetry_residual, alone.symmetry_residual);
    EXPECT_LE(together.trace_error, 3 * automatic_tolerance(c.network.parameters()));
    const SpectralIndices indices = spectral_indices(together.eigenvalues, together.tolerance);
    EXPECT_EQ(together.alpha, indices.alpha);
    EXPECT_EQ(together.gamma, indices.gamma);
}

/// Calls test(context) on the CPU and on emulated devices that assemble and solve in batches.
template <class Test>
void on_backends(Test&& test) {
    CpuContext cpu(2);
    test(cpu);
    for (const int size : {1, 33}) {
        SCOPED_TRACE(size);
        test::EmulatedContext device(size);
        device.fuses_spectra = false;
        test(device);
    }
}

TEST(Deflation, BatchesOfMatricesWithDifferentDeadRows) {
    const NetworkCase c = with_dead_units();
    on_backends([&](auto& context) {
        const auto spectra = analyze_on(context, c);
        for (std::size_t r = 0; r < 5; ++r) {
            SCOPED_TRACE(r);
            // Per unit two weights, the bias and two weights behind it, of 2·3 + 3 + 3·2 + 2 = 17.
            const double dead = r == 1 ? 5 : r == 2 ? 10 : r == 3 ? 15 : 0;
            EXPECT_EQ(spectra[r].gamma_dead, dead / 17);
            EXPECT_GE(std::count(spectra[r].eigenvalues.begin(), spectra[r].eigenvalues.end(), 0.0), dead);
            expect_equal_to_alone(context, c, r, spectra[r]);
        }
    });
}

TEST(Deflation, BatchesWhereNoUnitIsOn) {
    NetworkCase c = with_dead_units();
    for (auto& theta : c.thetas) std::fill_n(theta.begin() + 6, 3, -1000.0);
    on_backends([&](auto& context) {
        const auto spectra = analyze_on(context, c);
        for (std::size_t r = 0; r < 5; ++r) {
            EXPECT_EQ(spectra[r].gamma_dead, 15.0 / 17);  // two output biases are left
            expect_equal_to_alone(context, c, r, spectra[r]);
        }
    });
}

TEST(Spectrum, ANetworkThatIsNotFiniteFailsAlone) {
    for (const std::size_t bad : {1u, 2u}) {
        NetworkCase c = with_dead_units();
        c.thetas[bad][0] = std::nan("");
        if (bad == 1)  // nobody else has dead rows
            for (const std::size_t r : {2u, 3u}) c.thetas[r] = c.thetas[4];
        on_backends([&](auto& context) {
            const auto spectra = analyze_on(context, c, {.tolerance = 0, .gauss_newton = true});
            for (std::size_t r = 0; r < 5; ++r) {
                SCOPED_TRACE(r);
                if (r != bad) {
                    expect_equal_to_alone(context, c, r, spectra[r]);
                    continue;
                }
                EXPECT_EQ(spectra[r].failure, "the Hessian has entries that are not finite");
                EXPECT_EQ(spectra[r].eigenvalues.size(), 17u);
                for (const auto& values : {spectra[r].eigenvalues, spectra[r].gauss_newton})
                    for (const double v : values) EXPECT_TRUE(std::isnan(v));
                EXPECT_TRUE(std::isnan(spectra[r].alpha));
            }
        });
        const auto spectra = analyze(c, {.tolerance = 0, .eigenvectors = true});
        EXPECT_NE(spectra[bad].failure, "");
        EXPECT_TRUE(std::isnan(spectra[bad].eigenvectors.front()));
        EXPECT_EQ(spectra[0].failure, "");
    }
}

TEST(Spectrum, AGradientThatIsNotFiniteFailsAlone) {
    const NetworkCase c = with_dead_units();
    CpuContext context(2);
    const auto spectra = analyze_on(context, c, {}, std::nan(""));  // of the first network
    EXPECT_EQ(spectra[0].failure, "the gradient is not finite");
    for (std::size_t r = 1; r < 5; ++r) expect_equal_to_alone(context, c, r, spectra[r]);
}

TEST(Deflation, EverythingDead) {
    // All weights and targets zero and squared loss: only the output bias has curvature, 2. Inputs are zero
    // too.
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
                // As for the eigenvalues: the Hessian's 1e-13 and the solver's P·ε.
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

/// Jᵀ (∂²ℓ/∂z∂z) J written out for squared loss: (2/mC) Σ_e Σ_c ∇z_c ∇z_cᵀ, ∇z by hyper-dual numbers.
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
    for (const Setting& setting : settings()) {
        NetworkShape shape = setting.shape;
        shape.loss = squared_loss;
        const NetworkCase c = make_case(shape, 8);
        const auto expected = naive_gauss_newton(c);
        double squares = 0;
        for (const double v : expected) squares += v * v;
        const Spectrum s = analyze(c, {.tolerance = 0, .eigenvectors = false, .gauss_newton = true})[0];
        expect_spectrum(s.gauss_newton, naive_spectrum(expected), std::sqrt(squares));
        expect_spectrum(s.eigenvalues, naive_spectrum(naive_hessian(c)),
                        s.frobenius);  // the order is not disturbed
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
    NetworkCase c = make_case({{3, 4, 2}, {tanh}, true, 1.0, squared_loss}, 10);
    CpuContext context(1);
    Evaluator<CpuContext> evaluator(context, c.network, c.view(), 1);
    const std::vector<double> theta = c.flat_theta();
    evaluator.predict(make_view(theta.data(), 1, c.network.parameters()));
    std::copy_n(evaluator.logits().data, c.targets.size(),
                c.targets.begin());  // exactly what the network says
    const Spectrum s = analyze(c, {.tolerance = 0, .eigenvectors = false, .gauss_newton = true})[0];
    expect_spectrum(s.gauss_newton, s.eigenvalues, 0);  // δ is exactly zero: the same bits
}

TEST(Indices, ByHand) {
    const std::vector<double> values = {-4, -0.5, -0.04, 0, 0.04, 0.05, 2, 3};  // |λ|_max = 4
    const auto at = [&](double tolerance) {
        const SpectralIndices i = spectral_indices(values, tolerance);
        return std::pair{i.alpha * 8, i.gamma * 8};
    };
    EXPECT_EQ(at(0), (std::pair{3.0, 1.0}));
    EXPECT_EQ(at(0.01), (std::pair{2.0, 3.0}));  // ±0.04 is on the threshold: zero
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

TEST(Spectrum, ScalingLeavesZeroEigenvaluesAtACriticalPoint) {
    // Targets that the network itself gives: a minimum of cost 0, where H(T∘θ) = 0 for each of the 5 hidden
    // units and the one output.
    NetworkCase c = make_case({{2, 5, 1}, {esp}, true, 1.0, squared_loss}, 200);
    CpuContext context(1);
    Evaluator<CpuContext> evaluator(context, c.network, c.view(), 1);
    const std::vector<double> theta = c.flat_theta();
    evaluator.predict(make_view(theta.data(), 1, c.network.parameters()));
    std::copy_n(evaluator.logits().data, c.targets.size(), c.targets.begin());
    const Spectrum s = analyze(c)[0];
    EXPECT_EQ(s.alpha, 0);
    EXPECT_GE(s.gamma * static_cast<double>(s.eigenvalues.size()), 6 - 1e-9);
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

TEST(Spectrum, HessianIsHandedOverOnTheWay) {
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
    ASSERT_EQ(received.size(), 1U);  // the Gauss–Newton part is none
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
