#include "espectra/experiments/data/data_set.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include <string>
#include <vector>

namespace espectra {
namespace {

using ::espectra::test::error_of;
using ::espectra::test::TemporaryFolder;

using Doubles = std::vector<double>;
using Labels = std::vector<int>;

template <class Call>
std::string input_error(Call call) {
    return error_of<InputError>(call);
}

/// Returns the error of parsing `text` as points.csv.
std::string csv_error(const std::string& text, bool regression = false) {
    return input_error([&] { parse_csv(text, "points.csv", regression); });
}

TEST(Csv, Plain) {
    const RawData raw = parse_csv("1,2.5,0\n-3,4e2,1\n", "points.csv", false);
    EXPECT_EQ(raw.examples, 2);
    EXPECT_EQ(raw.feature_count, 2);
    EXPECT_EQ(raw.classes, 2);
    EXPECT_EQ(raw.features, (Doubles{1, 2.5, -3, 400}));
    EXPECT_EQ(raw.labels, (Labels{0, 1}));
    EXPECT_TRUE(raw.targets.empty());
}

TEST(Csv, HeaderCarriageReturnsBlanksAndQuotes) {
    const RawData raw = parse_csv(
        "\xEF\xBB\xBF\"x, first\", \"y\" ,label\r\n\r\n +1.0 ,\t2 ,1\r\n\"3\",.5,0.0\r\n1e-400,5,2\r\n\r\n "
        "\r\n",
        "points.csv", false);
    EXPECT_EQ(raw.features, (Doubles{1, 2, 3, 0.5, 0, 5}));
    EXPECT_EQ(raw.labels, (Labels{1, 0, 2}));
    EXPECT_EQ(raw.classes, 3);
    EXPECT_EQ(parse_csv("# a,b\n1,0\n2,1", "x", false).examples, 2);  // the header of numpy.savetxt
}

TEST(Csv, Regression) {
    const RawData raw = parse_csv("1,2,0.5\n3,4,-1.5\n", "points.csv", true);
    EXPECT_EQ(raw.classes, 0);
    EXPECT_EQ(raw.target_count, 1);
    EXPECT_EQ(raw.targets, (Doubles{0.5, -1.5}));
    EXPECT_TRUE(raw.labels.empty());
}

TEST(Csv, ErrorsNameTheLine) {
    EXPECT_EQ(csv_error(""), "points.csv: no examples");
    EXPECT_EQ(csv_error("\n \r\n"), "points.csv: no examples");
    EXPECT_EQ(csv_error("a,b,c\n"), "points.csv: no examples");
    EXPECT_EQ(csv_error("1,2,0\n1,abc,1\n"), "points.csv:2: \"abc\" is not a number");
    EXPECT_EQ(csv_error("1,2,0\n1,,1\n"), "points.csv:2: \"\" is not a number");
    EXPECT_EQ(csv_error("1,2,0\n1,2x,1\n"), "points.csv:2: \"2x\" is not a number");
    EXPECT_EQ(csv_error("x,y,1\n1,2,1\n"), "points.csv:1: \"x\" is not a number");
    EXPECT_EQ(csv_error("a,b,c\nd,e,f\n"), "points.csv:2: \"d\" is not a number");
    EXPECT_EQ(csv_error("a,b,c\n\n1,2,0\n3,1\n"), "points.csv:4: expected 3 columns, got 2");
    EXPECT_EQ(csv_error("1,2,0\n1,2,1,\n"), "points.csv:2: expected 3 columns, got 4");
    EXPECT_EQ(csv_error("1,2,0\n1,nan,1\n"), "points.csv:2: column 2: nan is not a finite number");
    EXPECT_EQ(csv_error("1,2,0\n-inf,0,1\n"), "points.csv:2: column 1: -inf is not a finite number");
    EXPECT_EQ(csv_error("1,2,0\n1e999,0,1\n"), "points.csv:2: column 1: 1e999 is not a finite number");
    EXPECT_EQ(csv_error("1,2,0.5\n1,2,nan\n", true), "points.csv:2: column 3: nan is not a finite number");
    EXPECT_CONTAINS(csv_error("1\n2\n"), "points.csv:1: expected at least 2 columns");
    EXPECT_CONTAINS(csv_error("1;2;0\n"), "separated by commas");
}

TEST(Labels, AreIntegersFromZeroWithEveryClassPresent) {
    const std::string expected = "expected integers 0 ... C-1 with every class present";
    EXPECT_EQ(csv_error("1,0\n1,0.5\n"), "points.csv:2: label 0.5: " + expected);
    EXPECT_EQ(csv_error("1,0\n1,-1\n"), "points.csv:2: label -1: " + expected);
    EXPECT_EQ(csv_error("x,y\n1,0\n1,1\n\n1,99\n"),
              "points.csv:5: label 99: " + expected + ", but class 2 has no example");
    EXPECT_EQ(csv_error("1,0\n1,1000\n"), "points.csv:2: label 1000: " + expected + ", at most 1000 classes");
    EXPECT_EQ(csv_error("1,0\n1,1e300\n"),
              "points.csv:2: label 1e+300: " + expected + ", at most 1000 classes");
    EXPECT_EQ(csv_error("1,1\n1,3\n1,2\n"),
              "points.csv:1: label 1: labels are 1 ... 3, expected 0 ... 2: subtract 1");
    EXPECT_CONTAINS(csv_error("1,2\n1,3\n"), "class 0 has no example");
    EXPECT_EQ(csv_error("1,0\n1,0\n"), "points.csv: all 2 labels are 0: expected at least two classes");
    std::string thousand;
    for (int label = 0; label < 1000; ++label) thousand += "1," + std::to_string(label) + "\n";
    EXPECT_EQ(parse_csv(thousand, "points.csv", false).classes, 1000);
}

TEST(Csv, Files) {
    const TemporaryFolder folder;
    const auto path = folder.write("Points.CSV", "1,2,0\n3,4,1\n");
    const RawData raw = load_data(path.string(), 0, false);
    EXPECT_EQ(raw.source, path.string());
    EXPECT_EQ(raw.features, (Doubles{1, 2, 3, 4}));
    EXPECT_EQ(input_error([&] { load_csv(folder / "none.csv", false); }),
              (folder / "none.csv").string() + ": no such file");
    EXPECT_EQ(input_error([&] { load_csv(folder.path(), false); }),
              folder.path().string() + ": is a directory");
    // Longer than one read of the reader.
    std::string text;
    for (int i = 0; i < 20000; ++i) text += std::to_string(i) + ".5," + std::to_string(i % 2) + "\n";
    const RawData large = load_csv(folder.write("large.csv", text), false);
    EXPECT_EQ(large.examples, 20000);
    EXPECT_EQ(large.features.back(), 19999.5);
}

}  // namespace
}  // namespace espectra
