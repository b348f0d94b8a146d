// The inputs of ../shared/cases that are tables of text, where that folder exists.

#include "espectra/experiments/data/data_set.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include <filesystem>
#include <string>
#include <vector>

namespace espectra {
namespace {

using ::espectra::test::error_of;

using Words = std::vector<std::string>;

class TextCases : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!std::filesystem::exists(folder_)) GTEST_SKIP() << folder_ << " does not exist";
    }
    RawData load(const std::string& name, const DataOptions& options = {}) const {
        return load_data(folder_ / name, 0, options);
    }
    /// Returns the error of a file without its folder.
    std::string error(const std::string& name, const DataOptions& options = {}) const {
        const std::string message = error_of<InputError>([&] { load(name, options); });
        const std::string folder = folder_.string() + "/";
        EXPECT_EQ(message.rfind(folder + name, 0), 0u) << message;
        return message.substr(std::min(message.size(), folder.size()));
    }

    const std::filesystem::path folder_ = ESPECTRA_CASES;
};

TEST_F(TextCases, PlainTables) {
    const RawData plain = load("label01.csv");
    EXPECT_EQ(plain.examples, 8);
    EXPECT_EQ(plain.feature_count, 2);
    for (const char* name :
         {"comment.csv", "labels_3_4.csv", "labels_minus1_1.csv", "semicolon.csv", "string_labels.csv",
          "trailing_comma.csv", "utf16.csv", "tab.tsv", "plain.data", "plain.csv.gz"}) {
        const RawData raw = load(name);
        EXPECT_EQ(raw.features, plain.features) << name;
        EXPECT_EQ(raw.labels, plain.labels) << name;
    }
    EXPECT_EQ(load("labels_3_4.csv").description.class_labels, (Words{"3", "4"}));
    EXPECT_EQ(load("labels_minus1_1.csv").description.class_labels, (Words{"-1", "1"}));
    EXPECT_EQ(load("string_labels.csv").description.class_labels, (Words{"cat", "dog"}));
    EXPECT_EQ(load("label_first.csv", {.labels = {"kind"}}).features, plain.features);
}

TEST_F(TextCases, RowNumbersAreNoFeature) {
    const RawData with = load("row_numbers.csv"), without = load("no_row_numbers.csv");
    EXPECT_EQ(with.features, without.features);
    EXPECT_EQ(with.labels, without.labels);
    EXPECT_EQ(with.description.notes, Words{"column 1 numbers the rows: left out"});
}

TEST_F(TextCases, TwoTargets) {
    const RawData raw = load("two_targets.csv", {.targets = {Index{-2}, Index{-1}}});
    EXPECT_EQ(raw.features, load("label01.csv").features);
    EXPECT_EQ(raw.target_count, 2);
    EXPECT_EQ(raw.description.target_names, (Words{"t1", "t2"}));
}

TEST_F(TextCases, MissingValues) {
    EXPECT_EQ(error("missing.csv"),
              "missing.csv:4: column 2 (b): \"?\" means a missing value; data.missing = \"drop\" leaves "
              "such lines out");
    EXPECT_EQ(error("missing_empty.csv"),
              "missing_empty.csv:4: column 2 (b): no value; data.missing = \"drop\" leaves such "
              "lines out");
    for (const char* name : {"missing.csv", "missing_empty.csv"})
        EXPECT_EQ(load(name, {.missing = MissingValues::drop}).examples, 7) << name;
}

TEST_F(TextCases, ErrorsSayWhatToDo) {
    EXPECT_EQ(
        error("escape.csv"),
        "escape.csv:9: column 2: \"\\x1b[31mx\\x1b[0m\" is not a number; data.labels makes a column class "
        "labels, data.features chooses the features");
    for (const char* name : {"real_target.csv", "label_first.csv"}) {
        const std::string message = error(name);
        EXPECT_CONTAINS(message, "the last");
        EXPECT_CONTAINS(message, "data.labels");
        EXPECT_CONTAINS(message, "network.loss = \"mean_squared_error\"");
    }
    EXPECT_EQ(load("real_target.csv", {.regression = true}).targets.front(), 2.2);
}

}  // namespace
}  // namespace espectra
