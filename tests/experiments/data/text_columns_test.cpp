#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/files/gzip.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include "support/temporary_folder.hpp"
#include <string>
#include <vector>

// Which columns of a table of text are features, labels and targets, and which number the rows; files.

namespace espectra {
namespace {

using ::espectra::test::error_of;
using ::espectra::test::TemporaryFolder;

using Doubles = std::vector<double>;
using Labels = std::vector<int>;
using Words = std::vector<std::string>;
using Columns = std::vector<ColumnName>;

RawData parse(const std::string& text, const DataOptions& options = {}) {
    return parse_text(text, "points.csv", options);
}

std::string text_error(const std::string& text, const DataOptions& options = {}) {
    return error_of<InputError>([&] { parse(text, options); });
}

const std::string named = "id2,sex,height,weight,group\n17,m,1.5,60,a\n12,f,1.25,55,b\n14,f,1.75,70,a\n";

TEST(TextColumns, LabelsByNameAndPlace) {
    const RawData raw = parse(named, {.features = Columns{"height", Index{4}}, .labels = Columns{"sex"}});
    EXPECT_EQ(raw.features, (Doubles{1.5, 60, 1.25, 55, 1.75, 70}));
    EXPECT_EQ(raw.labels, (Labels{1, 0, 0}));
    EXPECT_EQ(raw.description.features, "columns 3-4");
    EXPECT_EQ(raw.description.feature_names, (Words{"height", "weight"}));
    EXPECT_EQ(raw.description.outcomes, "column 2");
    EXPECT_EQ(raw.description.target_names, (Words{"sex"}));
    EXPECT_EQ(raw.description.class_labels, (Words{"f", "m"}));
    // The order is that of the option.
    EXPECT_EQ(parse(named, {.features = Columns{Index{4}, Index{3}}}).features,
              (Doubles{60, 1.5, 55, 1.25, 70, 1.75}));
    EXPECT_EQ(parse(named, {.features = Columns{"3-4"}, .labels = Columns{Index{-4}}}).labels,
              (Labels{1, 0, 0}));
    // Labels stay labels in a regression, where they are chosen.
    EXPECT_EQ(parse("1,2,0\n3,4,1\n", {.labels = Columns{Index{3}}, .regression = true}).classes, 2);
    EXPECT_EQ(parse("0,1.5,2\n1,3,4\n", {.labels = Columns{Index{1}}}).features, (Doubles{1.5, 2, 3, 4}));
}

TEST(TextColumns, Targets) {
    const RawData raw = parse(named, {.features = Columns{"id2"}, .targets = Columns{"weight", "height"}});
    EXPECT_EQ(raw.targets, (Doubles{60, 1.5, 55, 1.25, 70, 1.75}));
    EXPECT_EQ(raw.target_count, 2);
    EXPECT_EQ(raw.classes, 0);
    EXPECT_EQ(raw.description.outcomes, "columns 4, 3");
    EXPECT_EQ(raw.description.target_names, (Words{"weight", "height"}));
    const RawData last = parse("9,2,3,4\n5,6,7,8\n", {.targets = Columns{Index{-2}, Index{-1}}});
    EXPECT_EQ(last.features, (Doubles{9, 2, 5, 6}));
    EXPECT_EQ(last.targets, (Doubles{3, 4, 7, 8}));
}

TEST(TextColumns, ErrorsNameTheOption) {
    const auto features = [&](Columns columns) {
        return text_error(named, {.features = std::move(columns)});
    };
    EXPECT_EQ(features({"size"}),
              "points.csv: data.features: no column \"size\": the file has the columns \"id2\", "
              "\"sex\", \"height\", \"weight\", \"group\"");
    EXPECT_CONTAINS(features({Index{6}}), "data.features: no column 6: the file has the columns \"id2\"");
    EXPECT_CONTAINS(features({Index{-6}}), "no column -6");
    EXPECT_CONTAINS(features({Index{0}}), "no column 0");
    EXPECT_CONTAINS(features({"3-9"}), "no column 6");
    EXPECT_CONTAINS(features({"4-3"}), "no column \"4-3\"");
    EXPECT_CONTAINS(features({"height", Index{3}}), "data.features: column 3 twice");
    EXPECT_CONTAINS(features({"group", "height"}), "data.features: column 5 (group) has the labels");
    EXPECT_EQ(text_error("1,2,0\n3,4,1\n", {.labels = Columns{Index{7}}}),
              "points.csv: data.labels: no column 7: the file has 3 columns without names");
    EXPECT_CONTAINS(text_error("a,a,k\n1,2,0\n3,4,1\n", {.features = Columns{"a"}}),
                    "2 columns are called \"a\": give the column's number");
    EXPECT_EQ(text_error("a,b,k\n1,2,0\n3,4,1\n", {.labels = Columns{"1-2"}}),
              "points.csv: data.labels: expected one column, got columns 1-2");
    EXPECT_CONTAINS(text_error(named, {.features = Columns{"weight"}, .labels = Columns{"height"}}),
                    "label 1.5: expected");
    EXPECT_CONTAINS(text_error(named), ":2: column 2 (sex): \"m\" is not a number; data.labels makes");
    EXPECT_CONTAINS(text_error(named, {.features = Columns{"height"}, .regression = true}),
                    "column 5 (group): \"a\" is not a number, as targets of a regression are; data.labels");
    EXPECT_CONTAINS(text_error("1,0\n2,0.5\n3,1\n"),
                    "points.csv:2: column 2, the last: label 0.5: expected integers");
    EXPECT_CONTAINS(text_error("kind,x\n0,0.5\n1,1.5\n"), "network.loss = \"mean_squared_error\"");
    EXPECT_CONTAINS(text_error("1,2\n3,4\n", {.targets = Columns{Index{1}, Index{2}}}), "expected at least");
}

/// Returns the features of a table whose first column has these values, the second one 7, 8, 7, … and the
/// last one 0, 1, 0, …
Doubles second_column(int rows) {
    Doubles values;
    for (int i = 0; i < rows; ++i) values.push_back(7 + i % 2);
    return values;
}
std::string rows_with(const std::vector<std::string>& first) {
    std::string text;
    for (std::size_t i = 0; i < first.size(); ++i)
        text += first[i] + "," + std::to_string(7 + i % 2) + "," + std::to_string(i % 2) + "\n";
    return text;
}
Words counted(int rows, int from) {
    Words words;
    for (int i = 0; i < rows; ++i) words.push_back(std::to_string(from + i));
    return words;
}

TEST(TextColumns, RowNumbersAreLeftOut) {
    const Doubles expected = second_column(4);
    for (const Words& first : {counted(4, 0), counted(4, 1), counted(4, 100), Words{"9", "3", "5", "1"},
                               Words{"p", "q", "r", "s"}, Words{"\"1\"", "\"2\"", "\"3\"", "\"4\""}})
        for (const char* header : {",a,kind\n", "\"\",\"a\",\"kind\"\n", "Unnamed: 0,a,kind\n", "a,kind\n"}) {
            const RawData raw = parse(header + rows_with(first));
            EXPECT_EQ(raw.features, expected) << header << first[0];
            EXPECT_EQ(raw.description.feature_names, Words{"a"});
            ASSERT_EQ(raw.description.notes.size(), 1u);
            EXPECT_CONTAINS(raw.description.notes[0], "column 1");
            EXPECT_CONTAINS(raw.description.notes[0], ": left out");
        }
    for (const char* name :
         {"id", "Id", "ID", "index", "row", "row_id", "rownames", "No", "PassengerId", "#"})
        EXPECT_EQ(parse("\"" + std::string(name) + "\",a,kind\n" + rows_with(counted(4, 1))).feature_count,
                  name[0] == '#' ? 2 : 1);
    // Twice, as pandas does.
    EXPECT_EQ(parse(",Unnamed: 0,a,kind\n0,0,7,0\n1,1,8,1\n").features, (Doubles{7, 8}));
    // Without names, from ten rows on.
    EXPECT_EQ(parse(rows_with(counted(10, 1))).features, second_column(10));
    EXPECT_EQ(parse(rows_with(counted(10, 0))).features, second_column(10));
    EXPECT_EQ(parse(rows_with(counted(9, 1))).feature_count, 2);
    EXPECT_EQ(parse(rows_with(counted(12, 2))).feature_count, 2);
    // Lines that are left out count.
    Words gap = counted(12, 1);
    std::string text = rows_with(gap);
    text.replace(text.find(",7,"), 3, ",?,");
    EXPECT_EQ(parse(text, {.missing = MissingValues::drop}).feature_count, 1);
}

TEST(TextColumns, FeaturesThatAreNoRowNumbers) {
    EXPECT_EQ(parse("time,a,kind\n" + rows_with(counted(12, 1))).feature_count, 2);
    EXPECT_EQ(parse("id,a,kind\n" + rows_with({"3", "1", "2"})).feature_count, 2);
    EXPECT_EQ(parse("x,kind\n1,0\n2,1\n3,0\n").features, (Doubles{1, 2, 3}));
    EXPECT_EQ(parse(",a,kind\n" + rows_with(counted(3, 0)), {.features = Columns{Index{1}, Index{2}}})
                  .feature_count,
              2);
    Words identifiers;
    for (int i = 0; i < 20; ++i) identifiers.push_back(std::to_string(1000 + i * i));
    const RawData raw = parse(rows_with(identifiers));
    EXPECT_EQ(raw.feature_count, 2);
    ASSERT_EQ(raw.description.notes.size(), 1u);
    EXPECT_EQ(raw.description.notes[0],
              "column 1 has a different integer in each line and is taken as a feature");
    EXPECT_EQ(text_error(",a,kind\n" + rows_with({"0.5", "1.5"})),
              "points.csv: column 1 has no name and no row numbers; name it, or choose the features by "
              "data.features");
    EXPECT_CONTAINS(text_error(",a,kind\n" + rows_with({"1", "1"})), "column 1 has no name");
    EXPECT_CONTAINS(text_error(",kind\n0,0\n1,1\n"), "points.csv: no features: column 1 numbers the rows");
}

TEST(TextColumns, EmptyColumns) {
    const RawData raw = parse("a,,b,kind\n1,,2,0\n3,,4,1\n");
    EXPECT_EQ(raw.features, (Doubles{1, 2, 3, 4}));
    EXPECT_EQ(raw.description.features, "columns 1, 3");
    EXPECT_EQ(raw.description.notes, Words{"column 2 left out: empty"});
    // A text after the part of the file that is looked at first.
    std::string text;
    for (int i = 0; i < 1100; ++i) text += "1,," + std::to_string(i % 2) + "\n";
    EXPECT_EQ(text_error(text + "1,5,0\n"),
              "points.csv:1101: column 2: \"5\" in a column that is empty in the lines before it");
}

std::string gzipped(const std::string& text) {
    const TemporaryFolder folder;
    const auto path = folder / "text.gz";
    const gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    return test::read_bytes(path);
}

TEST(TextFiles, EndingsAndCompression) {
    const TemporaryFolder folder;
    const std::string text = "1,2,0\n3,4,1\n";
    for (const char* ending : {".csv", ".CSV", ".tsv", ".txt", ".data"}) {
        for (const char* compressed : {"", ".gz", ".GZ"}) {
            const std::string name = std::string("points") + ending + compressed;
            const auto path = folder.write(name, *compressed ? gzipped(text) : text);
            const RawData raw = load_data(path.string(), 0, {});
            EXPECT_EQ(raw.source, path.string());
            EXPECT_EQ(raw.features, (Doubles{1, 2, 3, 4})) << name;
        }
    }
    // The content decides, not the name.
    EXPECT_EQ(load_text(folder.write("a.csv", gzipped(text)), {}).examples, 2);
    EXPECT_EQ(load_text(folder.write("b.csv.gz", text), {}).examples, 2);
    // Several members, as by `cat a.gz b.gz`, and the zeros at the end of a tape.
    EXPECT_EQ(load_text(folder.write("c.gz", gzipped(text) + gzipped(text)), {}).examples, 4);
    EXPECT_EQ(load_text(folder.write("d.gz", gzipped(text) + std::string(512, '\0')), {}).examples, 2);
    std::string large;
    for (int i = 0; i < 50000; ++i) large += std::to_string(i) + ".5," + std::to_string(i % 2) + "\n";
    EXPECT_EQ(load_text(folder.write("e.csv.gz", gzipped(large)), {}).features.back(), 49999.5);
    EXPECT_EQ(load_text(folder.write("e.csv", large), {}).features.back(), 49999.5);
}

TEST(TextFiles, Errors) {
    const TemporaryFolder folder;
    const auto error = [&](const std::filesystem::path& path) {
        const std::string message = error_of<InputError>([&] { load_data(path.string(), 0, {}); });
        EXPECT_EQ(message.rfind(path.string() + ": ", 0), 0u) << message;
        return message.substr(std::min(message.size(), path.string().size() + 2));
    };
    const std::string packed = gzipped("1,2,0\n3,4,1\n");
    EXPECT_EQ(error(folder.write("a.csv.gz", packed.substr(0, packed.size() - 9))), "truncated gzip file");
    EXPECT_EQ(error(folder.write("b.csv.gz", packed.substr(0, 5))), "truncated gzip file");
    EXPECT_EQ(error(folder.write("c.csv.gz", packed + "more")),
              "damaged gzip file: other data after its end");
    std::string damaged = packed;
    damaged[damaged.size() - 6] ^= 1;  // of the checksum
    EXPECT_EQ(error(folder.write("d.csv.gz", damaged)), "damaged gzip file");
    EXPECT_EQ(error(folder / "none.csv"), "no such file");
    EXPECT_EQ(error(folder.path()), "is a directory");
    ASSERT_EQ(::mkfifo((folder / "pipe.csv").c_str(), 0600), 0);
    EXPECT_EQ(error(folder / "pipe.csv"), "expected a file, got a pipe or device");
}

}  // namespace
}  // namespace espectra
