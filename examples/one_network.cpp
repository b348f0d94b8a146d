// Computes the exact spectrum of one small network on the four examples of XOR: one_network

#include "espectra/models/evaluator.hpp"
#include "espectra/models/initial_theta.hpp"
#include "espectra/models/spectrum/analyzer.hpp"

#include <cstdio>
#include <vector>

int main() {
    using namespace espectra;
    const std::vector<double> x = {0, 0, 1, 1, 0, 1, 0, 1},
                              y = {0, 1, 1, 0};  // [feature, example], [output, example]
    const Examples<Space::host> examples{make_view(x.data(), 2, 4), make_view(y.data(), 1, 4)};
    const Network network({.widths = {2, 3, 1}, .hidden_activations = {Activation::esp}});
    const std::vector<double> theta =
        initial_theta(network, {.mean = 1.0, .standard_deviation = 0.1}, /*seed=*/1);
    const auto view = make_view(theta.data(), 1, network.parameters());  // [replica, parameter]

    CpuContext context;
    Evaluator<CpuContext> evaluator(context, network, examples, /*replicas=*/1);
    evaluator.evaluate(view);  // cost and gradient
    SpectrumAnalyzer<CpuContext> analyzer(context, network, examples, /*replicas=*/1, {});
    const Spectrum spectrum = analyzer.analyze(view, evaluator.gradient()).front();
    std::printf("cost %.6f, alpha %.3f, gamma %.3f, symmetry residual %.1e\n", evaluator.cost()(0),
                spectrum.alpha, spectrum.gamma, spectrum.symmetry_residual);
    return spectrum.eigenvalues.size() == 17 && spectrum.symmetry_residual < 1e-12 ? 0 : 1;
}
