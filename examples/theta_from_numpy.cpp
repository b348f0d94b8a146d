// Prints the spectra of networks whose parameters come from NumPy: theta_from_numpy FILE.h5
//
// The file is written with h5py (examples/theta_from_numpy.py): X (m, n) features, y (m) classes 0 and 1,
// theta (R, P) parameters of R networks n-5-1 with ESP units, in the order W1 row by row, b1, beta1, W2, b2,
// beta2 (docs/mathematics.md).

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/runtime/error.hpp"

#include <cstdio>
#include <vector>

int main(int argc, char** argv) try {
    using namespace espectra;
    if (argc != 2) throw InputError("usage: theta_from_numpy FILE.h5");
    const Hdf5File file = Hdf5File::open(argv[1]);
    const std::vector<Index> shape = file.extents("X");
    if (shape.size() != 2) throw InputError("X: expected two axes, examples and features");
    const Index m = shape[0], features = shape[1];
    const Network network({.widths = {features, 5, 1}, .hidden_activations = {Activation::esp}});

    const std::vector<double> x = transposed(file.read<double>("X"), m, features);  // [feature, example]
    const std::vector<double> y = file.read<double>("y", {m});
    const std::vector<double> theta = file.read<double>("theta", {-1, network.parameters()});
    const Index replicas = std::ssize(theta) / network.parameters();
    const Examples<Space::host> examples{make_view(x.data(), features, m), make_view(y.data(), 1, m)};
    const auto view = make_view(theta.data(), replicas, network.parameters());

    CpuContext context;
    Evaluator<CpuContext> evaluator(context, network, examples, replicas);
    evaluator.evaluate(view);
    SpectrumAnalyzer<CpuContext> analyzer(context, network, examples, replicas, {});
    const std::vector<Spectrum> spectra = analyzer.analyze(view, evaluator.gradient());
    for (std::size_t r = 0; r < spectra.size(); ++r)
        std::printf("network %zu: cost %.6f, alpha %.3f, gamma %.3f, lambda_min %.3e, lambda_max %.3e\n", r,
                    evaluator.cost()(static_cast<Index>(r)), spectra[r].alpha, spectra[r].gamma,
                    spectra[r].eigenvalues.front(), spectra[r].eigenvalues.back());
    return 0;
} catch (const espectra::Error& error) {
    std::fprintf(stderr, "theta_from_numpy: %s\n", error.what());
    return error.exit_status();
}
