#pragma once

// Spectra of the cases of network_cases.hpp, and what they are compared with.

#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"

#include <gtest/gtest.h>

#include "oracle/jacobi.hpp"
#include "oracle/naive_network.hpp"
#include "support/network_cases.hpp"
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace espectra::test {

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

inline std::vector<Spectrum> analyze(const NetworkCase& c, const SpectrumOptions& options = {},
                                     double gradient_error = 0, int threads = 2) {
    CpuContext context(threads);
    return analyze_on(context, c, options, gradient_error);
}

inline std::vector<double> naive_hessian(const NetworkCase& c, std::size_t replica = 0) {
    return oracle::naive_hessian(c.naive, c.thetas[replica], c.rows_x, c.rows_y);
}

inline std::vector<double> naive_spectrum(const std::vector<double>& hessian) {
    return oracle::jacobi_eigenvalues(hessian,
                                      static_cast<std::size_t>(std::lround(std::sqrt(hessian.size()))));
}

/// Expects ascending eigenvalues within 1e-13 ‖H‖_F. The Hessian agrees to that (hessian_test) and, by Weyl's
/// theorem, so do the eigenvalues; the rounding of the solvers, a few P·ε·‖H‖ ≤ 60·2e-16·‖H‖, is below it.
inline void expect_spectrum(const std::vector<double>& actual, const std::vector<double>& expected,
                            double frobenius) {
    ASSERT_EQ(actual.size(), expected.size());
    EXPECT_TRUE(std::is_sorted(actual.begin(), actual.end()));
    for (std::size_t i = 0; i < actual.size(); ++i)
        EXPECT_NEAR(actual[i], expected[i], 1e-13 * frobenius) << "eigenvalue " << i;
}

struct ShapeAndReplicas {
    NetworkShape shape;
    Index replicas = 1;
};

/// Shapes of up to 60 parameters with all losses, activations with and without symmetries, none to two hidden
/// layers.
inline std::vector<ShapeAndReplicas> spectrum_shapes() {
    using enum Activation;
    using enum Loss;
    return {{{{2, 5, 1}, {esp}, true, 1.0, sigmoid_cross_entropy}},
            {{{2, 4, 3}, {esp}, true, 1.0, softmax_cross_entropy}, 2},
            {{{3, 4, 2}, {relu}, true, 1.0, mean_squared_error}},
            {{{3, 3, 3, 2}, {relu}, true, 1.0, softmax_cross_entropy}, 3},
            {{{3, 3, 2, 2}, {esp, relu}, true, 1.0, sigmoid_cross_entropy}},
            {{{2, 3, 3, 1}, {tanh}, true, 1.0, mean_squared_error}},
            {{{4, 3}, {}, true, 1.0, softmax_cross_entropy}}};
}

/// A 2-3-2 relu network whose second hidden unit is off for all examples (|x| < 4), and only that.
inline NetworkCase with_dead_relu(Loss loss = Loss::sigmoid_cross_entropy, Index examples = 15,
                                  Activation activation = Activation::relu) {
    NetworkCase c = make_case({{2, 3, 2}, {activation}, true, 1.0, loss}, examples);
    const std::vector<double> hidden = {1, 0.5, 0.01, 0.01, -0.6, 1, /* biases */ 0.2, -5, 0.1};
    std::copy(hidden.begin(), hidden.end(), c.thetas[0].begin());
    return c;
}

/// The case with the outputs of the network as targets: a minimum of cost 0, whose gradient is exactly zero.
inline NetworkCase taught(NetworkCase c) {
    CpuContext context(1);
    Evaluator<CpuContext> evaluator(context, c.network, c.view(), 1);
    const std::vector<double> theta = c.flat_theta();
    evaluator.predict(make_view(theta.data(), 1, c.network.parameters()));
    std::copy_n(evaluator.logits().data, c.targets.size(), c.targets.begin());
    return c;
}

}  // namespace espectra::test
