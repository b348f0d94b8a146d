// The recorded runs of the paper's authors, computed again on the CPU.

#include "experiments/replay/recorded_runs.hpp"

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace espectra {
namespace {

using namespace test;

TEST_P(RecordedRuns, AreReproduced) {
    const auto runs = open_recorded_runs(path_);
    const ReplayReport report = replay(runs, CpuDevice{}, nullptr);
    EXPECT_EQ(report.snapshots, runs.front().snapshots());
    expect_reproduced(GetParam(), report);
}

/// Compares spectra by the kernels of the CUDA backend with the recorded ones.
void expect_recorded_spectra(const RecordedRun& run, const std::vector<Index>& snapshots,
                             const char* method) {
    test::EmulatedContext context(1);
    const ResidentData<test::EmulatedContext> data(context, run.data);
    const Index count = std::ssize(snapshots), p = run.network.parameters();
    std::vector<double> thetas;
    for (const Index k : snapshots) {
        const auto theta = run.theta(k);
        thetas.insert(thetas.end(), theta.begin(), theta.end());
    }
    const auto theta = make_view(static_cast<const double*>(thetas.data()), count, p);
    Evaluator<test::EmulatedContext> evaluator(context, run.network, data.train(), count);
    evaluator.evaluate(theta);
    SpectrumAnalyzer<test::EmulatedContext> analyzer(context, run.network, data.train(), count, {});
    EXPECT_STREQ(analyzer.method(), method);
    const auto spectra = analyzer.analyze(theta, evaluator.gradient());
    for (std::size_t k = 0; k < snapshots.size(); ++k) {
        const Spectrum& spectrum = spectra[k];
        const auto recorded = run.eigenvalues(snapshots[k]);
        ASSERT_TRUE(spectrum.failure.empty()) << spectrum.failure;
        const double largest = std::max(std::fabs(recorded.front()), std::fabs(recorded.back()));
        for (std::size_t i = 0; i < recorded.size(); ++i)
            ASSERT_NEAR(spectrum.eigenvalues[i], recorded[i], 1e-7 * largest) << "snapshot " << snapshots[k];
        EXPECT_LE(spectrum.trace_error, certificate_limit(p));
        if (!std::isnan(spectrum.symmetry_residual)) {
            EXPECT_LE(spectrum.symmetry_residual, certificate_limit(p));
        }
    }
}

class SmallRecordedRuns : public RecordedRuns {};

// The kernels of the CUDA backend, run by one thread of the CPU: training in one block per network gives the
// same bits as the CPU backend, so that its results hold on a device too; spectra in one step equal the
// recorded ones.
TEST_P(SmallRecordedRuns, AreReproducedByTheKernelsOfTheCudaBackend) {
    const auto runs = open_recorded_runs(path_);
    const RecordedRun& run = runs.front();
    const auto trained = [&]<class C>(C context) {
        const ResidentData<C> data(context, run.data);
        const auto initial = run.theta_initial();
        Trainer<C> trainer(context, run.network, data.train(), {}, run.training, initial);
        trainer.advance_to(run.updates(run.snapshots() - 1));
        return std::pair(fetch(context, trainer.theta().data, run.network.parameters()),
                         std::string(trainer.method()));
    };
    const auto [expected, plain] = trained(CpuContext(1));
    const auto [actual, fused] = trained(test::EmulatedContext(1));
    EXPECT_EQ(fused, "fused, one block per replica");
    EXPECT_EQ(actual, expected);

    std::vector<Index> all(static_cast<std::size_t>(run.snapshots()));
    std::iota(all.begin(), all.end(), Index{0});
    expect_recorded_spectra(run, all, "in one step");
}

/// The network whose Hessian consists of products by tiles; one snapshot, since one thread of the CPU
/// replaces a device.
class RecordedDigits : public RecordedRuns {};

TEST_P(RecordedDigits, AreReproducedByTheKernelsOfTheCudaBackend) {
    const auto runs = open_recorded_runs(path_);
    expect_recorded_spectra(runs.front(), {runs.front().snapshots() - 1}, "assembled, then solved");
}

INSTANTIATE_TEST_SUITE_P(Authors, RecordedRuns, ::testing::ValuesIn(recorded_runs), run_name);
INSTANTIATE_TEST_SUITE_P(Authors, SmallRecordedRuns, small_recorded_runs, run_name);
INSTANTIATE_TEST_SUITE_P(Authors, RecordedDigits, recorded_digits, run_name);

}  // namespace
}  // namespace espectra
