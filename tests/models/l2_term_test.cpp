// The L2 term in the cost, its gradient, its Hessian and all that is computed from them.

#include "espectra/models/critical_point.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/hessian_vector.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "support/backend_work.hpp"
#include "support/network_cases.hpp"
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace espectra {
namespace {

using namespace ::espectra::test;
using enum Activation;

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr double lambda = 0.25;
constexpr DecayedParameters weights = DecayedParameters::weights, all = DecayedParameters::all;

/// Cost, gradient, Hessian (upper triangle) and Gauss–Newton part of one network.
struct Objective {
    Values cost, gradient, hessian, gauss_newton;
};

template <class C>
Objective objective(C& context, const NetworkCase& c, std::size_t chunk_bytes) {
    const ResidentCase<C> resident(context, c);
    Evaluator<C> evaluator(context, c.network, resident.examples(), resident.replicas);
    evaluator.evaluate(resident.theta());
    return {fetch(context, evaluator.cost().data, resident.replicas),
            fetch(context, evaluator.gradient().data, evaluator.gradient().size()),
            hessians(context, c, HessianPart::full, chunk_bytes),
            hessians(context, c, HessianPart::gauss_newton, chunk_bytes)};
}

NetworkCase with_l2(const NetworkCase& c, const WeightDecay& l2) {
    NetworkShape shape = c.network.shape();
    shape.l2 = l2;
    NetworkCase changed = c;
    changed.network = Network(shape);
    return changed;
}

/// λ_p by the definition: of weights, or of every parameter.
Values coefficients(const Network& network, DecayedParameters parameters) {
    Values list;
    for (const Layer& layer : network.layers()) {
        list.insert(list.end(), static_cast<std::size_t>(layer.units * layer.inputs), lambda);
        const Index others = layer.units * (layer.trainable_beta ? 2 : 1);
        list.insert(list.end(), static_cast<std::size_t>(others), parameters == all ? lambda : 0.0);
    }
    return list;
}

TEST(L2Term, ByHand) {
    // z = 2·1 + 3, y = 0, θ = (2, 3), λ = ½: ℓ = 25, ∇ℓ = (10, 10), H = 2 (1 1; 1 1).
    NetworkCase c = make_case({{1, 1}, {}, true, 1.0, Loss::mean_squared_error}, 1);
    c.features = {1};
    c.targets = {0};
    c.thetas = {{2, 3}};
    CpuContext context(1);
    const Objective of_weights = objective(context, with_l2(c, {0.5, weights}), CpuContext::chunk_bytes);
    EXPECT_EQ(of_weights.cost, Values{26});
    EXPECT_EQ(of_weights.gradient, (Values{11, 10}));
    EXPECT_EQ(of_weights.hessian, (Values{2.5, 2, 2}));
    EXPECT_EQ(of_weights.gauss_newton, (Values{2.5, 2, 2}));
    const Objective of_all = objective(context, with_l2(c, {0.5, all}), CpuContext::chunk_bytes);
    EXPECT_EQ(of_all.cost, Values{28.25});
    EXPECT_EQ(of_all.gradient, (Values{11, 11.5}));
    EXPECT_EQ(of_all.hessian, (Values{2.5, 2, 2.5}));
}

/// Deep, shallow and wide networks, none to three hidden layers, with and without β; one has more than 512
/// parameters. The way of the Hessian is that of the size, or step by step in chunks.
std::vector<NetworkCase> cases() {
    const Loss softmax = Loss::softmax_cross_entropy;
    return {make_case({{3, 2}, {}, true, 1.0, softmax}, 9, 2),
            make_case({{2, 6, 1}, {esp}, true, 1.0, {}}, 20, 3),
            make_case({{3, 4, 3, 3, 2}, {esp, relu, tanh}, true, 1.0, softmax}, 11, 2),
            make_case({{20, 25, 3}, {tanh}, true, 1.0, softmax}, 15)};
}

template <class C>
void expect_term(C& context, const NetworkCase& c, DecayedParameters parameters, std::size_t chunk_bytes) {
    const Objective plain = objective(context, c, chunk_bytes),
                    with = objective(context, with_l2(c, {lambda, parameters}), chunk_bytes);
    const Values coefficient = coefficients(c.network, parameters), theta = c.flat_theta();
    const std::size_t p = coefficient.size();
    for (std::size_t r = 0; r < c.thetas.size(); ++r) {
        double term = 0;
        for (std::size_t i = 0; i < p; ++i) {
            const double value = theta[r * p + i];
            term += 0.5 * coefficient[i] * value * value;
            EXPECT_EQ(with.gradient[r * p + i], plain.gradient[r * p + i] + coefficient[i] * value);
        }
        // Sums of p terms in another order: p ε of their size.
        EXPECT_NEAR(with.cost[r], plain.cost[r] + term, 2 * static_cast<double>(p) * eps * (1 + term));
        // Row i of an upper triangle begins with the diagonal.
        std::size_t at = r * p * (p + 1) / 2;
        for (std::size_t i = 0; i < p; ++i)
            for (std::size_t j = i; j < p; ++j, ++at) {
                const double diagonal = i == j ? coefficient[i] : 0;
                ASSERT_EQ(with.hessian[at], plain.hessian[at] + diagonal) << i << ", " << j;
                ASSERT_EQ(with.gauss_newton[at], plain.gauss_newton[at] + diagonal) << i << ", " << j;
            }
    }
}

TEST(L2Term, IsAddedToCostGradientAndHessian) {
    CpuContext cpu(2);
    EmulatedContext device(1);
    for (const NetworkCase& c : cases())
        for (const DecayedParameters parameters : {weights, all})
            for (const std::size_t chunk_bytes : {std::size_t{4000}, CpuContext::chunk_bytes}) {
                SCOPED_TRACE(c.network.widths_text());
                expect_term(cpu, c, parameters, chunk_bytes);
                expect_term(device, c, parameters, chunk_bytes);
            }
}

TEST(L2Term, BothBackendsHaveItsBits) {
    CpuContext cpu(2);
    for (const int threads : {1, 3, 33}) {
        EmulatedContext device(threads);
        for (const NetworkCase& plain : cases()) {
            const NetworkCase c = with_l2(plain, {lambda, all});
            const Values expected = evaluation(cpu, c), actual = evaluation(device, c);
            EXPECT_LT(relative_error(expected, actual), 1e-14);
            EXPECT_TRUE(c.network.inputs() > few_inputs || same_bits(expected, actual))
                << c.network.widths_text();
        }
    }
}

TEST(L2Term, HessianVectorProducts) {
    CpuContext context(2);
    for (const NetworkCase& c : cases())
        for (const DecayedParameters parameters : {weights, all}) {
            const Values plain = hessian_times_vector(context, c),
                         with = hessian_times_vector(context, with_l2(c, {lambda, parameters}));
            const Values coefficient = coefficients(c.network, parameters);
            for (std::size_t i = 0; i < plain.size(); ++i)
                EXPECT_EQ(with[i], plain[i] + coefficient[i % coefficient.size()] *
                                                  std::sin(1.0 + static_cast<double>(i)));  // the direction
        }
}

template <class C>
std::vector<Spectrum> spectra(C& context, const NetworkCase& c, bool gauss_newton = true) {
    const ResidentCase<C> resident(context, c);
    Evaluator<C> evaluator(context, c.network, resident.examples(), resident.replicas);
    evaluator.evaluate(resident.theta());
    SpectrumAnalyzer<C> analyzer(context, c.network, resident.examples(), resident.replicas,
                                 {.gauss_newton = gauss_newton});
    return analyzer.analyze(resident.theta(), evaluator.gradient());
}

template <class C>
void expect_shifted_spectra(C& context) {
    for (const NetworkCase& c : cases()) {
        SCOPED_TRACE(c.network.widths_text());
        const auto plain = spectra(context, c), with = spectra(context, with_l2(c, {lambda, all}));
        for (std::size_t r = 0; r < plain.size(); ++r) {
            const auto p = static_cast<double>(c.network.parameters());
            const double scale = plain[r].frobenius + lambda;
            for (std::size_t i = 0; i < plain[r].eigenvalues.size(); ++i) {
                EXPECT_NEAR(with[r].eigenvalues[i], plain[r].eigenvalues[i] + lambda, 4 * p * eps * scale);
                EXPECT_NEAR(with[r].gauss_newton[i], plain[r].gauss_newton[i] + lambda, 4 * p * eps * scale);
            }
            EXPECT_NEAR(with[r].trace, plain[r].trace + lambda * p, 4 * p * eps * scale);
            EXPECT_TRUE(std::isnan(with[r].symmetry_residual));
            EXPECT_EQ(with[r].gamma_symmetry, 0);
            EXPECT_EQ(with[r].gamma_dead, 0);
        }
    }
}

TEST(L2Term, OfAllParametersShiftsTheSpectrum) {
    CpuContext cpu(2);
    expect_shifted_spectra(cpu);
    EmulatedContext device(1);  // small networks would take fused_spectrum, which has no L2 term
    expect_shifted_spectra(device);
}

TEST(L2Term, LeavesNoScalingSymmetry) {
    const NetworkShape shape = {{2, 3, 1}, {relu}};
    EXPECT_EQ(Network(shape).scaling_direction_count(), 3);
    for (const DecayedParameters parameters : {weights, all}) {
        NetworkShape decayed = shape;
        decayed.l2 = {1e-5, parameters};
        EXPECT_EQ(Network(decayed).scaling_direction_count(), 0);
        EXPECT_TRUE(Network(decayed).scaling_directions().empty());
    }
}

TEST(L2Term, RidgeRegressionByHand) {
    // y = ax over x = ±1, ±2 (mean square 2.5) without intercept: ℓ = 2.5 (w − a)² + b² + ½λw², whose minimum
    // is w = 5a/(5 + λ), b = 0, with H = diag(5 + λ, 2).
    NetworkCase c = make_case({{1, 1}, {}, true, 1.0, Loss::mean_squared_error}, 4);
    c.features = {-2, -1, 1, 2};
    for (std::size_t e = 0; e < 4; ++e) c.targets[e] = 0.7 * c.features[e];
    c = with_l2(c, {0.5, weights});
    CpuContext context(1);
    CriticalPointSearch<CpuContext> search(context, c.network, c.view(), {});
    const CriticalPoint point = search.find({3, -1});
    EXPECT_TRUE(point.converged());
    EXPECT_NEAR(point.theta[0], 3.5 / 5.5, 1e-14);
    EXPECT_NEAR(point.theta[1], 0, 1e-14);
    EXPECT_NEAR(point.spectrum.eigenvalues[0], 2, 8 * eps);
    EXPECT_NEAR(point.spectrum.eigenvalues[1], 5.5, 8 * eps);
}

TEST(L2Term, RejectsBadCoefficients) {
    for (const double bad : {-1e-3, std::nan(""), std::numeric_limits<double>::infinity()}) {
        NetworkShape shape = {{2, 3, 1}, {relu}};
        shape.l2.coefficient = bad;
        EXPECT_THROW(Network{shape}, InputError);
    }
}

}  // namespace
}  // namespace espectra
