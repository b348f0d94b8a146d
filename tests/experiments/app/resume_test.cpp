// `espectra run --resume` and `--extend`: what may have changed since the run began, and what is said about
// it.

#include "espectra/experiments/files/hdf5_file.hpp"

#include <gtest/gtest.h>

#include "experiments/app/command_line.hpp"
#include "support/results_content.hpp"
#include <algorithm>
#include <limits>

namespace espectra {
namespace {

using namespace ::espectra::test;
using Epochs = std::vector<std::int64_t>;

/// Forty examples of two features and a label.
std::string example_table() {
    std::string text;
    for (int i = 0; i < 40; ++i) {
        const int x = i * 37 % 41 - 20, y = i * 23 % 43 - 21;
        text += std::to_string(x) + "," + std::to_string(y) + "," + (2 * x + y > 3 ? "1\n" : "0\n");
    }
    return text;
}

class EarlierRuns : public CommandLine {
  protected:
    EarlierRuns() {
        folder_.write("own.csv", example_table());
        write_recipe("");
    }
    /// Writes the recipe `own.toml`, whose data are a file next to it.
    void write_recipe(const std::string& more) {
        recipe_ = folder_.write("own.toml",
                                "data.source = \"own.csv\"\nnetwork.hidden = [3]\n"
                                "train = { epochs = 60, replicas = 2 }\n"
                                "spectrum.schedule = { dense_until = 20, dense_step = 10, step = 20 }\n" +
                                    more);
    }
    /// Removes the records of the snapshots from `first` on, as if the run had been interrupted.
    void forget_records(const std::string& name, const std::string& group, Index first) {
        Hdf5File file = Hdf5File::open_for_update(results(name));
        const Index snapshots = file.extents(group + "/epoch")[0];
        const std::vector<double> none(static_cast<std::size_t>(2 * (snapshots - first)),
                                       std::numeric_limits<double>::quiet_NaN());
        file.write_slab(group + "/alpha", {0, first}, {2, snapshots - first}, none.data());
    }
    Epochs epochs_of(const std::string& name, const std::string& group) {
        return Hdf5File::open(results(name)).read<std::int64_t>(group + "/epoch");
    }
    /// Expects every record of the run `part` to be in the run `whole`, bit for bit.
    void expect_contained(const std::string& part, const std::string& whole, const std::string& group) {
        const Hdf5File a = Hdf5File::open(results(part)), b = Hdf5File::open(results(whole));
        const Epochs wanted = epochs_of(part, group), there = epochs_of(whole, group);
        std::vector<std::string> names = result_columns();
        names.insert(names.end(), {"theta", "eigenvalues"});
        std::erase_if(names, [](const std::string& name) { return name.starts_with("seconds"); });
        for (std::size_t e = 0; e < wanted.size(); ++e) {
            const auto place = std::ranges::find(there, wanted[e]) - there.begin();
            ASSERT_LT(place, std::ssize(there)) << "epoch " << wanted[e];
            for (const std::string& name : names)
                for (Index r = 0; r < 2; ++r)
                    expect_same_bits(
                        a.read_slab<double>(group + "/" + name, {r, static_cast<Index>(e)}, {1, 1}),
                        b.read_slab<double>(group + "/" + name, {r, place}, {1, 1}), name);
        }
    }
    const std::string group_ = "own_2-3-1_esp";
};

TEST_F(EarlierRuns, ResumedWithoutTheFileOfTheData) {
    ASSERT_EQ(run("whole").status, 0);
    ASSERT_EQ(run("parts").status, 0);
    forget_records("parts", group_, 1);
    std::filesystem::remove(folder_ / "own.csv");
    const ProgramResult resumed = run("parts", {"--resume"});
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_CONTAINS(resumed.out, "own.csv: no such file; its examples are taken from the results in " +
                                     output("parts").string());
    expect_same_results(results("parts"), results("whole"));
    EXPECT_EQ(run("parts", {"--resume", "--json"}).err, "");
    expect_failure(run("new", {"--resume"}), 2, {"own.csv: no such file"});
}

TEST_F(EarlierRuns, EachNetworkHasItsOwnStoredData) {
    const std::string sweep = "[sweep]\n\"data.seed\" = [1, 2]\n\"network.loss\" = [\"bce\", \"mse\"]\n";
    write_recipe(sweep);
    ASSERT_EQ(run("whole").status, 0);
    ASSERT_EQ(run("parts").status, 0);
    for (const std::string& group : Hdf5File::open(results("parts")).groups("/"))
        forget_records("parts", group, 2);
    std::filesystem::rename(folder_ / "own.csv", folder_ / "moved.csv");
    ASSERT_EQ(run("parts", {"--resume"}).status, 0);
    expect_same_results(results("parts"), results("whole"));
}

TEST_F(EarlierRuns, DifferencesOfTheRecipeAreNamed) {
    ASSERT_EQ(run("out", {"--set", "network.activation=tanh"}).status, 0);
    const auto resume = [&](const Words& more) {
        Words words = {"--resume"};
        words.insert(words.end(), more.begin(), more.end());
        return run("out", words);
    };
    expect_failure(
        resume({}), 2,
        {results("out"), "another recipe", "network.activation is 'tanh' there and not given here"});
    expect_failure(resume({"--set", "network.activation=tanh", "--set", "train.learning_rate=0.02"}), 2,
                   {"train.learning_rate is not given there and 0.02 here"});
    const ProgramResult several =
        resume({"--set", "network.activation=tanh", "--set", "train.seed=3", "--set", "network.hidden=[4]",
                "--set", "data.seed=9", "--set", "train.epochs=70", "--set", "data.scale=none"});
    expect_failure(several, 2,
                   {"data.scale is", "network.hidden is [ 3 ] there and [ 4 ] here", "and 2 more keys"});
    expect_failure(resume({"--set", "network.activation=tanh", "--set", "train.epochs=70"}), 2,
                   {"train.epochs is 60 there and 70 here", "--extend"});
    // Comments, the title, defaults and other names of the same value make no other networks.
    write_recipe("# a comment\ndata.scale = \"unit\"\n");
    EXPECT_EQ(resume({"--set", "title=new", "--set", "network.activation=Tanh"}).status, 0);
}

TEST_F(EarlierRuns, ExtensionsEqualOneLongRun) {
    ASSERT_EQ(run("long", {"--set", "train.epochs=100"}).status, 0);
    ASSERT_EQ(run("out").status, 0);
    const ProgramResult extended = run("out", {"--extend", "--set", "train.epochs=100", "--json"});
    ASSERT_EQ(extended.status, 0) << extended.err;
    EXPECT_EQ(extended.json().at("spectra"), 4);  // two replicas at epochs 80 and 100
    EXPECT_EQ(epochs_of("out", group_), (Epochs{0, 10, 40, 60, 80, 100}));
    expect_same_results(results("out"), results("long"));
    EXPECT_EQ(Hdf5File::open(results("out")).attribute<std::int64_t>(group_, "epochs_total").at(0), 100);
    EXPECT_FALSE(std::filesystem::exists(output("out") / "results.h5.partial"));

    // The epochs of both are kept where the schedule of more epochs has others, also when it is resumed.
    ASSERT_EQ(run("longer", {"--set", "train.epochs=130"}).status, 0);
    ASSERT_EQ(run("out", {"--extend", "--set", "train.epochs=130"}).status, 0);
    EXPECT_EQ(epochs_of("out", group_), (Epochs{0, 10, 30, 40, 50, 60, 70, 80, 90, 100, 110, 130}));
    expect_contained("long", "out", group_);
    expect_contained("longer", "out", group_);
    for (const std::string word : {"--resume", "--extend"}) {
        forget_records("out", group_, 6);
        const ProgramResult again = run("out", {word, "--set", "train.epochs=130", "--json"});
        ASSERT_EQ(again.status, 0) << again.err;
        EXPECT_EQ(again.json().at("spectra"), 12);
        expect_contained("long", "out", group_);
        expect_contained("longer", "out", group_);
    }
}

TEST_F(EarlierRuns, ExtensionsOfSweepsWithSearches) {
    write_recipe(
        "critical_points = { epochs = \"all\", iterations = 20 }\n"
        "[sweep]\n\"network.activation\" = [\"tanh\", \"relu\"]\n\"train.seed\" = [3, 4]\n");
    ASSERT_EQ(run("long", {"--set", "train.epochs=80"}).status, 0);
    ASSERT_EQ(run("out").status, 0);
    std::filesystem::remove(folder_ / "own.csv");
    const ProgramResult extended = run("out", {"--extend", "--set", "train.epochs=80", "--json"});
    ASSERT_EQ(extended.status, 0) << extended.err;
    EXPECT_EQ(extended.json().at("spectra"), 8);
    EXPECT_EQ(extended.json().at("searches"), 8);
    expect_same_results(results("out"), results("long"));
}

TEST_F(EarlierRuns, ExtensionsOfAnUnfinishedRun) {
    ASSERT_EQ(run("long", {"--set", "train.epochs=100"}).status, 0);
    ASSERT_EQ(run("out").status, 0);
    forget_records("out", group_, 2);
    std::filesystem::rename(output("out") / "results.h5", output("out") / "results.h5.partial");
    ASSERT_EQ(run("out", {"--extend", "--set", "train.epochs=100"}).status, 0);
    expect_same_results(results("out"), results("long"));
    EXPECT_FALSE(std::filesystem::exists(output("out") / "results.h5.partial"));
}

TEST_F(EarlierRuns, ExtensionsThatAreNone) {
    expect_failure(run("out", {"--extend"}), 2, {"--extend", output("out"), "no results to extend"});
    EXPECT_FALSE(std::filesystem::exists(output("out")));
    ASSERT_EQ(run("out").status, 0);
    const std::string before = read_bytes(results("out"));
    expect_failure(run("out", {"--extend"}), 2,
                   {results("out"), "train.epochs is 60 there and 60", "expected more"});
    expect_failure(run("out", {"--extend", "--set", "train.epochs=50"}), 2,
                   {"train.epochs is 60 there and 50"});
    expect_failure(run("out", {"--extend", "--set", "train.epochs=90", "--set", "train.seed=7"}), 2,
                   {results("out"), "train.seed is not given there and 7 here", "only train.epochs"});
    EXPECT_EQ(read_bytes(results("out")), before);
}

}  // namespace
}  // namespace espectra
