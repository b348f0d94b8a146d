// `espectra run`: its streams, files and exit status.

#include "espectra/experiments/files/hdf5_file.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "experiments/app/command_line.hpp"
#include "support/results_content.hpp"
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

namespace espectra {
namespace {

using namespace ::espectra::test;

TEST_F(CommandLine, RunPrintsATable) {
    const ProgramResult result = run("out");
    EXPECT_EQ(result.status, 0) << result.err;
    for (const char* part : {"activation", "cost", "alpha", "gamma", "g_dead", "lambda_min", "lambda_max",
                             "seconds", tiny_group, "device: CPU", "results: "})
        EXPECT_CONTAINS(result.out, part);
    EXPECT_CONTAINS(read_bytes(output("out") / "summary.txt"), tiny_group);
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(output("out")))
        files.insert(entry.path().filename().string());
    EXPECT_EQ(files, (std::set<std::string>{"results.h5", "summary.txt"}));
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

TEST_F(CommandLine, RunSearchesForCriticalPoints) {
    const ProgramResult text = run("text", {"--set", "critical_points.epochs=all"});
    ASSERT_EQ(text.status, 0) << text.err;
    const std::string line = fmt::format("critical points of {}: ", tiny_group);
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
        file.read<double>(std::string(tiny_group) + "/critical_points/converged", {replicas, snapshots});
    EXPECT_EQ(searches[0].at("converged"), std::accumulate(converged.begin(), converged.end(), 0.0));
}

TEST_F(CommandLine, ResumedSearchesAlone) {
    ASSERT_EQ(run("out", {"--set", "critical_points.epochs=[60]"}).status, 0);
    {
        Hdf5File file = Hdf5File::open_for_update(results("out"));
        const double none = std::numeric_limits<double>::quiet_NaN();
        file.write_slab(std::string(tiny_group) + "/critical_points/converged", {1, 0}, {1, 1}, &none);
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

TEST_F(CommandLine, OverriddenSweep) {
    for (const char* key : {"\"network.hidden\"", "network.hidden"}) {
        folder_.write("tiny.toml", std::string(tiny_recipe) + "[sweep]\n" + key + " = [[5], [6]]\n");
        ASSERT_EQ(run(key, {"--set", "sweep.network.hidden=[[2], [1]]", "--set", "train.epochs=1"}).status,
                  0);
        EXPECT_EQ(Hdf5File::open(results(key)).groups("/"),
                  (Words{"nonlinear_2-1-1_esp", "nonlinear_2-2-1_esp"}));
    }
}

TEST_F(CommandLine, EveryActivationByTheNameOfAnotherProgram) {
    const ProgramResult result = run(
        "out",
        {"--json", "--set", "sweep.network.activation=[\"GELU\", \"ELU\", \"LeakyReLU\", \"SiLU\"]", "--set",
         "network.negative_slope=0.2", "--set", "network.loss=MSELoss", "--set", "train.epochs=5"});
    ASSERT_EQ(result.status, 0) << result.err;
    const Hdf5File file = Hdf5File::open(results("out"));
    for (const std::string activation : {"gelu", "elu", "leaky_relu", "esp"}) {
        const std::string name = "nonlinear_2-3-1_" + activation;
        EXPECT_EQ(file.attribute_string(name, "hidden_activation"), activation);
        EXPECT_EQ(file.attribute_string(name, "loss"), "mean_squared_error");
        EXPECT_EQ(file.attribute<double>(name, "negative_slope").at(0), 0.2);
        for (const double error : file.read<double>(name + "/trace_error")) EXPECT_LT(error, 1e-13);
        const bool symmetry = activation == "leaky_relu" || activation == "esp";
        for (const double residual : file.read<double>(name + "/symmetry_residual"))
            EXPECT_EQ(std::isnan(residual), !symmetry);
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

TEST_F(CommandLine, CsvNextToTheRecipe) {
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

}  // namespace
}  // namespace espectra
