// `espectra hessian` and `espectra replay` of runs that other programs recorded: labels, targets, everything
// that one Hessian gives, and all snapshots as a results file.

#include "espectra/experiments/files/hdf5_file.hpp"

#include <gtest/gtest.h>

#include "experiments/app/command_line.hpp"
#include "oracle/jacobi.hpp"
#include "support/results_content.hpp"
#include <cmath>
#include <limits>

namespace espectra {
namespace {

using namespace ::espectra::test;
using Doubles = std::vector<double>;

constexpr double eps = std::numeric_limits<double>::epsilon();

/// A recorded run of six examples of two features, with attributes and targets of the caller's choice.
struct OutsideRun {
    std::vector<std::int64_t> widths = {2, 3, 1};
    std::string activation = "tanh", loss = "sigmoid_cross_entropy";
    std::vector<Index> target_shape = {6, 1};
    Doubles targets = {0, 1, 1, 0, 1, 0};
    Index snapshots = 0;  ///< 0: one θ without an axis of snapshots
    Doubles theta = {};   ///< empty: made-up numbers

    Index parameters() const {
        Index count = 0;
        for (std::size_t l = 1; l < widths.size(); ++l) count += (widths[l - 1] + 1) * widths[l];
        return count;
    }
    std::string write(const std::filesystem::path& path) const {
        Hdf5File file = Hdf5File::create(path);
        file.set_attribute("/", "widths", widths);
        if (!activation.empty()) file.set_attribute("/", "hidden_activation", activation);
        if (!loss.empty()) file.set_attribute("/", "loss", loss);
        file.write<double>("data/X_train", {6, 2},
                           {0.5, -1.2, 1.5, 0.3, -0.7, 0.9, 2.1, -0.4, 0.2, 1.1, 1.9, 0.8});
        file.write("data/Y_train", target_shape, targets);
        const Index rows = std::max<Index>(snapshots, 1);
        Doubles numbers = theta;
        for (Index i = 0; theta.empty() && i < rows * parameters(); ++i)
            numbers.push_back(0.2 * static_cast<double>(i % 11) - 0.9 + 0.013 * static_cast<double>(i));
        file.write("theta", snapshots > 0 ? std::vector{rows, parameters()} : std::vector{parameters()},
                   numbers);
        file.close();
        return path;
    }
};

class RecordedRunCommand : public CommandLine {
  protected:
    /// Runs `hessian` with --json and returns its object without durations.
    Json hessian(const std::string& path, Words more = {}) {
        more.insert(more.begin(), {"hessian", path, "--json"});
        const ProgramResult result = run_program(more);
        EXPECT_EQ(result.status, 0) << result.err;
        Json json = result.json();
        json.erase("seconds_hessian");
        json.erase("seconds_eigen");
        return json;
    }
};

TEST_F(RecordedRunCommand, LabelsAreOneHotTargets) {
    OutsideRun run;
    run.widths = {2, 3, 3};
    const Doubles labels = {0, 2, 1, 0, 2, 1};
    for (const std::string loss : {"softmax_cross_entropy", "sigmoid_cross_entropy", "mean_squared_error"}) {
        run.loss = loss;
        run.target_shape = {6, 3};
        run.targets = {1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0};
        const Json one_hot = hessian(run.write(folder_ / (loss + "-one-hot.h5")));
        run.targets = labels;
        run.target_shape = {6};
        EXPECT_EQ(hessian(run.write(folder_ / (loss + "-labels.h5"))), one_hot);
        run.target_shape = {6, 1};
        EXPECT_EQ(hessian(run.write(folder_ / (loss + "-column.h5"))), one_hot);
    }
    run.targets[4] = 3;
    const std::string above = run.write(folder_ / "above.h5");
    run.targets[4] = 0.5;
    const std::string half = run.write(folder_ / "half.h5");
    for (const std::string command : {"hessian", "replay"}) {
        expect_failure(run_program({command, above}), 2,
                       {above + ": data/Y_train[4]: label 3: expected integers 0 ... 2"});
        expect_failure(run_program({command, half}), 2, {half + ": data/Y_train[4]: label 0.5"});
    }
    OutsideRun single;
    const Json column = hessian(single.write(folder_ / "single-column.h5"));
    single.target_shape = {6};
    EXPECT_EQ(hessian(single.write(folder_ / "single-list.h5")), column);
    single.target_shape = {6, 2};
    single.targets.resize(12);
    const std::string wide = single.write(folder_ / "wide.h5");
    expect_failure(run_program({"hessian", wide}), 2, {wide + ": data/Y_train: expected 6 x 1", "got 6 x 2"});
}

TEST_F(RecordedRunCommand, TargetsHaveToSuitTheLoss) {
    OutsideRun run;
    run.targets = {-1, 1, 1, -1, 1, 1};
    for (const std::string loss : {"", "sigmoid_cross_entropy"}) {
        run.loss = loss;
        const std::string path = run.write(folder_ / ("signs" + loss + ".h5"));
        for (const std::string command : {"hessian", "replay"})
            expect_failure(run_program({command, path}), 2,
                           {path + ": data/Y_train[0, 0]: target -1", "[0, 1]", "sigmoid_cross_entropy",
                            "mean_squared_error"});
    }
    run.loss = "mse";
    hessian(run.write(folder_ / "mse.h5"));

    OutsideRun rows;
    rows.widths = {2, 3, 2};
    rows.loss = "CrossEntropyLoss";
    rows.target_shape = {6, 2};
    rows.targets = {1, 0, 0, 1, 0.5, 0.5, 0.2, 0.8, 0.25, 0.5, 1, 0};
    const std::string sum = rows.write(folder_ / "sum.h5");
    expect_failure(run_program({"hessian", sum}), 2,
                   {sum + ": data/Y_train[4]", "add up to 0.75", "expected 1"});
    OutsideRun single;
    single.loss = "CrossEntropyLoss";
    const std::string one = single.write(folder_ / "one.h5");
    expect_failure(run_program({"replay", one}), 2,
                   {one, "one output for each class", "sigmoid_cross_entropy"});
}

TEST_F(RecordedRunCommand, ARecordedRunHasNoNetworksOrReplicas) {
    const std::string path = OutsideRun().write(folder_ / "theta.h5");
    for (const Words& words : {Words{"--network", "x"}, Words{"--replica", "1"}})
        expect_failure(run_program({"hessian", path, words[0], words[1]}), 2,
                       {path + ": is a recorded run, which has no networks or replicas"});
    hessian(path, {"--replica", "0"});
}

TEST_F(RecordedRunCommand, NetworksWithoutHiddenLayersNeedNoActivation) {
    OutsideRun run;
    run.widths = {2, 1};
    run.activation = "";
    const std::string path = run.write(folder_ / "logistic.h5"), output = folder_ / "out.h5";
    hessian(path, {"--output", output, "--gauss-newton"});
    // A network that is linear in θ has no second derivatives of its own.
    const Hdf5File file = Hdf5File::open(output);
    const auto h = file.read<double>("hessian", {3, 3}), g = file.read<double>("gauss_newton", {3, 3});
    for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(g[i], h[i], 4 * eps);
}

TEST_F(RecordedRunCommand, GradientIsThatOfTheCost) {
    OutsideRun run;
    const Index p = run.parameters();
    const std::string one = run.write(folder_ / "one.h5"), output = folder_ / "out.h5";
    hessian(one, {"--output", output});
    const auto theta = Hdf5File::open(one).read<double>("theta"),
               gradient = Hdf5File::open(output).read<double>("gradient", {p});
    EXPECT_FALSE(Hdf5File::open(output).exists("gauss_newton"));
    EXPECT_FALSE(Hdf5File::open(output).exists("blocks"));
    // Central differences of the cost, from 2P snapshots: with steps of 1e-5 their error is about 1e-10.
    constexpr double step = 1e-5;
    run.snapshots = 2 * p;
    for (Index i = 0; i < 2 * p; ++i) {
        Doubles moved = theta;
        moved[static_cast<std::size_t>(i / 2)] += i % 2 == 0 ? step : -step;
        run.theta.insert(run.theta.end(), moved.begin(), moved.end());
    }
    hessian(run.write(folder_ / "many.h5"), {"--snapshot", "all", "--output", folder_ / "many"});
    const auto cost =
        Hdf5File::open(folder_ / "many/results.h5").read<double>("many_2-3-1_tanh/cost", {1, 2 * p});
    for (std::size_t i = 0; i < gradient.size(); ++i)
        EXPECT_NEAR(gradient[i], (cost[2 * i] - cost[2 * i + 1]) / (2 * step), 1e-9) << i;
}

TEST_F(RecordedRunCommand, GaussNewtonPartAndBlocks) {
    OutsideRun run;
    run.activation = "relu";
    const std::string path = run.write(folder_ / "run.h5"), output = folder_ / "out.h5";
    const Json json = hessian(path, {"--output", output, "--gauss-newton", "--blocks"});
    const Hdf5File file = Hdf5File::open(output);
    const auto h = file.read<double>("hessian", {13, 13}), g = file.read<double>("gauss_newton", {13, 13}),
               lambda = file.read<double>("eigenvalues_gauss_newton", {13});
    const auto expected = oracle::jacobi_eigenvalues(g, 13);
    for (std::size_t i = 0; i < 13; ++i) {
        EXPECT_NEAR(lambda[i], expected[i], 1e-14);
        EXPECT_GE(lambda[i], -1e-15);
        // The network is linear in the parameters of each layer: the parts differ only across layers.
        for (std::size_t j = 0; j < 13; ++j) {
            if ((i < 9) != (j < 9)) continue;
            EXPECT_NEAR(g[i * 13 + j], h[i * 13 + j], 1e-15);
        }
    }
    const std::vector<std::pair<std::string, std::vector<std::size_t>>> blocks = {
        {"layer_1", {0, 1, 2, 3, 4, 5, 6, 7, 8}},
        {"layer_2", {9, 10, 11, 12}},
        {"weights", {0, 1, 2, 3, 4, 5, 9, 10, 11}},
        {"biases", {6, 7, 8, 12}}};
    EXPECT_EQ(json.at("blocks").size(), blocks.size());
    for (const auto& [name, rows] : blocks) {
        Doubles part;
        for (const std::size_t i : rows)
            for (const std::size_t j : rows) part.push_back(h[i * 13 + j]);
        const auto found = file.read<double>("blocks/" + name, {static_cast<Index>(rows.size())});
        const auto wanted = oracle::jacobi_eigenvalues(part, rows.size());
        for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-14) << name;
        EXPECT_LE(file.attribute<double>("blocks/" + name, "trace_error").at(0), 1e-14);
        EXPECT_EQ(json.at("blocks").at(name).at("lambda_max"), found.back());
    }
}

TEST_F(RecordedRunCommand, AllSnapshotsAsResults) {
    OutsideRun run;
    run.activation = "relu";
    run.snapshots = 5;
    const std::string path = run.write(folder_ / "checkpoints.h5");
    {
        Hdf5File file = Hdf5File::open_for_update(path);
        file.write<double>("data/X_test", {2, 2}, {0.3, 0.1, -1.0, 0.6});
        file.write<double>("data/Y_test", {2, 1}, {1, 0});
        file.write<std::int64_t>("epoch", {5}, {0, 10, 20, 50, 100});
    }
    const ProgramResult result =
        run_program({"hessian", path, "--snapshot", "all", "--output", output("all"), "--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.json().at("spectra"), 5);
    EXPECT_EQ(result.json().at("state"), "complete");
    EXPECT_TRUE(std::filesystem::exists(output("all") / "summary.txt"));

    const Hdf5File file = Hdf5File::open(results("all"));
    EXPECT_EQ(state_of(file), "complete");
    const std::string group = "checkpoints_2-3-1_relu";
    ASSERT_EQ(file.groups("/"), Words{group});
    EXPECT_EQ(file.attribute_string(group, "source"), path);
    EXPECT_FALSE(file.has_attribute(group, "seed"));
    EXPECT_EQ(file.read<std::int64_t>(group + "/epoch"), (std::vector<std::int64_t>{0, 10, 20, 50, 100}));
    EXPECT_EQ(file.read<double>(group + "/theta"), Hdf5File::open(path).read<double>("theta"));
    EXPECT_TRUE(std::isnan(file.read<double>(group + "/theta_initial").front()));
    const auto lambda = file.read<double>(group + "/eigenvalues", {1, 5, 13});
    for (std::size_t k = 0; k < 5; ++k) {
        const Json json = hessian(path, {"--snapshot", std::to_string(k)});
        for (const std::string column :
             {"alpha", "gamma", "gamma_dead", "gamma_symmetry", "tau", "trace", "frobenius"})
            EXPECT_NEAR(file.read<double>(group + "/" + column, {1, 5})[k], json.at(column).get<double>(),
                        16 * eps * json.at("frobenius").get<double>())
                << column;
        EXPECT_NEAR(lambda[k * 13], json.at("lambda_min").get<double>(), 1e-14);
        EXPECT_LE(file.read<double>(group + "/trace_error")[k], 1e-14);
        EXPECT_LE(file.read<double>(group + "/symmetry_residual")[k], 1e-13);
        for (const std::string column : {"cost", "gradient_norm", "accuracy_train", "accuracy_test"})
            EXPECT_TRUE(std::isfinite(file.read<double>(group + "/" + column)[k])) << column;
    }
    // The results are a run of their own, whose training cannot be repeated.
    const ProgramResult replay = run_program({"replay", results("all"), "--json"});
    ASSERT_EQ(replay.status, 0) << replay.err;
    EXPECT_TRUE(replay.json().at("theta_error_max").is_null());
    EXPECT_LE(replay.json().at("eigenvalue_error_max").get<double>(), 1e-14);
}

TEST_F(RecordedRunCommand, AllSnapshotsOfAReplicaEqualItsRecords) {
    ASSERT_EQ(run("out").status, 0);
    const std::string output = folder_ / "again.h5";
    hessian(results("out"),
            {"--network", tiny_group, "--replica", "1", "--snapshot", "all", "--output", output});
    const Hdf5File first = Hdf5File::open(results("out")), again = Hdf5File::open(output);
    ASSERT_EQ(again.groups("/"), Words{tiny_group});
    for (const std::string column : {"theta", "eigenvalues", "cost", "gradient_norm", "accuracy_train",
                                     "accuracy_test", "zero_residuals", "alpha", "gamma", "tau", "trace",
                                     "frobenius", "trace_error", "symmetry_residual"}) {
        const std::string name = std::string(tiny_group) + "/" + column;
        expect_same_bits(again.read_slab<double>(name, {0}, {1}), first.read_slab<double>(name, {1}, {1}),
                         name);
    }
    expect_failure(run_program({"hessian", results("out"), "--network", tiny_group, "--snapshot", "all",
                                "--output", output}),
                   2, {output, "exists"});
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}),
              3);  // recipe, out, again.h5
}

TEST_F(RecordedRunCommand, AllSnapshotsWithEverything) {
    OutsideRun run;
    run.snapshots = 3;
    const std::string path = run.write(folder_ / "run.h5");
    hessian(path,
            {"--snapshot", "all", "--eigenvectors", "--gauss-newton", "--output", folder_ / "all.hdf5"});
    const Hdf5File file = Hdf5File::open(folder_ / "all.hdf5");
    EXPECT_EQ(file.extents("run_2-3-1_tanh/eigenvectors"), (std::vector<Index>{1, 3, 13, 13}));
    EXPECT_GE(file.read<double>("run_2-3-1_tanh/eigenvalues_gauss_newton").front(), -1e-15);
    expect_failure(run_program({"hessian", path, "--snapshot", "all", "--blocks", "--output", output("b")}),
                   2, {"--blocks", "one snapshot"});
    EXPECT_FALSE(std::filesystem::exists(output("b")));
    // Without --output the results go where those of `run` go.
    const auto in_folder = [this] { (void)!::chdir(folder_.path().c_str()); };
    ASSERT_EQ(run_program({"hessian", path, "--snapshot", "all"}, in_folder).status, 0);
    EXPECT_TRUE(std::filesystem::exists(folder_ / "results/run/results.h5"));
}

TEST_F(RecordedRunCommand, ASnapshotWithoutASpectrumIsNamed) {
    OutsideRun run;
    run.snapshots = 2;
    run.activation = "linear";
    run.loss = "mse";
    run.theta.assign(26, 0.5);
    run.theta[14] = 1e200;  // its Hessian overflows
    const std::string path = run.write(folder_ / "run.h5");
    expect_failure(run_program({"hessian", path, "--snapshot", "all", "--output", output("all"), "--json"}),
                   3, {"run_2-3-1_linear", "epoch 1", "not finite", results("all")});
    const Hdf5File file = Hdf5File::open(results("all"));
    EXPECT_EQ(state_of(file), "diverged");
    EXPECT_FALSE(std::isnan(file.read<double>("run_2-3-1_linear/alpha")[0]));
    EXPECT_TRUE(std::isnan(file.read<double>("run_2-3-1_linear/alpha")[1]));
}

}  // namespace
}  // namespace espectra
