// The recorded runs of the paper's authors, computed again. The files are not part of this project; they are
// searched in $ESPECTRA_RECORDED_RUNS, then next to the checkout. Without them the tests are skipped, or fail
// if $ESPECTRA_REQUIRE_RECORDED_RUNS is set.

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/experiments/replay/replay.hpp"
#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace espectra {
namespace {

struct Recorded {
    std::string name;
    // Relative error of θ over the recorded epochs when retrained from theta_initial, as measured with an
    // independent float64 implementation. The limits are three times these.
    double theta_median, theta_max;
};

// nonlinear_2-10-1_esp is chaotic: changing theta_initial by one unit in the last place moves the largest
// error between 0.8e-3 and 8e-3. It is within the limit for the arithmetic of this project, which for
// networks of this size is the same on every machine: no BLAS, no fused multiply-adds, sums in a fixed order.
const Recorded recorded_runs[] = {
    {"linear_2-10-1_esp", 5e-6, 4e-5},        {"linear_2-10-1_relu", 5e-7, 2e-4},
    {"linear_2-10-1_sigmoid", 2e-7, 5e-7},    {"linear_2-8-2-1_esp", 2e-7, 5e-7},
    {"linear_2-8-2-1_relu", 2e-7, 2e-7},      {"linear_2-8-2-1_sigmoid", 6e-7, 2e-4},
    {"nonlinear_2-10-1_esp", 3e-4, 1.3e-3},   {"nonlinear_2-10-1_relu", 4e-7, 6e-7},
    {"nonlinear_2-10-1_sigmoid", 1e-6, 5e-6}, {"digits_64-25-10_esp", 7e-7, 1e-6},
};

std::filesystem::path folder() {
    const char* chosen = std::getenv("ESPECTRA_RECORDED_RUNS");
    return chosen ? chosen : ESPECTRA_RECORDED_RUNS;
}

class RecordedRuns : public ::testing::TestWithParam<Recorded> {
  protected:
    void SetUp() override {
        if (std::filesystem::exists(path_)) return;
        if (std::getenv("ESPECTRA_REQUIRE_RECORDED_RUNS")) FAIL() << path_ << ": no such file";
        GTEST_SKIP() << path_
                     << ": no such file; set ESPECTRA_RECORDED_RUNS to the folder of the recorded runs";
    }
    const std::filesystem::path path_ = folder() / (GetParam().name + ".h5");
};

TEST_P(RecordedRuns, AreReproduced) {
    const Recorded& expected = GetParam();
    const auto runs = open_recorded_runs(path_);
    const ReplayReport report = replay(runs, CpuDevice{}, nullptr);
    EXPECT_EQ(report.snapshots, runs.front().snapshots());
    EXPECT_GT(report.snapshots, 30);

    const bool digits = expected.name.starts_with("digits");
    if (digits) {  // Hessians and residuals were not recorded
        EXPECT_TRUE(std::isnan(report.hessian_relative_error_max));
    } else {
        // float32 rounding of 1/m in the recorded loss: up to 3.5e-8.
        EXPECT_LE(report.hessian_relative_error_max, 4e-8);
        EXPECT_LE(report.residual_error_max, 1e-14);
    }
    EXPECT_LE(report.eigenvalue_error_max, 1e-7);
    EXPECT_EQ(report.gamma_dead_mismatches, 0);
    EXPECT_EQ(report.negative_count_mismatches, 0);
    EXPECT_LE(report.theta_error_median, 3 * expected.theta_median);
    EXPECT_LE(report.theta_error_max, 3 * expected.theta_max);
    EXPECT_LE(report.trace_error_max, certificate_limit(report.parameters));
    if (expected.name.ends_with("sigmoid"))
        EXPECT_TRUE(std::isnan(report.symmetry_residual_max));
    else
        EXPECT_LE(report.symmetry_residual_max, certificate_limit(report.parameters));
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

/// All runs except the digits, whose first layer has too many inputs for sums in one fixed order everywhere.
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

std::string test_name(const ::testing::TestParamInfo<Recorded>& run) {
    std::string name = run.param.name;
    std::ranges::replace(name, '-', '_');
    return name;
}
INSTANTIATE_TEST_SUITE_P(Authors, RecordedRuns, ::testing::ValuesIn(recorded_runs), test_name);
INSTANTIATE_TEST_SUITE_P(Authors, SmallRecordedRuns,
                         ::testing::ValuesIn(std::begin(recorded_runs), std::end(recorded_runs) - 1),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Authors, RecordedDigits, ::testing::Values(std::end(recorded_runs)[-1]), test_name);

}  // namespace
}  // namespace espectra
