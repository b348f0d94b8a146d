// `espectra replay` of the recorded runs on a CUDA device, within the limits that hold on the CPU. Without a
// device the tests are skipped, or fail with ESPECTRA_REQUIRE_GPU=1.

#include "espectra/runtime/cuda/device.hpp"

#include <gtest/gtest.h>

#include "experiments/replay/recorded_runs.hpp"
#include "support/program_run.hpp"
#include "support/skip_without_device.hpp"
#include <chrono>
#include <string>

namespace espectra {
namespace {

using namespace test;

class RunsOnADevice : public RecordedRuns {
  protected:
    void SetUp() override {
        RecordedRuns::SetUp();
        if (!IsSkipped() && !HasFatalFailure() && !cuda_problem().empty())
            skip_without_device(cuda_problem());
    }

    ReplayReport replayed(const std::string& device) const {
        Program program({"replay", path_.string(), "--device", device, "--json"});
        const ProgramResult result = program.wait(std::chrono::seconds(3000));
        EXPECT_EQ(result.status, 0) << result.err;
        const nlohmann::json json = result.json();
        const auto number = [&](const char* name) {
            return json.at(name).is_null() ? ReplayReport::none : json.at(name).get<double>();
        };
        ReplayReport report;
        report.hessian_relative_error_max = number("hessian_relative_error_max");
        report.residual_error_max = number("residual_error_max");
        report.eigenvalue_error_max = number("eigenvalue_error_max");
        report.gamma_dead_mismatches = json.at("gamma_dead_mismatches");
        report.negative_count_mismatches = json.at("negative_count_mismatches");
        report.theta_error_median = number("theta_error_median");
        report.theta_error_max = number("theta_error_max");
        report.cost_error_max = number("cost_error_max");
        report.symmetry_residual_max = number("symmetry_residual_max");
        report.trace_error_max = number("trace_error_max");
        report.snapshots = json.at("snapshots");
        report.parameters = json.at("parameters");
        std::printf("%s %s: %.1f s, training %.1f s\n", GetParam().name.c_str(), device.c_str(),
                    result.seconds, json.at("seconds_training").get<double>());
        return report;
    }
};

/// Networks with few inputs: their θ and costs are those of the CPU, bit for bit, and so are the differences
/// from the recorded ones.
class SmallRunsOnADevice : public RunsOnADevice {};

TEST_P(SmallRunsOnADevice, AreReproducedAsOnTheCpu) {
    const ReplayReport actual = replayed("cuda"), expected = replayed("cpu");
    expect_reproduced(GetParam(), actual);
    EXPECT_EQ(actual.snapshots, expected.snapshots);
    EXPECT_EQ(actual.theta_error_median, expected.theta_error_median);
    EXPECT_EQ(actual.theta_error_max, expected.theta_error_max);
    EXPECT_EQ(actual.cost_error_max, expected.cost_error_max);
}

class DigitsOnADevice : public RunsOnADevice {};

TEST_P(DigitsOnADevice, AreReproduced) { expect_reproduced(GetParam(), replayed("cuda")); }

INSTANTIATE_TEST_SUITE_P(Authors, SmallRunsOnADevice, small_recorded_runs, run_name);
INSTANTIATE_TEST_SUITE_P(Authors, DigitsOnADevice, recorded_digits, run_name);

}  // namespace
}  // namespace espectra
