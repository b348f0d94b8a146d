// The results file that `espectra run` writes.

#include "espectra/experiments/store/recorded_run.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include "experiments/app/command_line.hpp"
#include "support/results_content.hpp"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace espectra {
namespace {

using namespace ::espectra::test;

TEST_F(CommandLine, ResultsAreComplete) {
    ASSERT_EQ(run("out").status, 0);
    const Hdf5File file = Hdf5File::open(results("out"));
    EXPECT_EQ(file.attribute_string("/", "recipe"), tiny_recipe);
    EXPECT_EQ(file.attribute_string("/", "title"), "tiny");
    EXPECT_EQ(state_of(file), "complete");
    for (const char* name : {"format", "recipe_path", "versions", "device", "start"})
        EXPECT_FALSE(file.attribute_string("/", name).empty()) << name;
    EXPECT_GT(file.attribute<double>("/", "wall_seconds").at(0), 0);

    ASSERT_EQ(file.groups("/"), Words{tiny_group});
    const auto name = [](const std::string& dataset) { return std::string(tiny_group) + "/" + dataset; };
    EXPECT_EQ(file.attribute<std::int64_t>(tiny_group, "widths"), (std::vector<std::int64_t>{2, 3, 1}));
    EXPECT_EQ(file.attribute_string(tiny_group, "hidden_activation"), "esp");
    EXPECT_EQ(file.attribute_string(tiny_group, "loss"), "sigmoid_cross_entropy");
    EXPECT_EQ(file.attribute_string(tiny_group, "optimizer"), "adam");
    EXPECT_EQ(file.attribute_string(tiny_group, "data_source"), "nonlinear");
    EXPECT_EQ(file.attribute<std::int64_t>(tiny_group, "seed").at(0), 1);
    EXPECT_EQ(file.attribute<std::int64_t>(tiny_group, "epochs_total").at(0), 60);
    EXPECT_EQ(file.attribute<double>(tiny_group, "learning_rate").at(0), 0.01);

    EXPECT_EQ(file.read<std::int64_t>(name("epoch")), (std::vector<std::int64_t>{0, 10, 40, 60}));
    for (const std::string& column : result_columns()) {
        const auto values = file.read<double>(name(column), {replicas, snapshots});
        for (const double value : values) EXPECT_TRUE(std::isfinite(value)) << column;
    }
    const auto initial = file.read<double>(name("theta_initial"), {replicas, parameters});
    const auto theta = file.read<double>(name("theta"), {replicas, snapshots, parameters});
    const auto lambda = file.read<double>(name("eigenvalues"), {replicas, snapshots, parameters});
    const auto trace = file.read<double>(name("trace"));
    for (Index r = 0; r < replicas; ++r) {
        for (Index p = 0; p < parameters; ++p)  // the first snapshot precedes all updates
            EXPECT_EQ(theta[static_cast<std::size_t>(r * snapshots * parameters + p)],
                      initial[static_cast<std::size_t>(r * parameters + p)]);
        for (Index e = 0; e < snapshots; ++e) {
            const auto first = lambda.begin() + (r * snapshots + e) * parameters;
            EXPECT_TRUE(std::is_sorted(first, first + parameters));
            EXPECT_NEAR(std::accumulate(first, first + parameters, 0.0),
                        trace[static_cast<std::size_t>(r * snapshots + e)], 1e-12);
        }
    }
    const auto x = file.extents(name("data/X_train")), x_test = file.extents(name("data/X_test"));
    EXPECT_EQ(x.at(1), 2);
    EXPECT_EQ(file.extents(name("data/Y_train")), (std::vector<Index>{x.at(0), 1}));
    EXPECT_EQ(file.extents(name("data/Y_test")), (std::vector<Index>{x_test.at(0), 1}));

    const auto runs = open_recorded_runs(results("out"));
    ASSERT_EQ(runs.size(), 2u);
    EXPECT_EQ(runs[1].epoch, (std::vector<std::int64_t>{0, 10, 40, 60}));
    EXPECT_EQ(runs[1].network.parameters(), parameters);
}

TEST_F(CommandLine, RegressionWithoutHiddenLayer) {
    // Logistic, softmax and linear regression: convex, so no eigenvalue below −τ.
    const ProgramResult result = run(
        "out",
        {"--json", "--set", "network.hidden=[]", "--set",
         "sweep.network.loss=[\"sigmoid_cross_entropy\",\"softmax_cross_entropy\",\"mean_squared_error\"]",
         "--set", "critical_points.epochs=[60]"});
    ASSERT_EQ(result.status, 0) << result.err;
    const Json json = result.json();
    ASSERT_EQ(json.at("networks").size(), 3u);
    for (const Json& one : json.at("networks")) {
        EXPECT_EQ(one.at("activation"), "linear");
        EXPECT_EQ(one.at("alpha"), 0);
        EXPECT_GT(one.at("lambda_max"), 0);
    }
    for (const RecordedRun& recorded : open_recorded_runs(results("out")))
        EXPECT_EQ(recorded.network.layers().size(), 1u);
    EXPECT_EQ(run_program({"replay", results("out"), "--json"}).status, 0);
}

TEST_F(CommandLine, SweepMakesAGroupPerCombination) {
    const ProgramResult result =
        run("out", {"--json", "--set", "sweep.network.activation=[\"esp\",\"relu\",\"sigmoid\"]", "--set",
                    "sweep.network.hidden=[[3],[2,2]]", "--set", "sweep.train.seed=[1,7]", "--set",
                    "train.epochs=5", "--set", "train.replicas=1"});
    ASSERT_EQ(result.status, 0) << result.err;
    const Hdf5File file = Hdf5File::open(results("out"));
    const auto groups = file.groups("/");
    EXPECT_EQ(groups.size(), 12u);
    for (const char* activation : {"esp", "relu", "sigmoid"})
        for (const char* widths : {"2-3-1", "2-2-2-1"})
            for (const char* seed : {"1", "7"}) {
                const std::string name =
                    std::string("nonlinear_") + widths + "_" + activation + "_seed=" + seed;
                EXPECT_NE(std::ranges::find(groups, name), groups.end()) << name;
                EXPECT_EQ(file.attribute_string(name, "hidden_activation"), activation);
            }
    EXPECT_EQ(result.json().at("networks").size(), 12u);
}

TEST_F(CommandLine, StatisticsOverReplicas) {
    const ProgramResult result =
        run("out", {"--json", "--set", "sweep.network.activation=[\"esp\",\"relu\"]", "--set",
                    "sweep.network.hidden=[[3],[4]]", "--set", "train.replicas=5"});
    ASSERT_EQ(result.status, 0) << result.err;
    const Json json = result.json();
    const Hdf5File file = Hdf5File::open(results("out"));
    const auto last = [&](const std::string& network, const char* name) {
        std::vector<double> values;
        const auto all = file.read<double>(network + "/" + name, {5, snapshots});
        for (std::size_t r = 0; r < 5; ++r) values.push_back(all[r * snapshots + snapshots - 1]);
        return values;
    };
    ASSERT_EQ(json.at("statistics").size(), 4u);
    for (const Json& one : json.at("statistics")) {
        auto cost = last(one.at("network"), "cost");
        std::ranges::sort(cost);
        EXPECT_EQ(one.at("cost").at("median").at(0), cost[2]);
        EXPECT_EQ(one.at("cost").at("quartiles").at(0), cost[1]);
        EXPECT_EQ(one.at("cost").at("quartiles").at(1), cost[3]);
        EXPECT_EQ(one.at("failed").at(0), 0);
        const auto stored =
            file.read<double>(one.at("network").get<std::string>() + "/statistics/cost", {snapshots, 5});
        EXPECT_EQ(stored[5 * (snapshots - 1)], cost[2]);
        EXPECT_EQ(stored[5 * (snapshots - 1) + 3], one.at("cost").at("median").at(1));
    }
    // Two architectures with two activations: each against its own.
    ASSERT_EQ(json.at("comparisons").size(), 4u);
    for (const Json& one : json.at("comparisons")) {
        const std::string network = one.at("network"), other = one.at("other");
        EXPECT_EQ(network.substr(0, 15), other.substr(0, 15));
        const auto a = last(network, "alpha"), b = last(other, "alpha");
        std::vector<double> differences;
        for (std::size_t r = 0; r < 5; ++r) differences.push_back(a[r] - b[r]);
        std::ranges::sort(differences);
        EXPECT_EQ(one.at("alpha").at("difference").at(0), differences[2]);
    }
    ASSERT_EQ(json.at("consistency").size(), 2u);
    EXPECT_EQ(json.at("consistency")[0].at("activation"), "esp");
    EXPECT_EQ(json.at("consistency")[0].at("networks").size(), 2u);
    const auto tau = file.read<double>("nonlinear_2-3-1_relu/statistics/tau");
    const auto curve = file.read<double>("nonlinear_2-3-1_relu/statistics/gamma_of_tau", {61, 3});
    for (std::size_t t = 1; t < tau.size(); ++t) EXPECT_GE(curve[3 * t], curve[3 * (t - 1)]);
    EXPECT_CONTAINS(read_bytes(output("out") / "summary.txt"), "over the same seeds");
}

TEST_F(CommandLine, EqualRunsGiveEqualBits) {
    ASSERT_EQ(run("first").status, 0);
    ASSERT_EQ(run("second").status, 0);
    expect_same_results(results("first"), results("second"));
}

TEST_F(CommandLine, OneCoreGivesTheBitsOfAll) {
    const auto one_core = [] {
        cpu_set_t mine, first;
        CPU_ZERO(&first);
        sched_getaffinity(0, sizeof mine, &mine);
        for (std::size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&first) == 0; ++cpu)
            if (CPU_ISSET(cpu, &mine)) CPU_SET(cpu, &first);
        sched_setaffinity(0, sizeof first, &first);
    };
    // One network has one worker with all cores; several networks share the cores. Where matrices are so
    // large that threads share an eigensolve, θ and cost have equal bits too, eigenvalues only equal digits.
    for (const std::string count : {"1", "3"}) {
        const Words more = {"--set", "train.replicas=" + count, "--set", "network.hidden=[12, 7]",
                            "--set", "spectrum.epochs=[60]"};
        ASSERT_EQ(run("all" + count, more).status, 0);
        const ProgramResult result = run("one" + count, more, one_core);
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_CONTAINS(result.out, "CPU, 1 thread;");
        expect_same_results(results("all" + count), results("one" + count));
    }
}

TEST_F(CommandLine, ExplicitEpochsAndNoEpochsAtAll) {
    ASSERT_EQ(run("some", {"--set", "spectrum.epochs=[33, 2, 50]"}).status, 0);
    EXPECT_EQ(Hdf5File::open(results("some")).read<std::int64_t>(std::string(tiny_group) + "/epoch"),
              (std::vector<std::int64_t>{2, 33, 50}));
    ASSERT_EQ(run("none", {"--set", "train.epochs=0"}).status, 0);
    const Hdf5File file = Hdf5File::open(results("none"));
    EXPECT_EQ(file.read<std::int64_t>(std::string(tiny_group) + "/epoch"), std::vector<std::int64_t>{0});
    EXPECT_EQ(state_of(file), "complete");
    expect_same_bits(file.read<double>(std::string(tiny_group) + "/theta"),
                     file.read<double>(std::string(tiny_group) + "/theta_initial"), "theta");
}

TEST_F(CommandLine, EigenvectorsAndGaussNewton) {
    ASSERT_EQ(
        run("out", {"--set", "spectrum.eigenvectors=true", "--set", "spectrum.gauss_newton=true"}).status, 0);
    ASSERT_EQ(run("plain").status, 0);
    const Hdf5File file = Hdf5File::open(results("out")), plain = Hdf5File::open(results("plain"));
    const std::string prefix = std::string(tiny_group) + "/";
    const Index p = parameters;
    const auto vectors = file.read<double>(prefix + "eigenvectors", {replicas, snapshots, p, p});
    const auto ratios = file.read<double>(prefix + "inverse_participation_ratio", {replicas, snapshots, p});
    const auto squares = file.read<double>(prefix + "eigenvalues_gauss_newton", {replicas, snapshots, p});
    const auto lambda = file.read<double>(prefix + "eigenvalues"),
               alone = plain.read<double>(prefix + "eigenvalues");
    const double largest = *std::ranges::max_element(lambda);
    for (std::size_t i = 0; i < lambda.size(); ++i) {
        EXPECT_NEAR(lambda[i], alone[i], 1e-13 * largest);
        EXPECT_GT(squares[i], -1e-14 * largest);  // positive semidefinite
        double norm = 0, fourth = 0;
        for (Index j = 0; j < p; ++j) {
            const double v = vectors[i * static_cast<std::size_t>(p) + static_cast<std::size_t>(j)];
            norm += v * v;
            fourth += v * v * v * v;
        }
        EXPECT_NEAR(norm, 1, 1e-13);
        EXPECT_NEAR(ratios[i], fourth, 1e-13);
    }
}

}  // namespace
}  // namespace espectra
