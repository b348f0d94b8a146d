// The pipeline with several workers, stopped and resumed, within this process (also under ThreadSanitizer).

#include "espectra/experiments/run/pipeline.hpp"

#include "espectra/experiments/replay/replay.hpp"
#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "experiments/run/run_test.hpp"
#include "support/results_content.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

namespace espectra {
namespace {

/// Expects both files to hold the same bits, except for eigenvalues. Eigensolvers are backward stable: their
/// eigenvalues are within P·ε·‖H‖ of the exact ones, whatever batch a matrix is solved in. Hessians that are
/// summed over `terms` examples in another order differ by up to terms·ε·‖H‖.
void expect_same_training(const std::filesystem::path& a, const std::filesystem::path& b,
                          const std::vector<PlannedNetwork>& networks, Index terms) {
    const Hdf5File first = Hdf5File::open(a), second = Hdf5File::open(b);
    EXPECT_EQ(test::state_of(first), test::state_of(second));
    for (const PlannedNetwork& planned : networks) {
        const auto read = [&](const Hdf5File& file, const char* name) {
            return file.read<double>(planned.name + "/" + name);
        };
        for (const char* name : {"theta_initial", "theta", "cost", "gradient_norm", "accuracy_train",
                                 "accuracy_test", "zero_residuals", "tau", "gamma_dead", "gamma_dead_inputs",
                                 "gamma_dead_units", "gamma_symmetry", "gamma_numerical", "alpha", "gamma"})
            test::expect_same_bits(read(first, name), read(second, name), planned.name + "/" + name);
        const Index p = planned.network.parameters();
        const double bound = 2 * static_cast<double>(p + terms) * std::numeric_limits<double>::epsilon();
        const auto frobenius = read(first, "frobenius");
        const auto expect_close = [&](const char* name, Index numbers, bool relative) {
            const auto x = read(first, name), y = read(second, name);
            ASSERT_EQ(x.size(), y.size());
            for (std::size_t i = 0; i < x.size(); ++i) {
                ASSERT_EQ(std::isnan(x[i]), std::isnan(y[i])) << planned.name << "/" << name << " " << i;
                if (std::isnan(x[i])) continue;
                const double scale = relative ? frobenius[i / static_cast<std::size_t>(numbers)] : 1;
                ASSERT_LE(std::fabs(x[i] - y[i]), bound * scale) << planned.name << "/" << name << " " << i;
            }
        };
        expect_close("eigenvalues", p, true);
        expect_close("frobenius", 1, true);
        expect_close("trace_error", 1, false);  // already relative to ‖H‖
        expect_close("symmetry_residual", 1, false);
    }
}

class PipelineTest : public test::RunTest {
  protected:
    explicit PipelineTest(const char* recipe = test::small_sweep) : RunTest(recipe) {}

    using RunTest::run;
    RunOutcome run(const std::string& name, int workers) { return run(name, WorkPlan{.workers = workers}); }

    /// Returns every number of a results file that does not depend on time.
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

TEST_F(PipelineTest, StopsAndResumesToTheSameResult) {
    const std::vector<double> expected = content(run("whole", 2).file);
    const auto folder = output("parts");
    std::stop_source stop;
    Index reported = 0;
    const RunOutcome first =
        run(create("parts"), {.workers = 3}, stop.get_token(), [&](const RunProgress& progress) {
            reported = progress.spectra_total;
            stop.request_stop();
        });
    EXPECT_EQ(reported, 9 * networks_.front().snapshots());
    EXPECT_TRUE(first.state == RunState::interrupted || first.spectra == reported);
    EXPECT_TRUE(std::filesystem::exists(ResultsFile::final_path(folder)));
    const RunOutcome second = run(resume("parts"), {.workers = 2});
    EXPECT_EQ(second.state, RunState::complete);
    EXPECT_EQ(first.spectra + second.spectra, reported);
    EXPECT_EQ(content(second.file), expected);
}

TEST_F(PipelineTest, BatchesOfAnySizeGiveTheSame) {
    const auto single = run("single", 2).file;
    EXPECT_EQ(content(run("batch1", batches_of(1)).file), content(single));
    for (const Index replicas : {2, 3}) {
        const RunOutcome outcome = run("batch" + std::to_string(replicas), batches_of(replicas));
        EXPECT_EQ(outcome.state, RunState::complete);
        expect_same_training(outcome.file, single, networks_, 0);
    }
    WorkPlan free = batches_of(2);  // batches trained and analysed at the same time
    free.workers = free.trainings = free.analyses = 3;
    expect_same_training(run("free", free).file, single, networks_, 0);
}

TEST_F(PipelineTest, ReplaysItsOwnResults) {
    const RunOutcome outcome = run("own", 2);
    const ReplayReport report = replay(open_recorded_runs(outcome.file), CpuDevice{.threads = 2}, nullptr);
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

/// Gradient descent with too large a step: of the six replicas, 0 and 4 diverge at epochs 23 and 34. Before
/// that their gradient is not finite while their cost still is.
class DivergingPipelineTest : public PipelineTest {
  protected:
    DivergingPipelineTest()
        : PipelineTest(R"(
data.source = "linear"
network = { hidden = [4], loss = "mean_squared_error" }
train = { epochs = 45, replicas = 6, optimizer = "gradient_descent", learning_rate = 1.0, decay = { rate = 1.0 } }
spectrum.schedule = { dense_until = 45, dense_step = 1 }
)") {}

    static std::set<std::pair<Index, std::string>> reasons(const RunOutcome& outcome) {
        std::set<std::pair<Index, std::string>> all;
        for (const Failure& failure : outcome.failures) all.insert({failure.replica, failure.reason});
        EXPECT_EQ(all.size(), outcome.failures.size());
        return all;
    }
};

TEST_F(DivergingPipelineTest, AReplicaFailsAlone) {
    const RunOutcome single = run("single", batches_of(1));
    EXPECT_EQ(single.state, RunState::diverged);
    const auto expected = reasons(single);
    std::set<Index> failed;
    for (const auto& [replica, reason] : expected) failed.insert(replica);
    EXPECT_EQ(failed, (std::set<Index>{0, 4}));
    EXPECT_TRUE(expected.contains({0, "diverged: the cost is not finite at epoch 23"}));
    EXPECT_TRUE(expected.contains({4, "diverged: the cost is not finite at epoch 34"}));
    EXPECT_GT(expected.size(), 2u);  // and spectra that failed before
    for (const Index replicas : {2, 3, 6}) {
        const RunOutcome outcome = run("batch" + std::to_string(replicas), batches_of(replicas));
        EXPECT_EQ(outcome.spectra, single.spectra) << replicas;
        EXPECT_EQ(reasons(outcome), expected) << replicas;
        expect_same_training(outcome.file, single.file, networks_, 0);
    }
}

/// Makes `target` a file as left by an interruption: copies the records of `source` for which `keep` returns
/// true.
void copy_records(const Hdf5File& source, ResultsFile& target, const std::vector<PlannedNetwork>& networks,
                  const std::function<bool(std::size_t network, Index replica, Index snapshot)>& keep) {
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const Index p = networks[n].network.parameters(), snapshots = networks[n].snapshots();
        const auto read = [&](const char* name) {
            return source.read<double>(networks[n].name + "/" + name);
        };
        const auto theta = read("theta"), eigenvalues = read("eigenvalues");
        const auto initial = read("theta_initial");
        for (Index r = 0; r < networks[n].recipe.replicas; ++r)
            for (Index e = 0; e < snapshots; ++e) {
                if (!keep(n, r, e)) continue;
                target.write_initial(n, r, {initial.begin() + r * p, initial.begin() + (r + 1) * p});
                const Index at = r * snapshots + e;
                const auto number = [&](const char* name) {
                    return read(name)[static_cast<std::size_t>(at)];
                };
                SnapshotRecord record;
                record.theta.assign(theta.begin() + at * p, theta.begin() + (at + 1) * p);
                record.cost = number("cost");
                record.gradient_norm = number("gradient_norm");
                record.accuracy_train = number("accuracy_train");
                record.accuracy_test = number("accuracy_test");
                record.zero_residuals = number("zero_residuals");
                record.spectrum.eigenvalues.assign(eigenvalues.begin() + at * p,
                                                   eigenvalues.begin() + (at + 1) * p);
                record.spectrum.alpha = number("alpha");
                record.spectrum.gamma = number("gamma");
                record.spectrum.gamma_dead = number("gamma_dead");
                record.spectrum.gamma_dead_inputs = number("gamma_dead_inputs");
                record.spectrum.gamma_dead_units = number("gamma_dead_units");
                record.spectrum.gamma_symmetry = number("gamma_symmetry");
                record.spectrum.gamma_numerical = number("gamma_numerical");
                record.spectrum.tolerance = number("tau");
                record.spectrum.trace = number("trace");
                record.spectrum.frobenius = number("frobenius");
                record.spectrum.trace_error = number("trace_error");
                record.spectrum.symmetry_residual = number("symmetry_residual");
                target.write(n, r, e, record);
            }
    }
}

TEST_F(PipelineTest, ResumesMissingRecordsOfABatch) {
    const RunOutcome whole = run("whole", 2);
    {
        ResultsFile parts = create("parts");
        copy_records(Hdf5File::open(whole.file), parts, networks_,
                     [](std::size_t network, Index replica, Index snapshot) {
                         if (network == 0) return replica == 1;  // one replica is complete
                         if (network == 1) return (replica + snapshot) % 3 != 0;
                         return false;  // not begun
                     });
        parts.finish(RunState::interrupted, 1.0);
    }
    Index missing = 0;
    {
        const ResultsFile parts = resume("parts");
        for (std::size_t n = 0; n < networks_.size(); ++n)
            for (Index r = 0; r < 3; ++r)
                for (Index e = 0; e < networks_[n].snapshots(); ++e) missing += !parts.complete(n, r, e);
    }
    const RunOutcome resumed = run(resume("parts"), batches_of(3));
    EXPECT_EQ(resumed.state, RunState::complete);
    EXPECT_EQ(resumed.spectra, missing);
    EXPECT_LT(missing, whole.spectra);
    expect_same_training(resumed.file, whole.file, networks_, 0);
}

TEST_F(PipelineTest, StopsInBatchesAndResumesInOthers) {
    const auto whole = run("whole", 2).file;
    std::stop_source stop;
    const RunOutcome first = run(create("parts"), batches_of(3), stop.get_token(),
                                 [&](const RunProgress&) { stop.request_stop(); });
    const RunOutcome second = run(resume("parts"), batches_of(2));
    EXPECT_EQ(second.state, RunState::complete);
    EXPECT_EQ(first.spectra + second.spectra, 9 * networks_.front().snapshots());
    expect_same_training(second.file, whole, networks_, 0);
}

// The kernels of a CUDA device, run by groups of threads. No product of these networks goes through BLAS, so
// training has the same bits; Hessians and eigenvalues have other algorithms.
TEST_F(PipelineTest, GroupKernelsGiveTheSameTraining) {
    load({"train.epochs=12"});
    const RunOutcome expected = run("cpu", 1);
    const RunPlan plan(networks_, batches_of(2));
    Pipeline<test::EmulatedContext> pipeline(plan, MissingWork(networks_), create("emulated"),
                                             [] { return test::EmulatedContext(3); });
    const RunOutcome emulated = pipeline.run({}, nullptr);
    expect_same_training(emulated.file, expected.file, networks_, networks_.front().data->train_examples);
}

TEST_F(PipelineTest, CombinationsOfOneKindShareBatches) {
    load({"sweep.train.seed=[1, 100]", "sweep.train.learning_rate=[0.01, 0.03]"});
    networks_ = plan_networks(experiment_);
    const std::vector<std::size_t> kinds = RunPlan(networks_).kinds;
    ASSERT_EQ(networks_.size(), 12u);
    for (std::size_t n = 0; n < networks_.size(); ++n)
        for (std::size_t other = 0; other < n; ++other)
            EXPECT_EQ(kinds[n] == kinds[other],
                      networks_[n].recipe.activations == networks_[other].recipe.activations);
    // Four combinations of three replicas each in one batch of twelve, and alone: the same records.
    const RunOutcome together = run("together", batches_of(12)), alone = run("alone", batches_of(1));
    EXPECT_EQ(together.replicas_per_batch, 12);
    expect_same_training(together.file, alone.file, networks_, 0);
}

}  // namespace
}  // namespace espectra
