// The pipeline with several workers, stopped and resumed, within this process: under ThreadSanitizer as well.

#include "espectra/experiments/pipeline.hpp"

#include "espectra/experiments/recorded_run.hpp"
#include "espectra/experiments/replay.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "temporary_folder.hpp"
#include <cmath>
#include <fstream>

namespace espectra {
namespace {

class PipelineTest : public ::testing::Test {
  protected:
    PipelineTest() {
        std::ofstream(folder_ / "r.toml") << R"(
data.source = "linear"
network.hidden = [4]
train = { epochs = 60, replicas = 3 }
spectrum.schedule = { dense_until = 30, dense_step = 5, step = 10 }
sweep."network.activation" = ["esp", "relu", "sigmoid"]
)";
        experiment_ = load_experiment(folder_ / "r.toml", {});
        networks_ = plan_networks(experiment_);
    }

    std::filesystem::path output(const std::string& name) {
        std::filesystem::create_directories(folder_ / name);
        return folder_ / name;
    }

    RunOutcome run(ResultsFile results, int workers, std::stop_token stop = {},
                   const Pipeline<CpuContext>::Report& report = nullptr) {
        Pipeline<CpuContext> pipeline(networks_, std::move(results), {.workers = workers},
                                      [] { return CpuContext(1); });
        return pipeline.run(stop, report);
    }
    RunOutcome run(const std::string& name, int workers) {
        return run(ResultsFile::create(output(name), experiment_, networks_, "test", "test"), workers);
    }

    /// Every number of a results file that does not depend on the time.
    std::vector<double> content(const std::filesystem::path& path) {
        const Hdf5File file = Hdf5File::open(path);
        std::vector<double> all;
        for (const PlannedNetwork& planned : networks_)
            for (const char* name :
                 {"theta_initial", "theta", "eigenvalues", "cost", "gradient_norm", "accuracy_train",
                  "accuracy_test", "zero_residuals", "alpha", "gamma", "gamma_dead", "trace_error"}) {
                const auto values = file.read<double>(planned.name + "/" + name);
                all.insert(all.end(), values.begin(), values.end());
            }
        return all;
    }

    test::TemporaryFolder folder_;
    Experiment experiment_;
    std::vector<PlannedNetwork> networks_;
};

TEST_F(PipelineTest, GivesTheSameBitsForAnyNumberOfWorkers) {
    const RunOutcome one = run("one", 1);
    EXPECT_EQ(one.state, RunState::complete);
    EXPECT_EQ(one.spectra, 9 * networks_.front().snapshots());
    const std::vector<double> expected = content(one.file);
    for (const double value : expected) ASSERT_FALSE(std::isnan(value));
    for (const int workers : {2, 4}) {
        const RunOutcome several = run("workers" + std::to_string(workers), workers);
        EXPECT_EQ(content(several.file), expected) << workers;
    }
}

TEST_F(PipelineTest, StopsAndGoesOnToTheSameResult) {
    const std::vector<double> expected = content(run("whole", 2).file);
    const auto folder = output("parts");
    std::stop_source stop;
    Index reported = 0;
    const RunOutcome first = run(ResultsFile::create(folder, experiment_, networks_, "test", "test"), 3,
                                 stop.get_token(), [&](const RunProgress& progress) {
                                     reported = progress.spectra_total;
                                     stop.request_stop();
                                 });
    EXPECT_EQ(reported, 9 * networks_.front().snapshots());
    EXPECT_TRUE(first.state == RunState::interrupted || first.spectra == reported);
    EXPECT_TRUE(std::filesystem::exists(ResultsFile::final_path(folder)));
    const RunOutcome second = run(ResultsFile::resume(folder, experiment_, networks_), 2);
    EXPECT_EQ(second.state, RunState::complete);
    EXPECT_EQ(first.spectra + second.spectra, reported);
    EXPECT_EQ(content(second.file), expected);
}

TEST_F(PipelineTest, ReplaysItsOwnResults) {
    const RunOutcome outcome = run("own", 2);
    const ReplayReport report = replay(open_recorded_runs(outcome.file), 2, nullptr);
    EXPECT_EQ(report.snapshots, outcome.spectra);
    EXPECT_EQ(report.theta_error_max, 0.0);
    EXPECT_EQ(report.cost_error_max, 0.0);
    EXPECT_EQ(report.eigenvalue_error_max, 0.0);
    EXPECT_EQ(report.gamma_dead_mismatches, 0);
    EXPECT_EQ(report.negative_count_mismatches, 0);
}

TEST_F(PipelineTest, KeepsTheOthersWhenOneNetworkDiverges) {
    networks_[1].recipe.training.optimizer = Optimizer::gradient_descent;
    networks_[1].recipe.training.learning_rate = 1e300;
    const RunOutcome outcome = run("diverged", 3);
    EXPECT_EQ(outcome.state, RunState::diverged);
    ASSERT_EQ(outcome.failures.size(), 3u);
    EXPECT_EQ(outcome.failures.front().network, networks_[1].name);
    EXPECT_NE(outcome.failures.front().reason.find("not finite at epoch"), std::string::npos);
    EXPECT_EQ(outcome.summary[0].epoch, 60);
    EXPECT_EQ(outcome.summary[2].epoch, 60);
    EXPECT_LT(outcome.summary[1].epoch, 60);
}

TEST_F(PipelineTest, PlansWorkByMemory) {
    const WorkPlan plenty = plan_work(networks_, 8, std::size_t{8} << 30);
    EXPECT_EQ(plenty.workers, 8);
    EXPECT_EQ(plenty.threads_per_worker, 1);
    const std::size_t one = plenty.bytes_needed / 8;
    const WorkPlan little = plan_work(networks_, 8, one + one / 2);
    EXPECT_EQ(little.workers, 1);
    EXPECT_EQ(little.threads_per_worker, 8);
    EXPECT_THROW(plan_work(networks_, 8, one / 2), ResourceError);
}

}  // namespace
}  // namespace espectra
