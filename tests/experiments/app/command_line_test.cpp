#include "espectra/experiments/store/recorded_run.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>

#include "support/program_run.hpp"
#include "support/results_content.hpp"
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

// The espectra command as its users meet it: the executable itself, its streams, files and exit status.

namespace espectra {
namespace {

using namespace ::espectra::test;
using Words = std::vector<std::string>;
using Json = nlohmann::json;

constexpr const char* tiny_recipe = R"(title = "tiny"
[data]
source = "nonlinear"
[network]
hidden = [3]
[train]
epochs = 60
replicas = 2
[spectrum]
schedule = { dense_until = 20, dense_step = 10, step = 20 }
)";
constexpr const char* group = "nonlinear_2-3-1_esp";
constexpr Index parameters = 17, replicas = 2, snapshots = 4;

class CommandLine : public ::testing::Test {
  protected:
    /// Runs the tiny recipe into the folder `name`.
    ProgramResult run(const std::string& name, const Words& more = {}, const Program::Setup& setup = {}) {
        Words words = {"run", recipe_.string(), "--output", output(name).string()};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words, setup);
    }
    std::filesystem::path output(const std::string& name) const { return folder_ / name; }
    std::string results(const std::string& name) const { return (folder_ / name / "results.h5").string(); }

    TemporaryFolder folder_;
    std::filesystem::path recipe_ = folder_.write("tiny.toml", tiny_recipe);
};

std::set<std::string> keys_of(const Json& json) {
    std::set<std::string> keys;
    for (const auto& [key, value] : json.items()) keys.insert(key);
    return keys;
}

void expect_keys(const Json& json, const Words& keys) {
    for (const std::string& key : keys) EXPECT_TRUE(json.contains(key)) << key;
}

TEST_F(CommandLine, RunPrintsATable) {
    const ProgramResult result = run("out");
    EXPECT_EQ(result.status, 0) << result.err;
    for (const char* part : {"activation", "cost", "alpha", "gamma", "g_dead", "lambda_min", "lambda_max",
                             "seconds", group, "device: CPU", "results: "})
        EXPECT_CONTAINS(result.out, part);
    EXPECT_CONTAINS(read_bytes(output("out") / "summary.txt"), group);
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(output("out")))
        files.insert(entry.path().filename().string());
    EXPECT_EQ(files, (std::set<std::string>{"results.h5", "summary.txt"}));
}

TEST_F(CommandLine, ResultsAreComplete) {
    ASSERT_EQ(run("out").status, 0);
    const Hdf5File file = Hdf5File::open(results("out"));
    EXPECT_EQ(file.attribute_string("/", "recipe"), tiny_recipe);
    EXPECT_EQ(file.attribute_string("/", "title"), "tiny");
    EXPECT_EQ(state_of(file), "complete");
    for (const char* name : {"format", "recipe_path", "versions", "device", "start"})
        EXPECT_FALSE(file.attribute_string("/", name).empty()) << name;
    EXPECT_GT(file.attribute<double>("/", "wall_seconds").at(0), 0);

    ASSERT_EQ(file.groups("/"), Words{group});
    const auto name = [](const std::string& dataset) { return std::string(group) + "/" + dataset; };
    EXPECT_EQ(file.attribute<std::int64_t>(group, "widths"), (std::vector<std::int64_t>{2, 3, 1}));
    EXPECT_EQ(file.attribute_string(group, "hidden_activation"), "esp");
    EXPECT_EQ(file.attribute_string(group, "loss"), "sigmoid_cross_entropy");
    EXPECT_EQ(file.attribute_string(group, "optimizer"), "adam");
    EXPECT_EQ(file.attribute_string(group, "data_source"), "nonlinear");
    EXPECT_EQ(file.attribute<std::int64_t>(group, "seed").at(0), 1);
    EXPECT_EQ(file.attribute<std::int64_t>(group, "epochs_total").at(0), 60);
    EXPECT_EQ(file.attribute<double>(group, "learning_rate").at(0), 0.01);

    EXPECT_EQ(file.read<std::int64_t>(name("epoch")), (std::vector<std::int64_t>{0, 10, 40, 60}));
    for (const std::string& column : result_columns) {
        const auto values = file.read<double>(name(column), {replicas, snapshots});
        for (const double value : values) EXPECT_TRUE(std::isfinite(value)) << column;
    }
    const auto initial = file.read<double>(name("theta_initial"), {replicas, parameters});
    const auto theta = file.read<double>(name("theta"), {replicas, snapshots, parameters});
    const auto lambda = file.read<double>(name("eigenvalues"), {replicas, snapshots, parameters});
    const auto trace = file.read<double>(name("trace"));
    for (Index r = 0; r < replicas; ++r) {
        for (Index p = 0; p < parameters; ++p)  // the first snapshot is before any update, the last is not
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

TEST_F(CommandLine, RunJson) {
    const ProgramResult result = run("out", {"--json"});
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    const Json json = result.json();
    expect_keys(json,
                {"results", "state", "device", "workers", "spectra", "wall_seconds", "networks", "failures"});
    EXPECT_EQ(json.at("state"), "complete");
    EXPECT_EQ(json.at("spectra"), replicas * snapshots);
    ASSERT_EQ(json.at("networks").size(), 1u);
    expect_keys(json.at("networks")[0],
                {"network", "activation", "epoch", "cost", "accuracy_train", "accuracy_test", "alpha",
                 "gamma", "gamma_dead", "lambda_min", "lambda_max"});
    EXPECT_EQ(json.at("networks")[0].at("epoch"), 60);
}

TEST_F(CommandLine, RunLooksForCriticalPoints) {
    const ProgramResult text = run("text", {"--set", "critical_points.epochs=all"});
    ASSERT_EQ(text.status, 0) << text.err;
    const std::string line = fmt::format("critical points of {}: ", group);
    EXPECT_CONTAINS(text.out, line);
    EXPECT_CONTAINS(text.out, fmt::format("of {} searches converged", replicas * snapshots));
    EXPECT_CONTAINS(
        text.out, fmt::format("{0} spectra and {0} searches for critical points in ", replicas * snapshots));
    EXPECT_CONTAINS(text.out, " s, searches ");
    EXPECT_CONTAINS(read_bytes(output("text") / "summary.txt"), line);

    const ProgramResult result = run("json", {"--json", "--set", "critical_points.epochs=all"});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.json().at("searches"), replicas * snapshots);
    EXPECT_GT(result.json().at("search_seconds"), 0);
    const Json searches = result.json().at("critical_points");
    ASSERT_EQ(searches.size(), 1u);
    expect_keys(searches[0], {"network", "searches", "converged", "three_halves", "free"});
    EXPECT_EQ(searches[0].at("searches"), replicas * snapshots);
    expect_keys(searches[0].at("free"), {"exponent", "coefficient", "critical_cost", "residual"});
    EXPECT_EQ(searches[0].at("free").at("exponent").size(), 3u);
    const Hdf5File file = Hdf5File::open(results("json"));
    const auto converged =
        file.read<double>(std::string(group) + "/critical_points/converged", {replicas, snapshots});
    EXPECT_EQ(searches[0].at("converged"), std::accumulate(converged.begin(), converged.end(), 0.0));
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

TEST_F(CommandLine, ResumedSearchesAlone) {
    ASSERT_EQ(run("out", {"--set", "critical_points.epochs=[60]"}).status, 0);
    {
        Hdf5File file = Hdf5File::open_for_update(results("out"));
        const double none = std::numeric_limits<double>::quiet_NaN();
        file.write_slab(std::string(group) + "/critical_points/converged", {1, 0}, {1, 1}, &none);
    }
    const Words words = {"--resume", "--set", "critical_points.epochs=[60]"};
    const ProgramResult result = run("out", words);
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_CONTAINS(result.out, "\n1 search for a critical point in ");
    EXPECT_CONTAINS(result.out, ": searches ");
    const ProgramResult again = run("out", words);
    EXPECT_CONTAINS(again.out, "nothing was left to do");
    EXPECT_EQ(again.out.find("estimated time"), std::string::npos);
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

TEST_F(CommandLine, OverriddenSweep) {
    for (const char* key : {"\"network.hidden\"", "network.hidden"}) {
        folder_.write("tiny.toml", std::string(tiny_recipe) + "[sweep]\n" + key + " = [[5], [6]]\n");
        ASSERT_EQ(run(key, {"--set", "sweep.network.hidden=[[2], [1]]", "--set", "train.epochs=1"}).status,
                  0);
        EXPECT_EQ(Hdf5File::open(results(key)).groups("/"),
                  (Words{"nonlinear_2-1-1_esp", "nonlinear_2-2-1_esp"}));
    }
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
    // One network leaves all cores to one worker; several share them. Of matrices so large that threads share
    // an eigensolve, θ and cost have equal bits too, eigenvalues only equal digits.
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

TEST_F(CommandLine, OverridesTakeNumbersListsAndWords) {
    ASSERT_EQ(run("out", {"--set", "network.hidden=[4, 2]", "--set", "network.activation=relu", "--set",
                          "train.learning_rate=0.02", "--set", "train.decay.rate=1", "--set",
                          "train.epochs=7", "--set", "network.loss=mean_squared_error"})
                  .status,
              0);
    const Hdf5File file = Hdf5File::open(results("out"));
    const std::string name = "nonlinear_2-4-2-1_relu";
    EXPECT_EQ(file.attribute<double>(name, "learning_rate").at(0), 0.02);
    EXPECT_EQ(file.attribute<double>(name, "decay_rate").at(0), 1);
    EXPECT_EQ(file.attribute_string(name, "loss"), "mean_squared_error");
    EXPECT_EQ(file.read<std::int64_t>(name + "/epoch"), (std::vector<std::int64_t>{0, 7}));
    EXPECT_CONTAINS(file.attribute_string("/", "recipe"), "--set network.hidden=[4, 2]");
}

TEST_F(CommandLine, ExplicitEpochsAndNoEpochsAtAll) {
    ASSERT_EQ(run("some", {"--set", "spectrum.epochs=[33, 2, 50]"}).status, 0);
    EXPECT_EQ(Hdf5File::open(results("some")).read<std::int64_t>(std::string(group) + "/epoch"),
              (std::vector<std::int64_t>{2, 33, 50}));
    ASSERT_EQ(run("none", {"--set", "train.epochs=0"}).status, 0);
    const Hdf5File file = Hdf5File::open(results("none"));
    EXPECT_EQ(file.read<std::int64_t>(std::string(group) + "/epoch"), std::vector<std::int64_t>{0});
    EXPECT_EQ(state_of(file), "complete");
    expect_same_bits(file.read<double>(std::string(group) + "/theta"),
                     file.read<double>(std::string(group) + "/theta_initial"), "theta");
}

TEST_F(CommandLine, EigenvectorsAndGaussNewton) {
    ASSERT_EQ(
        run("out", {"--set", "spectrum.eigenvectors=true", "--set", "spectrum.gauss_newton=true"}).status, 0);
    ASSERT_EQ(run("plain").status, 0);
    const Hdf5File file = Hdf5File::open(results("out")), plain = Hdf5File::open(results("plain"));
    const std::string prefix = std::string(group) + "/";
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

TEST_F(CommandLine, CsvBesideTheRecipe) {
    std::string table = "x,y,label\n";
    for (int i = 0; i < 20; ++i)
        table += std::to_string(i) + "," + std::to_string(i * i % 7) + "," + std::to_string(i / 10) + "\n";
    folder_.write("points.csv", table);
    ASSERT_EQ(run("out", {"--set", "data.source=points.csv"}).status, 0);  // from another current folder
    const Hdf5File file = Hdf5File::open(results("out"));
    EXPECT_EQ(file.groups("/"), Words{"points_2-3-1_esp"});
    EXPECT_EQ(file.extents("points_2-3-1_esp/data/X_train"), (std::vector<Index>{16, 2}));
}

TEST_F(CommandLine, DefaultOutputIsNamedByTheRecipe) {
    const auto result = run_program({"run", "tiny.toml", "--set", "train.epochs=2"},
                                    [&] { std::filesystem::current_path(folder_.path()); });
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(std::filesystem::exists(folder_ / "results" / "tiny" / "results.h5"));
}

const Words hessian_keys = {"parameters",
                            "alpha",
                            "gamma",
                            "gamma_dead",
                            "gamma_dead_inputs",
                            "gamma_dead_units",
                            "gamma_symmetry",
                            "gamma_numerical",
                            "tau",
                            "lambda_min",
                            "lambda_max",
                            "trace",
                            "frobenius",
                            "symmetry_residual",
                            "seconds_hessian",
                            "seconds_eigen",
                            "device"};

TEST_F(CommandLine, HessianOfARecordedRun) {
    for (const std::string activation : {"esp", "relu", "sigmoid"}) {
        const std::string path = folder_ / (activation + ".h5"), output = folder_ / (activation + "-out.h5");
        RecordedSample sample;
        sample.activation = activation;
        sample.write(path);
        const ProgramResult result =
            run_program({"hessian", path, "--snapshot", "1", "--output", output, "--eigenvectors", "--json"});
        ASSERT_EQ(result.status, 0) << result.err;
        EXPECT_EQ(result.err, "");
        const Json json = result.json();
        EXPECT_EQ(keys_of(json), std::set<std::string>(hessian_keys.begin(), hessian_keys.end()));
        EXPECT_EQ(json.at("parameters"), 13);
        // ReLU has a scaling symmetry; sigmoid and esp of fixed β have none.
        EXPECT_EQ(json.at("symmetry_residual").is_null(), activation != "relu");

        const Hdf5File file = Hdf5File::open(output);
        const auto h = file.read<double>("hessian", {13, 13}),
                   lambda = file.read<double>("eigenvalues", {13}),
                   v = file.read<double>("eigenvectors", {13, 13});
        EXPECT_EQ(file.attribute<std::int64_t>("/", "snapshot").at(0), 1);
        EXPECT_TRUE(std::is_sorted(lambda.begin(), lambda.end()));
        EXPECT_EQ(json.at("lambda_min"), lambda.front());
        EXPECT_EQ(json.at("lambda_max"), lambda.back());
        double trace = 0;
        for (std::size_t i = 0; i < 13; ++i) {
            trace += h[i * 13 + i];
            for (std::size_t j = 0; j < 13; ++j) {
                EXPECT_EQ(h[i * 13 + j], h[j * 13 + i]);
                double product = 0, image = 0;
                for (std::size_t k = 0; k < 13; ++k) {
                    product += v[i * 13 + k] * v[j * 13 + k];
                    image += h[j * 13 + k] * v[i * 13 + k];
                }
                EXPECT_NEAR(product, i == j ? 1 : 0, 1e-13);
                EXPECT_NEAR(image, lambda[i] * v[i * 13 + j], 1e-14);
            }
        }
        EXPECT_NEAR(json.at("trace").get<double>(), trace, 1e-14);
    }
}

TEST_F(CommandLine, HessianWritesNoVectorsUnasked) {
    const std::string path = folder_ / "run.h5", output = folder_ / "out.h5";
    RecordedSample().write(path);
    const ProgramResult result = run_program({"hessian", path, "--output", output});
    EXPECT_EQ(result.status, 0) << result.err;
    for (const std::string& key : hessian_keys) EXPECT_CONTAINS(result.out, key);
    EXPECT_FALSE(Hdf5File::open(output).exists("eigenvectors"));
    EXPECT_EQ(Hdf5File::open(output).attribute<std::int64_t>("/", "snapshot").at(0), 1);  // the last
    expect_failure(run_program({"hessian", path, "--output", output}), 2, {output, "exists"});
    for (const std::string snapshot : {"2", "-2", "99999999999"})
        expect_failure(run_program({"hessian", path, "--snapshot", snapshot}), 2,
                       {path, "--snapshot " + snapshot, "expected 0 to 1"});
    expect_failure(run_program({"hessian", path, "--snapshot", "one"}), 2, {"one"});
}

TEST_F(CommandLine, LargeHessianSaysHowLongItTakes) {
    ASSERT_EQ(run("out", {"--set", "network.hidden=[64, 64]", "--set", "train.epochs=0", "--set",
                          "train.replicas=1"})
                  .status,
              0);
    const ProgramResult result = run_program({"hessian", results("out")});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_CONTAINS(result.err, "P = 4546, 690 examples: a matrix of 0.17 GB, about ");
    EXPECT_CONTAINS(result.err, "; its eigenvalues take about ");
}

TEST_F(CommandLine, HessianOfResultsChoosesTheNetwork) {
    ASSERT_EQ(run("out", {"--set", "sweep.network.activation=[\"esp\",\"relu\"]"}).status, 0);
    const std::string path = results("out");
    expect_failure(run_program({"hessian", path}), 2,
                   {path, "--network", "--replica", "nonlinear_2-3-1_esp[0]", "nonlinear_2-3-1_relu[1]"});
    expect_failure(run_program({"hessian", path, "--network", "other"}), 2, {path, "nonlinear_2-3-1_esp[0]"});
    const ProgramResult result = run_program({"hessian", path, "--network", "nonlinear_2-3-1_relu",
                                              "--replica", "1", "--snapshot", "2", "--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    const auto lambda = Hdf5File::open(path).read<double>("nonlinear_2-3-1_relu/eigenvalues", {2, 4, 13});
    EXPECT_EQ(result.json().at("lambda_max"), lambda[7 * 13 - 1]);
}

TEST_F(CommandLine, ReplayOfOwnResults) {
    ASSERT_EQ(run("out", {"--set", "sweep.network.activation=[\"esp\",\"relu\",\"sigmoid\"]"}).status, 0);
    const ProgramResult result = run_program({"replay", results("out"), "--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err, "");
    const Json json = result.json();
    EXPECT_EQ(keys_of(json), (std::set<std::string>{
                                 "hessian_relative_error_max", "residual_error_max", "eigenvalue_error_max",
                                 "gamma_dead_mismatches", "negative_count_mismatches", "theta_error_median",
                                 "theta_error_max", "cost_error_max", "symmetry_residual_max",
                                 "trace_error_max", "snapshots", "parameters", "seconds_training",
                                 "seconds_hessian", "seconds_eigen", "device"}));
    EXPECT_EQ(json.at("theta_error_max"), 0.0);
    EXPECT_EQ(json.at("theta_error_median"), 0.0);
    EXPECT_EQ(json.at("cost_error_max"), 0.0);
    EXPECT_LE(json.at("eigenvalue_error_max").get<double>(), 1e-12);
    EXPECT_EQ(json.at("gamma_dead_mismatches"), 0);
    EXPECT_EQ(json.at("negative_count_mismatches"), 0);
    EXPECT_LE(json.at("symmetry_residual_max").get<double>(), 1e-12);
    EXPECT_EQ(json.at("snapshots"), 3 * replicas * snapshots);
    EXPECT_EQ(json.at("parameters"), parameters);
    EXPECT_TRUE(json.at("residual_error_max").is_null());
    EXPECT_EQ(run_program({"replay", results("out")}).status, 0);
}

TEST_F(CommandLine, ReplayWithoutTrainingData) {
    RecordedSample().write(folder_ / "run.h5");
    const ProgramResult result = run_program({"replay", (folder_ / "run.h5").string(), "--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    const Json json = result.json();
    EXPECT_TRUE(json.at("theta_error_max").is_null());
    EXPECT_TRUE(json.at("eigenvalue_error_max").is_null());
    EXPECT_EQ(json.at("snapshots"), 2);
}

TEST_F(CommandLine, PeakMemoryDoesNotGrowWithTheSnapshots) {
    const auto peak = [&](const std::string& folder, const std::vector<std::string>& options) {
        const ProgramResult result = run(folder, options);
        EXPECT_EQ(result.status, 0) << result.err;
        return result.json().at("peak_memory_bytes").get<double>();
    };
    const std::vector<std::string> digits = {
        "--json",           "--set", "data.source=digits", "--set", "network.hidden=[25]",         "--set",
        "train.replicas=1", "--set", "train.epochs=3",     "--set", "spectrum.epochs=[0, 1, 2, 3]"};
    EXPECT_LT(peak("digits", digits), 2e9);  // 1920 parameters
    const auto small = [](int epochs) {
        return std::vector<std::string>{"--json",
                                        "--set",
                                        "train.replicas=1",
                                        "--set",
                                        "data.source=linear",
                                        "--set",
                                        "network.hidden=[30]",
                                        "--set",
                                        "train.epochs=" + std::to_string(epochs),
                                        "--set",
                                        "spectrum.schedule={ dense_step = 1, dense_until = 1000000 }"};
    };
    // 4000 spectra of 152 parameters with their theta are 10 MB; one spectrum needs less than 1 MB.
    EXPECT_LT(peak("many", small(4000)), peak("few", small(40)) + 5e6);
}

TEST(Command, Info) {
    const ProgramResult text = run_program({"info"});
    EXPECT_EQ(text.status, 0);
    EXPECT_CONTAINS(text.out, "OpenBLAS");
    EXPECT_CONTAINS(text.out, "memory");
    const ProgramResult result = run_program({"info", "--json"});
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    const Json json = result.json();
    expect_keys(json, {"version", "versions", "build", "cpu_threads", "cuda_built", "cuda_devices",
                       "memory_available_bytes", "largest_parameters"});
    EXPECT_GT(json.at("largest_parameters").get<double>(), 1000);
}

TEST(Command, Usage) {
    expect_failure(run_program({}), 2, {"--help"});
    expect_failure(run_program({"frobnicate"}), 2, {"frobnicate"});
    expect_failure(run_program({""}), 2, {"unknown command"});
    expect_failure(run_program({"run"}), 2, {"recipe"});
    expect_failure(run_program({"run", "a.toml", "--colour"}), 2, {"--colour"});
    expect_failure(run_program({"info", "more"}), 2, {"more"});
    expect_failure(run_program({"benchmark", "recorded", "training", "a.h5", "b.h5", "1"}), 2, {"EPOCHS"});
    expect_failure(run_program({"benchmark", "recorded", "spectra", "a.h5", "b.h5", "two"}), 2,
                   {"THREADS \"two\""});
    const ProgramResult help = run_program({"--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_EQ(help.err, "");
    for (const char* word : {"run", "hessian", "replay", "info", "benchmark", "report"})
        EXPECT_CONTAINS(help.out, word);
    EXPECT_EQ(run_program({"run", "--help"}).status, 0);
    EXPECT_EQ(run_program({"--version"}).status, 0);
}

TEST_F(CommandLine, Devices) {
    EXPECT_EQ(run("cpu", {"--device", "cpu", "--set", "train.epochs=1"}).status, 0);
    expect_failure(run("gpu", {"--device", "gpu"}), 2, {"--device gpu", "auto, cpu or cuda"});
    // auto takes what info calls the default device, and every command says which it is.
    const Json info = run_program({"info", "--json"}).json();
    const bool cuda = info.at("default_device") == "cuda";
    const std::string name = cuda ? info.at("devices").at(0).at("name").get<std::string>() : "CPU, ";
    const ProgramResult automatic = run("auto", {"--set", "train.epochs=1"});
    EXPECT_EQ(automatic.status, 0) << automatic.err;
    EXPECT_CONTAINS(automatic.out, "device: " + name);
    EXPECT_CONTAINS(Hdf5File::open(results("auto")).attribute_string("/", "device"), name);
    for (const Words& command : {Words{"replay", results("auto"), "--json"},
                                 Words{"hessian", results("auto"), "--json", "--network", group}}) {
        const Json json = run_program(command).json();
        EXPECT_CONTAINS(json.at("device").get<std::string>(), name);
    }
}

TEST_F(CommandLine, CudaWithoutADevice) {
    const Json info = run_program({"info", "--json"}).json();
    const auto status = info.at("cuda_status").get<std::string>();
    const std::string line = run_program({"info"}).out;
    EXPECT_CONTAINS(line, "CUDA       " + status);
    EXPECT_EQ(info.at("devices").size(), info.at("cuda_devices").get<std::size_t>());
    if (info.at("default_device") == "cuda") {
        EXPECT_CONTAINS(line, info.at("devices").at(0).at("name").get<std::string>());
        EXPECT_GT(info.at("devices").at(0).at("largest_parameters").get<double>(), 1000);
        EXPECT_EQ(run("cuda", {"--device", "cuda", "--set", "train.epochs=1"}).status, 0);
        return;
    }
    const bool built = info.at("cuda_built").get<bool>();
    EXPECT_CONTAINS(status, (built ? "built in, no device" : "not built in"));
    // One line, nothing begun.
    const std::string reason = built ? status : "this build has no CUDA backend";
    expect_failure(run("cuda", {"--device", "cuda"}), 4, {"--device cuda: ", reason});
    EXPECT_FALSE(std::filesystem::exists(output("cuda")));
    ASSERT_EQ(run("cpu", {"--set", "train.epochs=1"}).status, 0);
    for (const char* command : {"hessian", "replay"})
        expect_failure(run_program({command, results("cpu"), "--device", "cuda"}), 4,
                       {"--device cuda: ", reason});
    expect_failure(
        run_program({"benchmark", "recorded", "spectra", results("cpu"), "out.h5", "1", "--device", "cuda"}),
        4, {"--device cuda: ", reason});
}

}  // namespace
}  // namespace espectra
