// The pipeline with several workers, stopped and resumed, within this process: under ThreadSanitizer as well.

#include "espectra/experiments/run/pipeline.hpp"

#include "espectra/experiments/replay/replay.hpp"
#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "support/results_content.hpp"
#include "support/temporary_folder.hpp"
#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <tuple>

namespace espectra {
namespace {

/// Both files hold the same bits, but for what comes out of the Hessians. Eigensolvers are backward stable:
/// each has its eigenvalues within P·ε·‖H‖ of the exact ones, whatever batch a matrix is solved in. Hessians
/// that are summed over `terms` examples in another order differ by terms·ε·‖H‖ at most.
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
        expect_close("trace_error", 1, false);  // relative to ‖H‖ themselves
        expect_close("symmetry_residual", 1, false);
    }
}

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

    RunOutcome run(ResultsFile results, const WorkPlan& plan, std::stop_token stop = {},
                   const Pipeline<CpuContext>::Report& report = nullptr) {
        Pipeline<CpuContext> pipeline(networks_, std::move(results), plan, [] { return CpuContext(1); });
        return pipeline.run(stop, report);
    }
    RunOutcome run(const std::string& name, const WorkPlan& plan) { return run(create(name), plan); }
    RunOutcome run(const std::string& name, int workers) { return run(name, WorkPlan{.workers = workers}); }
    ResultsFile create(const std::string& name) {
        return ResultsFile::create(output(name), experiment_, networks_, "test", "test");
    }

    /// As on a device: one batch trains while another one is analysed.
    WorkPlan batches_of(Index replicas) const {
        return {.workers = 2,
                .trainings = 1,
                .analyses = 1,
                .replicas_per_batch = std::vector<Index>(networks_.size(), replicas)};
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
    const RunOutcome first =
        run(create("parts"), {.workers = 3}, stop.get_token(), [&](const RunProgress& progress) {
            reported = progress.spectra_total;
            stop.request_stop();
        });
    EXPECT_EQ(reported, 9 * networks_.front().snapshots());
    EXPECT_TRUE(first.state == RunState::interrupted || first.spectra == reported);
    EXPECT_TRUE(std::filesystem::exists(ResultsFile::final_path(folder)));
    const RunOutcome second = run(ResultsFile::resume(folder, experiment_, networks_), {.workers = 2});
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
    WorkPlan free = batches_of(2);  // batches trained and analysed beside each other
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

/// Gradient descent with too long a step: of the six replicas, 0 and 4 diverge at epochs 23 and 34, and
/// before that have a gradient that is not finite though the cost still is.
class DivergingPipelineTest : public PipelineTest {
  protected:
    DivergingPipelineTest() {
        std::ofstream(folder_ / "d.toml") << R"(
data.source = "linear"
network = { hidden = [4], loss = "mean_squared_error" }
train = { epochs = 45, replicas = 6, optimizer = "gradient_descent", learning_rate = 1.0, decay = { rate = 1.0 } }
spectrum.schedule = { dense_until = 45, dense_step = 1 }
)";
        experiment_ = load_experiment(folder_ / "d.toml", {});
        networks_ = plan_networks(experiment_);
    }

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

/// A file as an interruption leaves it: `keep` says which records of `source` are there.
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

TEST_F(PipelineTest, ResumesWhatABatchMisses) {
    const RunOutcome whole = run("whole", 2);
    const auto folder = output("parts");
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
        const ResultsFile parts = ResultsFile::resume(folder, experiment_, networks_);
        for (std::size_t n = 0; n < networks_.size(); ++n)
            for (Index r = 0; r < 3; ++r)
                for (Index e = 0; e < networks_[n].snapshots(); ++e) missing += !parts.complete(n, r, e);
    }
    const RunOutcome resumed = run(ResultsFile::resume(folder, experiment_, networks_), batches_of(3));
    EXPECT_EQ(resumed.state, RunState::complete);
    EXPECT_EQ(resumed.spectra, missing);
    EXPECT_LT(missing, whole.spectra);
    expect_same_training(resumed.file, whole.file, networks_, 0);
}

TEST_F(PipelineTest, StopsInBatchesAndGoesOnInOthers) {
    const auto whole = run("whole", 2).file;
    const auto folder = output("parts");
    std::stop_source stop;
    const RunOutcome first = run(create("parts"), batches_of(3), stop.get_token(),
                                 [&](const RunProgress&) { stop.request_stop(); });
    const RunOutcome second = run(ResultsFile::resume(folder, experiment_, networks_), batches_of(2));
    EXPECT_EQ(second.state, RunState::complete);
    EXPECT_EQ(first.spectra + second.spectra, 9 * networks_.front().snapshots());
    expect_same_training(second.file, whole, networks_, 0);
}

// What a CUDA device does, in the hands of groups of threads: no product of these networks is BLAS's, so that
// training has the same bits; Hessians and eigenvalues have algorithms of their own.
TEST_F(PipelineTest, GroupKernelsGiveTheSameTraining) {
    experiment_ = load_experiment(folder_ / "r.toml", {"train.epochs=12"});
    networks_ = plan_networks(experiment_);
    const RunOutcome expected = run("cpu", 1);
    Pipeline<test::EmulatedContext> pipeline(networks_, create("emulated"), batches_of(2),
                                             [] { return test::EmulatedContext(3); });
    const RunOutcome emulated = pipeline.run({}, nullptr);
    expect_same_training(emulated.file, expected.file, networks_, networks_.front().data->train_examples);
}

TEST_F(PipelineTest, PlansWorkByMemory) {
    constexpr std::size_t plenty = std::size_t{8} << 30;
    for (PlannedNetwork& planned : networks_) planned.recipe.replicas = 1;
    const WorkPlan alone = plan_work(networks_, 8, plenty);
    EXPECT_EQ(alone.workers, 8);
    EXPECT_EQ(alone.threads_per_worker, 1);
    EXPECT_EQ(alone.replicas_per_batch, (std::vector<Index>{1, 1, 1}));
    const std::size_t one = alone.bytes_needed / 8;
    const WorkPlan little = plan_work(networks_, 8, one + one / 2);
    EXPECT_EQ(little.workers, 1);
    EXPECT_EQ(little.threads_per_worker, 8);
    EXPECT_THROW(plan_work(networks_, 8, one / 2), ResourceError);

    for (PlannedNetwork& planned : networks_) planned.recipe.replicas = 20;
    EXPECT_EQ(plan_work(networks_, 2, plenty).replicas_per_batch, (std::vector<Index>{10, 10, 10}));
    EXPECT_EQ(plan_work(networks_, 8, plenty).replicas_per_batch, (std::vector<Index>{7, 7, 7}));
    EXPECT_EQ(plan_work(networks_, 2, 2 * one + 1).batch(0), 1);  // the largest
}

TEST_F(PipelineTest, PlansMemoryForSearchesOfAnyOfAKind) {
    experiment_ = load_experiment(folder_ / "r.toml", {"sweep.train.seed=[1, 100]"});
    networks_ = plan_networks(experiment_);
    ASSERT_EQ(batch_kinds(networks_), (std::vector<std::size_t>{0, 0, 2, 2, 4, 4}));
    constexpr std::size_t plenty = std::size_t{8} << 30;
    const auto bytes = [&] { return plan_work(networks_, 2, plenty).bytes_needed; };
    CpuContext context(1);
    const auto device_bytes = [&] { return plan_batches(context, networks_, plenty, plenty).bytes_needed; };
    const std::size_t none = bytes(), none_on_device = device_bytes();
    networks_[1].recipe.critical_points.epochs = {60};
    EXPECT_EQ(searched_kinds(networks_), (std::vector<bool>{true, true, false, false, false, false}));
    EXPECT_GT(bytes(), none);
    EXPECT_GT(device_bytes(), none_on_device);
    const std::size_t second = bytes(), second_on_device = device_bytes();
    networks_[0].recipe.critical_points.epochs = {60};
    EXPECT_EQ(bytes(), second);
    EXPECT_EQ(device_bytes(), second_on_device);
}

TEST_F(PipelineTest, TriesSearchesToo) {
    for (const std::size_t n : {1u, 2u}) networks_[n].recipe.critical_points.epochs = {60};
    const WorkPlan plan = plan_work(networks_, 2, std::size_t{8} << 30);
    const std::function<CpuContext()> make_context = [] { return CpuContext(1); };
    const auto nominal = nominal_costs(networks_), tried = measured_costs(networks_, plan, make_context, 60);
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        EXPECT_GT(tried[n].training, 0);
        EXPECT_GT(tried[n].spectrum, 0);
        EXPECT_GT(tried[n].search, 0);
        EXPECT_NE(tried[n].search, nominal[n].search);  // the first is scaled from the others
    }
    // Of 500 iterations at most, a ReLU network takes fewer.
    EXPECT_GT(search_iterations(networks_[0]), 5 * search_iterations(networks_[1]));
    networks_[0].recipe.critical_points.search.iterations = 7;
    EXPECT_EQ(search_iterations(networks_[0]), 7);
    const NetworkSeconds seconds = network_seconds(networks_[1], tried[1]);
    EXPECT_EQ(seconds.searches, 3 * tried[1].search);
}

// Its data are not even looked at: there are none.
TEST_F(PipelineTest, TrialLeavesOutTrainingThatWouldTakeItsTime) {
    const auto large = std::make_shared<DataSet>(*networks_.front().data);
    large->train_examples = 40'000'000;
    for (PlannedNetwork& planned : networks_) planned.data = large;
    const WorkPlan plan;
    const auto nominal = nominal_costs(networks_);
    for (const NetworkCost& cost : nominal) EXPECT_LT(cost.spectrum, 1);
    const std::function<CpuContext()> make_context = [] { return CpuContext(1); };
    const auto tried = measured_costs(networks_, plan, make_context, 1);
    for (std::size_t n = 0; n < networks_.size(); ++n) {
        EXPECT_EQ(tried[n].training, nominal[n].training);
        EXPECT_EQ(tried[n].spectrum, nominal[n].spectrum);
    }
}

TEST_F(PipelineTest, CombinationsOfOneKindShareBatches) {
    experiment_ = load_experiment(folder_ / "r.toml",
                                  {"sweep.train.seed=[1, 100]", "sweep.train.learning_rate=[0.01, 0.03]"});
    networks_ = plan_networks(experiment_);
    const std::vector<std::size_t> kinds = batch_kinds(networks_);
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

/// Two parameters, and memory that is 1000 bytes per replica under training and 2000 + 3000 per replica under
/// analysis, with what the plan adds: θ and gradient of 3 snapshots and 4 scores, 192 bytes; gathered, 32.
BatchMemory small_network(Index replicas) {
    BatchMemory network;
    network.parameters = 2;
    network.replicas = replicas;
    network.training = [](Index r) { return static_cast<std::size_t>(808 * r); };
    network.analysis = [](Index r) { return static_cast<std::size_t>(2000 + 2968 * r); };
    return network;
}

TEST(PlanBatches, FillsTheMemoryWithBatchesOfOneSize) {
    // Of 100 000 bytes beside the data a quarter goes to training: 25 replicas. The rest holds 24 under
    // analysis; 100 replicas make five batches, of 20 each.
    const WorkPlan plan = plan_batches({small_network(100)}, 1000, 101'000, 1'000'000);
    EXPECT_EQ(plan.workers, 2);
    EXPECT_EQ(plan.trainings, 1);
    EXPECT_EQ(plan.analyses, 1);
    EXPECT_EQ(plan.replicas_per_batch, std::vector<Index>{20});
    EXPECT_EQ(plan.bytes_needed, 1000u + 20'000u + 62'000u);
    EXPECT_EQ(plan.bytes_available, 101'000u);
    EXPECT_EQ(plan_batches({small_network(24)}, 1000, 101'000, 1'000'000).batch(0), 24);
    EXPECT_EQ(plan_batches({small_network(3)}, 1000, 101'000, 1'000'000).batch(0), 3);
    // 128 bytes of the host per replica.
    EXPECT_EQ(plan_batches({small_network(100)}, 1000, 101'000, 1280).batch(0), 10);
}

TEST(PlanBatches, TakesSingleNetworksWhereNoMoreFit) {
    EXPECT_EQ(plan_batches({small_network(100)}, 1000, 7000, 1000).batch(0), 1);
    try {
        plan_batches({small_network(100)}, 1000, 6999, 1000);
        FAIL() << "one byte is missing";
    } catch (const ResourceError& error) {
        EXPECT_STREQ(error.what(),
                     "device memory: the exact Hessian of 2 parameters needs 0.000 GB, 0.000 GB free");
    }
    EXPECT_THROW(plan_batches({small_network(100)}, 1000, 7000, 127), ResourceError);
    // One network trains while another one's last batch is analysed: the largest of each have to fit.
    BatchMemory trained = small_network(1), analysed = small_network(1);
    trained.training = [](Index) { return std::size_t{50'000}; };
    analysed.analysis = [](Index) { return std::size_t{50'000}; };
    EXPECT_THROW(plan_batches({trained, analysed}, 0, 100'000, 1000), ResourceError);
    EXPECT_NO_THROW(plan_batches({trained, analysed}, 0, 100'224, 1000));
}

TEST(PlanBatches, KeepsABatchAMatterOfSeconds) {
    constexpr std::size_t plenty = std::size_t{1} << 50;
    BatchMemory large = small_network(1000);
    large.parameters = 1920;  // 3 P³ = 2.12e10: 470 at most, three batches
    const WorkPlan plan = plan_batches({small_network(10'000), large}, 0, plenty, plenty);
    EXPECT_EQ(plan.replicas_per_batch, (std::vector<Index>{3334, 334}));  // three of at most 4096
    EXPECT_EQ(plan.largest_batch(), 3334);
    large.parameters = 100'000;
    EXPECT_EQ(plan_batches({large}, 0, plenty, plenty).batch(0), 1);
}

TEST_F(PipelineTest, PlansBatchesOfARun) {
    CpuContext context(1);
    const WorkPlan plan = plan_batches(context, networks_, std::size_t{8} << 30, std::size_t{8} << 30);
    EXPECT_EQ(plan.replicas_per_batch, (std::vector<Index>{3, 3, 3}));
    EXPECT_GT(plan.bytes_needed, std::size_t{3} * 17 * 17 * 8);
    EXPECT_THROW(plan_batches(context, networks_, 1000, std::size_t{8} << 30), ResourceError);
}

}  // namespace
}  // namespace espectra
