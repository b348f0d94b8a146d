#include <gtest/gtest.h>

#include "support/program_run.hpp"

// The output of `espectra run --dry-run`.

namespace espectra {
namespace {

using namespace ::espectra::test;
using Words = std::vector<std::string>;
using Json = nlohmann::json;
using std::filesystem::exists;

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
constexpr int replicas = 2;

class DryRun : public ::testing::Test {
  protected:
    /// A dry run of the tiny recipe.
    ProgramResult run(const Words& more) const {
        Words words = {"run", recipe_.string(), "--output", output().string(), "--dry-run"};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words);
    }
    std::filesystem::path output() const { return folder_ / "out"; }

    TemporaryFolder folder_;
    std::filesystem::path recipe_ = folder_.write("tiny.toml", tiny_recipe);
};

TEST_F(DryRun, PrintsThePlanAlone) {
    const Words sweep = {"--set", "sweep.network.activation=[\"esp\",\"relu\"]", "--set",
                         "sweep.train.seed=[1,7,9]"};
    const ProgramResult result = run(sweep);
    ASSERT_EQ(result.status, 0) << result.err;
    for (const char* part : {"12 networks in 6 combinations", "48 exact spectra of up to 17 parameters",
                             "estimated time: ", "nonlinear_2-3-1_relu_seed=7"})
        EXPECT_CONTAINS(result.out, part);
    EXPECT_FALSE(exists(output()));
    Words json_words = sweep;
    json_words.push_back("--json");
    const Json json = run(json_words).json();
    EXPECT_EQ(json.at("networks"), 12);
    EXPECT_EQ(json.at("combinations"), 6);
    EXPECT_EQ(json.at("kinds"), 2);
    EXPECT_EQ(json.at("spectra"), 48);
    EXPECT_GT(json.at("estimated_seconds"), 0);
    EXPECT_GT(json.at("memory_needed_bytes"), 0);
    ASSERT_EQ(json.at("plan").size(), 6u);
    for (const Json& one : json.at("plan")) {
        EXPECT_GT(one.at("seconds_training"), 0);
        EXPECT_GT(one.at("seconds_spectrum"), 0);
    }
    EXPECT_FALSE(exists(output()));
}

TEST_F(DryRun, PrintsCommonValuesOnce) {
    const ProgramResult result =
        run({"--set", "critical_points.epochs=[60]", "--set", "sweep.train.replicas=[1,5]", "--set",
             "sweep.train.seed=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21]"});
    ASSERT_EQ(result.status, 0) << result.err;
    for (const char* part : {"126 searches for critical points\n", "each: parameters 17, epochs 60",
                             "snapshots 4, searches 1", ", searches ", "\nand 2 more\n", " MB"})
        EXPECT_CONTAINS(result.out, part);
    // The costliest first.
    const auto table = result.out.substr(result.out.find("combination "));
    EXPECT_LT(table.find("replicas=5"), table.find("replicas=1_"));
    const Json json = run({"--json", "--set", "critical_points.epochs=[60]"}).json();
    EXPECT_EQ(json.at("searches"), replicas);
    EXPECT_EQ(json.at("plan")[0].at("searches"), 1);
    EXPECT_GT(json.at("plan")[0].at("seconds_search"), 0);
}

}  // namespace
}  // namespace espectra
