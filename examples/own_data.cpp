// Trains a batch of networks on a data file and prints how their spectra change: own_data FILE [HIDDEN UNITS]
//
// FILE is a CSV file with the class in the last column, or any other format of docs/file-formats.md.

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/models/initial_theta.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/error.hpp"

#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char** argv) try {
    using namespace espectra;
    if (argc < 2) throw InputError("usage: own_data FILE [HIDDEN UNITS]");
    const Index hidden = argc > 2 ? std::atol(argv[2]) : 8, replicas = 4;

    const RawData raw = load_data(argv[1], /*seed=*/0, /*regression=*/false);
    const DataSet data = split_data(raw, /*test_fraction=*/0.2, /*seed=*/0, Scaling::standard,
                                    TargetEncoding::binary_when_two);
    const Network network(
        {.widths = {data.features, hidden, data.outputs}, .hidden_activations = {Activation::esp}});
    std::vector<double> theta;  // [replica, parameter]: each replica has a seed of its own
    for (Index replica = 0; replica < replicas; ++replica)
        for (const double value : initial_theta(network, {}, static_cast<std::uint64_t>(replica)))
            theta.push_back(value);

    CpuContext context;
    const ResidentData<CpuContext> examples(context, data);
    Trainer<CpuContext> trainer(context, network, examples.train(), examples.test(), {.learning_rate = 0.02},
                                theta);
    SpectrumAnalyzer<CpuContext> analyzer(context, network, examples.train(), replicas, {});
    std::printf("%ld networks %s, %ld parameters, %ld training examples\n", static_cast<long>(replicas),
                network.widths_text().c_str(), static_cast<long>(network.parameters()),
                static_cast<long>(data.train_examples));
    std::printf("%6s %8s %10s %8s %8s %12s\n", "epoch", "replica", "cost", "alpha", "gamma", "lambda_max");
    for (const std::int64_t epoch : {0, 50, 200}) {
        trainer.advance_to(epoch);
        const Snapshot<CpuContext> state = trainer.snapshot();
        const auto spectra = analyzer.analyze(state.theta.view(replicas, network.parameters()),
                                              state.gradient.view(replicas, network.parameters()));
        for (Index replica = 0; replica < replicas; ++replica) {
            const Spectrum& spectrum = spectra[static_cast<std::size_t>(replica)];
            std::printf("%6ld %8ld %10.3e %8.4f %8.4f %12.3e\n", static_cast<long>(epoch),
                        static_cast<long>(replica), state.cost.data()[replica], spectrum.alpha,
                        spectrum.gamma, spectrum.eigenvalues.back());
        }
    }
    return 0;
} catch (const espectra::Error& error) {
    std::fprintf(stderr, "own_data: %s\n", error.what());
    return error.exit_status();
}
