// Data in text files, from the recipe to the results: what a run says of them, and what it refuses.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/program_run.hpp"
#include "support/results_content.hpp"
#include <string>
#include <vector>

namespace espectra {
namespace {

using namespace ::espectra::test;
using Words = std::vector<std::string>;

class OwnData : public ::testing::Test {
  protected:
    /// Writes a table of two classes; `shift` moves the first feature.
    void write_table(double shift = 0, const std::string& kind = "cat") {
        std::string text = ",a,b,kind\n";
        for (int i = 0; i < 12; ++i)
            text += fmt::format("{},{},{},{}\n", i, i % 5 + shift, (i * 7) % 4, i % 2 == 0 ? kind : "dog");
        folder_.write("pets.csv", text);
    }
    /// Runs the recipe with these words after its own.
    ProgramResult run(const Words& more = {}) {
        const auto recipe = folder_.write(
            "recipe.toml", "data.source = \"pets.csv\"\nnetwork.hidden = [2]\ntrain.epochs = 2\n");
        Words words = {"run", recipe.string(), "--output", (folder_ / "out").string(), "--device", "cpu"};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words);
    }
    std::filesystem::path results() const { return folder_ / "out" / "results.h5"; }

    TemporaryFolder folder_;
};

TEST_F(OwnData, RunsSayWhatWasReadAndRecordTheLabels) {
    write_table();
    const ProgramResult result = run();
    ASSERT_EQ(result.status, 0) << result.err;
    const std::string line =
        "pets.csv: 12 examples (9 to train, 3 to test); 2 features from columns 2-3 (a, b); labels from "
        "column 4, the "
        "last (kind), 2 classes: 0 = cat, 1 = dog; column 1 numbers the rows: left out; features scaled to "
        "[0, 1] by "
        "the minimum and maximum of them all";
    EXPECT_CONTAINS(result.out, line + "\n");
    EXPECT_EQ(result.out.rfind("data: ", 0), 0u);
    const Hdf5File file = Hdf5File::open(results());
    const std::string group = file.groups("/").front();
    EXPECT_EQ(file.read_text(group + "/data/class_labels"), (Words{"cat", "dog"}));
    EXPECT_EQ(file.read_text(group + "/data/feature_names"), (Words{"a", "b"}));
    EXPECT_FALSE(file.exists(group + "/data/target_names"));
    EXPECT_CONTAINS(file.attribute_string(group, "data_description"), line);
    EXPECT_CONTAINS(run({"--dry-run"}).out, line);
    const ProgramResult json = run({"--dry-run", "--json"});
    EXPECT_CONTAINS(json.json()["data"][0].get<std::string>(), line);
}

TEST_F(OwnData, TargetsOfARegression) {
    write_table();
    const ProgramResult result = run({"--set", "network.loss=mse", "--set", "data.targets=[\"b\", \"a\"]",
                                      "--set", "data.features=[1]", "--json"});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_CONTAINS(result.json()["data"][0].get<std::string>(), "2 targets from columns 3, 2 (b, a)");
    const Hdf5File file = Hdf5File::open(results());
    const std::string group = file.groups("/").front();
    EXPECT_EQ(file.read_text(group + "/data/target_names"), (Words{"b", "a"}));
    EXPECT_FALSE(file.exists(group + "/data/class_labels"));
    EXPECT_EQ(file.extents(group + "/data/Y_train"), (std::vector<Index>{9, 2}));
}

TEST_F(OwnData, ResumeRefusesOtherData) {
    write_table();
    ASSERT_EQ(run().status, 0);
    EXPECT_EQ(run({"--resume"}).status, 0);
    write_table(0.5);
    const std::string before = read_bytes(results());
    expect_failure(run({"--resume"}), 2, {"results.h5: ", "/data/X_train: ", "pets.csv", "--output"});
    write_table(0, "cow");
    expect_failure(run({"--resume"}), 2, {"/data/class_labels: "});
    write_table();
    folder_.write("pets.csv", read_bytes(folder_ / "pets.csv") + "12,1,1,dog\n");
    expect_failure(run({"--resume"}), 2, {"/data/X_train: "});
    EXPECT_EQ(read_bytes(results()), before);
}

TEST_F(OwnData, OptionsAreChecked) {
    write_table();
    const auto refuse = [&](const std::string& assignment, const Words& fragments) {
        SCOPED_TRACE(assignment);
        expect_failure(run({"--set", assignment}), 2, fragments);
        EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
    };
    refuse("data.features=[]", {"--set data.features", "names or numbers of columns"});
    refuse("data.features=[0]", {"--set data.features", "[ 0 ]"});
    refuse("data.features=1.5", {"--set data.features"});
    refuse("data.features=height", {"data.features: no column \"height\": the file has the columns"});
    refuse("data.labels=[1, 2]", {"pets.csv: data.labels: expected one column"});
    refuse("data.labels=9", {"data.labels: no column 9"});
    refuse("data.targets=2", {"--set data.targets", "[2] is the second column, [-2, -1] are the last two"});
    refuse("data.header=yes", {"--set data.header", "\"auto\", true or false"});
    refuse("data.decimal=dot", {"--set data.decimal"});
    refuse("data.missing=skip", {"--set data.missing"});
    expect_failure(run({"--set", "data.labels=a", "--set", "data.targets=b"}), 2,
                   {"either data.labels or data.targets"});
    expect_failure(run({"--set", "data.source=digits", "--set", "data.labels=1"}), 2,
                   {"digits: data.labels"});
}

TEST_F(OwnData, ControlCharactersNeverReachTheTerminal) {
    folder_.write("pets.csv", "\x1b[31ma,b\x07,k\n1,2,x\n2,3,\x1b[0my\n3,4,x\n4,5,\x1b[0my\n");
    for (const Words& more : {Words{}, Words{"--set", "data.features=[3]", "--set", "data.labels=[1]"},
                              Words{"--set", "data.features=c"}, Words{"--set", "data.source=a\x1b.csv"}}) {
        const ProgramResult result = run(more);
        for (const char c : result.out + result.err)
            EXPECT_TRUE(static_cast<unsigned char>(c) >= 32 || c == '\n') << result.err;
        std::filesystem::remove_all(folder_ / "out");
    }
}

TEST_F(OwnData, RecordedRunsWithTargetsOfAnotherLossAreRefused) {
    RecordedSample sample;
    sample.targets = {-1, 1, 1, -1, 1};
    sample.write(folder_ / "run.h5");
    for (const char* command : {"hessian", "replay"})
        expect_failure(run_program({command, (folder_ / "run.h5").string()}), 2,
                       {"run.h5: data: target -1: expected a number in [0, 1] for sigmoid_cross_entropy",
                        "mean_squared_error takes any number"});
}

}  // namespace
}  // namespace espectra
