#include <gtest/gtest.h>

#include "support/program_run.hpp"
#include "support/results_content.hpp"
#include <cmath>
#include <limits>
#include <numeric>

// Bad input: exit status 2 and one line that names file, key and value.

namespace espectra {
namespace {

using namespace ::espectra::test;
using Words = std::vector<std::string>;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

class BadInput : public ::testing::Test {
  protected:
    /// Expects `espectra run` of a recipe with this text to fail with these fragments and to leave no folder.
    void expect_bad_recipe(const std::string& text, const Words& fragments, const Words& more = {}) {
        const auto recipe = folder_.write("recipe.toml", text);
        Words words = {"run", recipe.string(), "--output", output_.string()};
        words.insert(words.end(), more.begin(), more.end());
        const ProgramResult result = run_program(words);
        SCOPED_TRACE(text);
        expect_failure(result, 2, fragments);
        EXPECT_EQ(result.out, "");
        EXPECT_FALSE(std::filesystem::exists(output_));
    }
    void expect_bad_override(const std::string& assignment, const Words& fragments) {
        SCOPED_TRACE(assignment);
        expect_bad_recipe("[data]\nsource = \"linear\"\n", fragments, {"--set", assignment});
    }
    /// Expects `hessian` and `replay` of this file to fail with these fragments.
    void expect_bad_run(const std::filesystem::path& path, Words fragments) {
        SCOPED_TRACE(path);
        fragments.push_back(path);
        expect_failure(run_program({"hessian", path}), 2, fragments);
        expect_failure(run_program({"replay", path, "--json"}), 2, fragments);
    }
    /// Writes the sample with one change and returns its path.
    template <class Change>
    std::filesystem::path changed(const std::string& name, Change change) {
        RecordedSample sample;
        change(sample);
        sample.write(folder_ / name);
        return folder_ / name;
    }

    TemporaryFolder folder_;
    std::filesystem::path output_ = folder_ / "output";
};

TEST_F(BadInput, Recipes) {
    const std::string linear = "[data]\nsource = \"linear\"\n";
    expect_bad_recipe("[train]\nepoch = 5\n", {"recipe.toml:2: train.epoch: unknown key", "epochs"});
    expect_bad_recipe("colour = 1\n", {"recipe.toml:1: colour: unknown key"});
    expect_bad_recipe("[network]\nhidden = \"wide\"\n", {"recipe.toml:2: network.hidden", "'wide'"});
    expect_bad_recipe("[train]\nepochs = 10.5\n", {"recipe.toml:2: train.epochs", "integer", "10.5"});
    expect_bad_recipe("[train]\nepochs = -3\n", {"recipe.toml:2: train.epochs", "-3"});
    expect_bad_recipe("[train]\nepochs = 9000000000000000000\n",
                      {"recipe.toml", "train.epochs", "snapshots"});
    expect_bad_recipe("[train]\nreplicas = 0\n", {"recipe.toml:2: train.replicas"});
    expect_bad_recipe("[train]\nreplicas = 9000000000000000000\n", {"recipe.toml:2: train.replicas"});
    expect_bad_recipe("[train]\nlearning_rate = nan\n", {"recipe.toml:2: train.learning_rate", "nan"});
    expect_bad_recipe("[network]\nhidden = 3\n", {"recipe.toml:2: network.hidden", "a list", "got 3"});
    expect_bad_recipe("[network]\nhidden = [3, 0]\n", {"recipe.toml:2: network.hidden", "[ 3, 0 ]"});
    expect_bad_recipe(linear + "[network]\nhidden = [9223372036854775807]\n",
                      {"9223372036854775807", "too many"});
    expect_bad_recipe("[network]\nactivation = \"mish\"\n", {"recipe.toml:2: network.activation", "'mish'"});
    expect_bad_recipe("[network]\nloss = \"hinge\"\n", {"recipe.toml:2: network.loss", "'hinge'"});
    expect_bad_recipe("[network]\nhidden = [3\n", {"recipe.toml:", "not valid TOML"});
    expect_bad_recipe("[data]\nsource = 5\n", {"recipe.toml:2: data.source", "a string"});
    expect_bad_recipe("[data]\nsource = \"no-such.csv\"\n", {"no-such.csv", "no such file"});
    expect_bad_recipe("[spectrum]\nepochs = [5, 3000]\n", {"recipe.toml:2: spectrum.epochs", "2000"});
    expect_bad_recipe("[spectrum]\nepochs = [-1]\n", {"recipe.toml:2: spectrum.epochs", "-1"});
    expect_bad_recipe("data = 3\n", {"recipe.toml:1: data", "a table"});
    expect_bad_recipe("\xff\xfe", {"recipe.toml"});
    const std::string missing = folder_ / "missing.toml";
    expect_failure(run_program({"run", missing}), 2, {missing, "no such file"});
    expect_failure(run_program({"run", folder_.path()}), 2, {folder_.path(), "is a directory"});
}

TEST_F(BadInput, OverridesAndSweeps) {
    expect_bad_override("train.epochs", {"--set train.epochs", "KEY=VALUE"});
    expect_bad_override("=3", {"--set =3", "KEY=VALUE"});
    expect_bad_override("train.epochs=", {"--set train.epochs", "integer"});
    expect_bad_override("train.epochs=many", {"--set train.epochs", "'many'"});
    expect_bad_override("train.steps=1", {"--set train.steps", "unknown key"});
    expect_bad_override("train=1", {"--set train", "a table"});
    expect_bad_override("network.hidden=[1,", {"--set network.hidden", "[1,"});
    expect_bad_override("data.source.name=1", {"--set data.source.name", "data.source is not a table"});
    expect_bad_override("sweep.network.activation=[]", {"--set sweep.network.activation", "[]"});
    expect_bad_override("sweep.network.activation=relu", {"--set sweep.network.activation", "'relu'"});
    expect_bad_override("sweep.network.colour=[1]", {"network.colour", "unknown key"});
    expect_bad_override("sweep.network.activation=[\"relu\",\"mish\"]", {"network.activation", "'mish'"});
    expect_bad_override("sweep=3", {"--set sweep", "a table"});
    expect_bad_recipe("[sweep]\n\"network.hidden\" = []\n", {"recipe.toml:2: sweep.network.hidden", "[]"});
    expect_bad_recipe("[sweep]\n\"train.epochs\" = 5\n", {"recipe.toml:2: sweep.train.epochs", "5"});
    expect_bad_recipe("[sweep]\n\"train.pace\" = [5]\n", {"recipe.toml:2", "train.pace", "unknown key"});
}

TEST_F(BadInput, Data) {
    const auto expect_bad_data = [&](const std::string& name, const Words& fragments) {
        expect_bad_recipe("[data]\nsource = \"" + name + "\"\n[train]\nepochs = 1\n", fragments);
    };
    folder_.write("nan.csv", "1,2,0\n3,nan,1\n5,6,0\n7,8,1\n");
    expect_bad_data("nan.csv", {"nan.csv:2", "column 2", "not a finite number"});
    folder_.write("word.csv", "1,2,0\n3,x,1\n");
    expect_bad_data("word.csv", {"word.csv:2", "\"x\""});
    folder_.write("label.csv", "1,2,0\n3,4,1\n5,6,-1\n");
    expect_bad_data("label.csv", {"label.csv", "label -1"});
    folder_.write("large.csv", "1,2,0\n3,4,1\n5,6,5000\n");
    expect_bad_data("large.csv", {"large.csv", "label 5000"});
    folder_.write("ragged.csv", "1,2,0\n3,1\n");
    expect_bad_data("ragged.csv", {"ragged.csv:2"});
    folder_.write("empty.csv", "");
    expect_bad_data("empty.csv", {"empty.csv"});
    folder_.write("text.h5", "this is not HDF5\n");
    expect_bad_data("text.h5", {"text.h5", "not an HDF5 file"});
    folder_.write("data.xyz", "1\n");
    expect_bad_data("data.xyz", {"data.xyz"});
    const auto write = [&](const std::string& name, std::vector<double> x, const std::vector<double>& y) {
        Hdf5File file = Hdf5File::create(folder_ / name);
        file.write("X", {4, 2}, x);
        file.write("y", {static_cast<Index>(y.size())}, y);
        file.close();
    };
    write("nan.h5", {1, 2, 3, 4, 5, nan, 7, 8}, {0, 1, 0, 1});
    expect_bad_data("nan.h5", {"nan.h5: X[2, 1]", "not a finite number"});
    write("label.h5", {1, 2, 3, 4, 5, 6, 7, 8}, {0, 1, 0, 0.5});
    expect_bad_data("label.h5", {"label.h5: y[3]", "0.5"});
    write("rows.h5", {1, 2, 3, 4, 5, 6, 7, 8}, {0, 1, 0});
    expect_bad_data("rows.h5", {"rows.h5: y", "expected 4, got 3"});
}

TEST_F(BadInput, RecordedRuns) {
    expect_bad_run(changed("widths.h5",
                           [](auto& run) {
                               run.widths = {2, 4, 1};
                           }),
                   {"theta", "2-4-1", "17", "13"});
    expect_bad_run(changed("inputs.h5",
                           [](auto& run) {
                               run.widths = {3, 3, 1};
                           }),
                   {"data/X_train", "3", "2"});
    expect_bad_run(changed("zero.h5", [](auto& run) { run.widths = {2, 0, 1}; }), {"width 0"});
    expect_bad_run(changed("negative.h5", [](auto& run) { run.widths = {2, -3, 1}; }), {"width -3"});
    expect_bad_run(changed("huge.h5",
                           [](auto& run) {
                               run.widths = {2, 4'000'000'000'000'000'000, 1};
                           }),
                   {"too many"});
    expect_bad_run(changed("short.h5", [](auto& run) { run.widths = {2}; }), {"width"});
    expect_bad_run(changed("none.h5", [](auto& run) { run.widths = {}; }), {"width"});
    expect_bad_run(changed("mish.h5", [](auto& run) { run.activation = "mish"; }),
                   {"hidden_activation", "\"mish\""});
    expect_bad_run(changed("lines.h5", [](auto& run) { run.activation = "two\nlines"; }),
                   {"hidden_activation"});
    expect_bad_run(changed("nan.h5", [](auto& run) { run.features[3] = nan; }),
                   {"data/X_train", "element 3", "nan"});
    expect_bad_run(changed("infinite.h5", [](auto& run) { run.targets[1] = 1 / 0.0; }),
                   {"data/Y_train", "inf"});

    const auto extended = [&](const std::string& name, auto extend) {
        const auto path = changed(name, [](auto&) {});
        Hdf5File file = Hdf5File::open_for_update(path);
        extend(file);
        file.close();
        return path;
    };
    using Doubles = std::vector<double>;
    expect_bad_run(extended("eigenvalues.h5",
                            [](auto& f) {
                                f.write("eigenvalues", {2, 12}, Doubles(24));
                            }),
                   {"eigenvalues", "2 x 13", "2 x 12"});
    expect_bad_run(extended("initial.h5", [](auto& f) { f.write("theta_initial", {12}, Doubles(12)); }),
                   {"theta_initial", "13", "12"});
    expect_bad_run(extended("rate.h5", [](auto& f) { f.set_attribute("/", "learning_rate", Doubles{}); }),
                   {"learning_rate", "one number"});
    expect_bad_run(extended("adam.h5", [](auto& f) { f.set_attribute("/", "adam", Doubles{0.9}); }),
                   {"adam", "3 numbers"});
    expect_bad_run(extended("epoch.h5",
                            [](auto& f) {
                                f.template write<std::int64_t>("epoch", {2}, {-4, 1});
                            }),
                   {"epoch", "-4"});
    expect_bad_run(extended("text.h5", [](auto& f) { f.set_attribute("/", "loss", "hinge"); }),
                   {"loss", "\"hinge\""});

    RecordedSample sample;
    sample.snapshots = 0;
    sample.write(folder_ / "empty.h5");
    expect_failure(run_program({"hessian", folder_ / "empty.h5"}), 2, {"empty.h5", "no snapshot"});
    Hdf5File::create(folder_ / "blank.h5").close();
    expect_bad_run(folder_ / "blank.h5", {"widths"});
    Hdf5File scalar = Hdf5File::create(folder_ / "scalar.h5");
    scalar.set_attribute("/", "widths", sample.widths);
    scalar.set_attribute("/", "hidden_activation", sample.activation);
    scalar.write("data/X_train", {5, 2}, sample.features);
    scalar.write("data/Y_train", {5, 1}, sample.targets);
    scalar.write("theta", {}, Doubles{1});
    scalar.close();
    expect_bad_run(folder_ / "scalar.h5", {"theta"});
}

TEST_F(BadInput, DamagedFiles) {
    RecordedSample().write(folder_ / "whole.h5");
    const std::string whole = read_bytes(folder_ / "whole.h5");
    for (const std::size_t size :
         {whole.size() - 1, whole.size() - 100, whole.size() / 2, whole.size() / 4, std::size_t{600},
          std::size_t{96}, std::size_t{48}, std::size_t{8}, std::size_t{3}})
        expect_bad_run(folder_.write("cut.h5", whole.substr(0, size)), {});
    expect_bad_run(folder_.write("empty.h5", ""), {"not an HDF5 file"});
    expect_bad_run(folder_.write("text.h5", "title = \"no\"\n"), {"not an HDF5 file"});
    expect_bad_run(folder_.path(), {"is a directory"});
    expect_bad_run(folder_ / "missing.h5", {"no such file"});
    // A wrong byte of the header gives an answer or an error, never a crash.
    for (std::size_t i = 0; i < std::min<std::size_t>(whole.size(), 2000); i += 97) {
        std::string bytes = whole;
        bytes[i] = static_cast<char>(bytes[i] ^ 0x5a);
        const auto result = run_program({"hessian", folder_.write("bit.h5", bytes), "--json"});
        EXPECT_TRUE(result.status == 0 || result.status == 2 || result.status == 4)
            << i << ": " << result.status;
    }
}

TEST_F(BadInput, DamagedResults) {
    const auto recipe = folder_.write("recipe.toml",
                                      "[data]\nsource = \"linear\"\n[network]\nhidden = [2]\n"
                                      "[train]\nepochs = 3\n");
    ASSERT_EQ(run_program({"run", recipe, "--output", output_}).status, 0);
    const std::string whole = read_bytes(output_ / "results.h5");
    for (const std::size_t size : {whole.size() - 1, whole.size() / 2, std::size_t{100}, std::size_t{0}}) {
        expect_bad_run(folder_.write("cut.h5", whole.substr(0, size)), {});
        std::ofstream(output_ / "results.h5", std::ios::binary) << whole.substr(0, size);
        const ProgramResult result = run_program({"run", recipe, "--output", output_, "--resume"});
        expect_failure(result, 2, {"results.h5"});
    }
}

TEST_F(BadInput, OutputFolder) {
    const auto recipe = folder_.write("recipe.toml", "[data]\nsource = \"linear\"\n[train]\nepochs = 1\n");
    std::filesystem::create_directory(output_);
    expect_failure(run_program({"run", recipe, "--output", output_}), 2, {output_, "--output", "--resume"});
    EXPECT_TRUE(std::filesystem::is_empty(output_));
    expect_failure(run_program({"run", recipe, "--output", recipe}), 2, {recipe, "not a folder"});
    expect_failure(run_program({"run", recipe, "--output", recipe / "below"}), 2, {recipe / "below"});
    // Folders above it are created.
    EXPECT_EQ(run_program({"run", recipe, "--output", (folder_ / "a/b/c/").string()}).status, 0);
}

TEST_F(BadInput, FolderThatCannotBeWritten) {
    const auto recipe = folder_.write("recipe.toml", "[data]\nsource = \"linear\"\n[train]\nepochs = 1\n");
    RecordedSample().write(folder_ / "run.h5");
    const auto closed = folder_ / "closed";
    std::filesystem::create_directory(closed);
    using std::filesystem::perms;
    const perms read_only = perms::owner_read | perms::owner_exec | perms::group_read | perms::group_exec |
                            perms::others_read | perms::others_exec;
    std::filesystem::permissions(folder_.path(), read_only | perms::owner_write);
    std::filesystem::permissions(closed, read_only);
    const auto not_root = [] {
        if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(126);
    };
    const std::string text = "Permission denied";
    expect_failure(run_program({"run", recipe, "--output", closed / "new"}, not_root), 2,
                   {closed / "new", text});
    expect_failure(run_program({"run", recipe, "--output", closed, "--resume"}, not_root), 2, {closed, text});
    expect_failure(run_program({"hessian", folder_ / "run.h5", "--output", closed / "out.h5"}, not_root), 2,
                   {closed / "out.h5", text});
    EXPECT_TRUE(std::filesystem::is_empty(closed));
    std::filesystem::permissions(closed, read_only | perms::owner_write);
}

}  // namespace
}  // namespace espectra
