// Runs with mini-batches, momentum, weight decay and early stopping: any workers and batches, resumed,
// replayed.

#include "espectra/experiments/replay/replay.hpp"
#include "espectra/experiments/run/early_stopping.hpp"
#include "espectra/experiments/run/pipeline.hpp"
#include "espectra/experiments/store/recorded_run.hpp"

#include <gtest/gtest.h>

#include "experiments/run/run_test.hpp"
#include "support/results_content.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace espectra {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Three ways to train, with three replicas each; nine mini-batches an epoch, the last one smaller.
constexpr const char* recipe = R"(
data = { source = "nonlinear", test_fraction = 0.5 }
network.hidden = [3]
network.init = "gaussian"
spectrum.schedule = { dense_until = 6, dense_step = 2, step = 4 }
[train]
epochs = 20
replicas = 3
batch_size = 50
weight_decay = 0.001
learning_rate = 0.05
schedule = "cosine"
warmup = 5
[[sweep]]
train.optimizer = ["adam", "adamw"]
[[sweep]]
train.optimizer = ["gradient_descent"]
train.momentum = [0.9]
train.nesterov = [true]
)";

class TrainingMethods : public test::RunTest {
  protected:
    TrainingMethods() : RunTest(recipe) {}

    /// Records of one replica in a dataset [R, E].
    std::vector<double> series(const Hdf5File& file, const std::string& name, Index replica) const {
        return file.read_slab<double>(networks_.front().name + "/" + name, {replica}, {1});
    }
};

TEST_F(TrainingMethods, WorkersAndBatchesDoNotMatter) {
    ASSERT_EQ(networks_.size(), 3u);
    const auto expected = run("one", WorkPlan{.workers = 1});
    EXPECT_EQ(expected.state, RunState::complete);
    test::expect_same_results(expected.file, run("three", WorkPlan{.workers = 3}).file);
    test::expect_same_results(expected.file, run("batches", batches_of(1)).file);
    const Hdf5File one = Hdf5File::open(expected.file),
                   two = Hdf5File::open(run("pairs", batches_of(2)).file);
    for (const PlannedNetwork& planned : networks_)
        test::expect_same_bits(one.read<double>(planned.name + "/theta"),
                               two.read<double>(planned.name + "/theta"), planned.name);
}

TEST_F(TrainingMethods, ResumedRunsHaveTheSameBits) {
    const auto expected = run("whole", WorkPlan{.workers = 2});
    std::stop_source stop;
    run(create("parts"), {.workers = 1}, stop.get_token(), [&](const RunProgress& progress) {
        if (progress.spectra_done > 5) stop.request_stop();
    });
    const auto resumed = run(resume("parts"), {.workers = 2});
    EXPECT_EQ(resumed.state, RunState::complete);
    test::expect_same_results(expected.file, resumed.file);
}

TEST_F(TrainingMethods, AreReplayed) {
    const auto outcome = run("own", WorkPlan{.workers = 2});
    const ReplayReport report = replay(open_recorded_runs(outcome.file), CpuDevice{.threads = 2}, nullptr);
    EXPECT_EQ(report.snapshots, outcome.spectra);
    EXPECT_EQ(report.theta_error_max, 0.0);
    EXPECT_EQ(report.cost_error_max, 0.0);
    EXPECT_EQ(report.eigenvalue_error_max, 0.0);
}

TEST(EarlyStopping, ByHand) {
    EarlyStopping rule({.watch = Watched::cost, .patience = 10, .min_delta = 0.5}, 2);
    using Rows = std::vector<std::size_t>;
    EXPECT_EQ(rule.check(0, {8, 8}), Rows{});
    EXPECT_EQ(rule.check(5, {7.6, 7}), Rows{});    // 7.6 is no improvement by more than 0.5
    EXPECT_EQ(rule.check(10, {7.6, 6}), Rows{0});  // ten epochs after 8
    EXPECT_EQ(rule.check(15, {0, nan}), Rows{});
    EXPECT_EQ(rule.check(19, {0, 9}), Rows{});
    EXPECT_EQ(rule.check(20, {0, 5.5}), Rows{1});  // not below 6 − 0.5
    EXPECT_EQ(rule.stopped(), (std::vector<std::int64_t>{10, 20}));

    EarlyStopping accuracy({.watch = Watched::accuracy_test, .patience = 3}, 1);
    EXPECT_EQ(accuracy.check(0, {0.5}), Rows{});
    EXPECT_EQ(accuracy.check(3, {0.75}), Rows{});
    EXPECT_EQ(accuracy.check(5, {0.75}), Rows{});
    EXPECT_EQ(accuracy.check(6, {0.7}), Rows{0});

    EarlyStopping none({}, 3);
    EXPECT_FALSE(none.active());
    EXPECT_TRUE(none.stopped().empty());
}

TEST_F(TrainingMethods, EarlyStopsEndAtASnapshot) {
    // A rate that is too large: the cost of the test examples soon goes up and down.
    const std::vector<std::string> noisy = {"train.epochs=60", "train.learning_rate=2", "train.replicas=5",
                                            "train.schedule=constant", "train.weight_decay=0"};
    load(noisy);
    const Hdf5File free = Hdf5File::open(run("free", {.workers = 2}).file);
    std::vector<std::string> stopping = noisy;
    stopping.insert(stopping.end(), {"train.early_stop={watch=\"cost_test\", patience=8, min_delta=0.001}"});
    load(stopping);
    const auto outcome = run("stopped", {.workers = 2});
    EXPECT_EQ(outcome.state, RunState::complete);
    const Hdf5File file = Hdf5File::open(outcome.file);
    const std::vector<std::int64_t>& epochs = networks_.front().epochs;
    const auto stops = file.read<double>(networks_.front().name + "/stopped_epoch", {5});
    Index stopped = 0;
    for (Index r = 0; r < 5; ++r) {
        // The rule, applied to the run that did not stop.
        const auto watched = series(free, "cost_test", r);
        double best = watched[0], expected = nan;
        std::int64_t best_epoch = 0;
        std::size_t last = epochs.size() - 1;
        for (std::size_t e = 1; e < epochs.size(); ++e) {
            if (watched[e] < best - 0.001) {
                best = watched[e];
                best_epoch = epochs[e];
            } else if (epochs[e] - best_epoch >= 8) {
                expected = static_cast<double>(epochs[e]);
                last = e;
                break;
            }
        }
        if (std::isnan(expected)) {
            EXPECT_TRUE(std::isnan(stops[static_cast<std::size_t>(r)]));
        } else {
            EXPECT_EQ(stops[static_cast<std::size_t>(r)], expected);
            ++stopped;
        }
        for (const char* name :
             {"cost", "cost_test", "gradient_norm", "alpha", "gamma", "trace", "theta", "eigenvalues"}) {
            auto record = series(free, name, r);
            const std::size_t size = record.size() / epochs.size();
            for (std::size_t e = last + 1; e < epochs.size(); ++e)
                std::copy_n(record.begin() + static_cast<std::ptrdiff_t>(last * size), size,
                            record.begin() + static_cast<std::ptrdiff_t>(e * size));
            test::expect_same_bits(series(file, name, r), record, name);
        }
    }
    EXPECT_GT(stopped, 0);
    EXPECT_LT(outcome.spectra, 3 * 5 * std::ssize(epochs));  // repeated records are not computed

    // In batches, and resumed: from nothing but a few records, and from all but some.
    test::expect_same_results(outcome.file, run("batches", batches_of(1)).file);
    std::stop_source stop;
    run(create("parts"), {.workers = 1}, stop.get_token(), [&](const RunProgress& progress) {
        if (progress.spectra_done > 20) stop.request_stop();
    });
    const auto resumed = run(resume("parts"), {.workers = 2});
    EXPECT_EQ(resumed.state, RunState::complete);
    test::expect_same_results(outcome.file, resumed.file);
    const auto again = run(resume("parts"), {.workers = 2});
    EXPECT_EQ(again.spectra, 0);

    const ReplayReport report = replay(open_recorded_runs(outcome.file), CpuDevice{.threads = 2}, nullptr);
    EXPECT_EQ(report.theta_error_max, 0.0);
    EXPECT_EQ(report.cost_error_max, 0.0);
}

}  // namespace
}  // namespace espectra
