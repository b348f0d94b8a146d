#include "espectra/experiments/data/data_set.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include <string>
#include <vector>

// Tables of text: layouts, numbers, and errors. Choices of columns are in text_columns_test.

namespace espectra {
namespace {

using ::espectra::test::error_of;
using ::espectra::test::TemporaryFolder;

using Doubles = std::vector<double>;
using Labels = std::vector<int>;
using Words = std::vector<std::string>;

RawData parse(const std::string& text, const DataOptions& options = {}) {
    return parse_text(text, "points.csv", options);
}

std::string text_error(const std::string& text, const DataOptions& options = {}) {
    return error_of<InputError>([&] { parse(text, options); });
}

const Doubles features = {0.5, -1.2, 1.5, 0.3, -0.7, 0.9, 2.1, -0.4};
const Labels labels = {0, 1, 0, 1};

/// Returns the table of these features and labels, with a header if `names` is not empty.
std::string table(const std::string& separator, const std::string& line_end = "\n", const Words& names = {}) {
    std::string text;
    if (!names.empty()) text = names[0] + separator + names[1] + separator + names[2] + line_end;
    const Words numbers = {"0.5", "-1.2", "1.5", "0.3", "-0.7", "0.9", "2.1", "-0.4"};
    for (std::size_t i = 0; i < labels.size(); ++i)
        text += numbers[2 * i] + separator + numbers[2 * i + 1] + separator + std::to_string(labels[i]) +
                line_end;
    return text;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

/// Expects the features and labels above.
void expect_table(const std::string& text, const DataOptions& options = {}) {
    SCOPED_TRACE(text);
    const RawData raw = parse(text, options);
    EXPECT_EQ(raw.features, features);
    EXPECT_EQ(raw.labels, labels);
    EXPECT_EQ(raw.feature_count, 2);
    EXPECT_EQ(raw.classes, 2);
}

bool has_note(const RawData& raw, const std::string& note) {
    for (const std::string& one : raw.description.notes)
        if (one == note) return true;
    return false;
}

/// Returns the text in UTF-16 with a byte-order mark, if `mark` is true.
std::string utf16(const std::string& ascii, bool big, bool mark) {
    std::string bytes;
    const auto add = [&](char high, char low) {
        bytes += big ? high : low;
        bytes += big ? low : high;
    };
    if (mark) add('\xFE', '\xFF');
    for (const char c : ascii) add('\0', c);
    return bytes;
}

TEST(Text, SeparatorsAndLineEnds) {
    for (const char* separator : {",", ";", "\t", "|", " ", "   ", " \t ", ", ", " ; "}) {
        expect_table(table(separator));
        expect_table(table(separator, "\n", {"a", "b", "kind"}));
        expect_table(table(separator, "\r\n", {"\"a\"", "\"b\"", "\"kind\""}));
    }
    expect_table(table(",", "\r"));
    expect_table(table("\t", "\n\n \n"));
    expect_table("\n\n" + table(",") + "  \n,,\n");
    expect_table(replaced(table(","), "\n", ",,,\n"));  // separators at the end of each line
    expect_table("a,b,kind\n" + replaced(table(","), "\n", ",\n"));
    expect_table("a,b,kind,\n" + table(","));
    expect_table(table(",").substr(0, table(",").size() - 1));  // without the last line end
    expect_table("sep=;\n" + table(";"));
    expect_table("\"sep=,\"\r\n" + table(",", "\r\n"));
    expect_table(" 0.5   -1.2   0\n 1.5    0.3   1\n-0.7    0.9   0\n 2.1   -0.4   1\n");
    // Several tabs between some of the columns.
    expect_table("0.5\t-1.2\t0\n1.5\t\t0.3\t1\n-0.7\t0.9\t\t0\n2.1\t-0.4\t1\n");
}

TEST(Text, DecimalCommas) {
    for (const char* separator : {";", "\t", "|", " "}) {
        const RawData raw = parse(replaced(table(separator), ".", ","));
        EXPECT_EQ(raw.features, features) << separator;
        EXPECT_TRUE(has_note(raw, "commas read as decimal marks"));
    }
    EXPECT_EQ(parse("\"1,5\",2,0\n\"2,5\",3,1\n", {.decimal = DecimalMark::comma}).features,
              (Doubles{1.5, 2, 2.5, 3}));
    EXPECT_EQ(parse("1,234;0,5;0\n2,345;1,5;1\n").features, (Doubles{1.234, 0.5, 2.345, 1.5}));
    EXPECT_EQ(
        text_error("a;b;c\n1,234;2;0\n12,345;3;1\n"),
        "points.csv:2: column 1 (a): 1,234: the comma may be a decimal mark or separate thousands, as in "
        "the other numbers; data.decimal = \"comma\" makes it a decimal mark");
    EXPECT_EQ(parse("1,234;2;0\n12,345;3;1\n", {.decimal = DecimalMark::comma}).features,
              (Doubles{1.234, 2, 12.345, 3}));
    EXPECT_EQ(text_error("1,5;2;0\n1;2.5;1\n"),
              "points.csv:2: column 2: 2.5 has a decimal point, but points.csv:1: "
              "column 1: 1,5 a decimal comma");
    EXPECT_CONTAINS(text_error("1.5;2;0\n1;2,5;1\n"), ":2: column 2: 2,5 has a decimal comma, but");
    EXPECT_CONTAINS(text_error("1.5;2;0\n1;3;1\n", {.decimal = DecimalMark::comma}),
                    "1.5 has a decimal point, but data.decimal is \"comma\"");
    EXPECT_CONTAINS(text_error("1,5;2;0\n1;3;1\n", {.decimal = DecimalMark::point}),
                    "\"1,5\" is not a number");
    for (const char* thousands : {"1,234.5", "1.234,5", "1,234,567"})
        EXPECT_CONTAINS(text_error("1;2;0\n" + std::string(thousands) + ";3;1\n"), ":2: column 1: \"");
    EXPECT_CONTAINS(text_error("a,b,c\n\"1,234\",2,0\n"), "\"1,234\" is not a number: a decimal comma needs");
}

TEST(Text, Numbers) {
    EXPECT_EQ(parse("1e3,+1,.5,0\n1.,-1E-3,1e-400,1\n", {.header = Header::absent}).features,
              (Doubles{1000, 1, 0.5, 1, -0.001, 0}));
    EXPECT_EQ(parse("\"1\",\" 2 \",\"0\"\n\"3\",4,1\n", {.header = Header::absent}).features,
              (Doubles{1, 2, 3, 4}));
    for (const char* word :
         {"x", "2x", "0x1F", "1.0D+00", "--1", "+-1", "1 2", "5%", "$5", "1_000", "1.2.3", "−1"})
        EXPECT_CONTAINS(text_error("1,2,0\n" + std::string(word) + ",3,1\n"),
                        "points.csv:2: column 1: \"" + std::string(word) + "\" is not a number");
    for (const char* infinite : {"inf", "-inf", "Infinity", "1e999", "-1e999"})
        EXPECT_EQ(text_error("1,2,0\n" + std::string(infinite) + ",3,1\n"),
                  "points.csv:2: column 1: " + std::string(infinite) + " is not a finite number");
    EXPECT_CONTAINS(text_error("1,2,0\n" + std::string(1 << 20, '7') + ",3,1\n"), "… is not a finite number");
    EXPECT_CONTAINS(text_error("a,b,c\n" + std::string(1 << 20, 'x') + ",3,1\n"), "x…\" is not a number");
}

TEST(Text, Quotes) {
    const RawData raw = parse("\"a\nx\",\"b \"\"q\"\"\",\"c,d\"\n" + table(","));
    EXPECT_EQ(raw.features, features);
    EXPECT_EQ(raw.description.feature_names, (Words{"a\nx", "b \"q\""}));
    EXPECT_EQ(raw.description.target_names, (Words{"c,d"}));
    // Lines are counted within quotes.
    EXPECT_CONTAINS(text_error("\"a\r\nx\",b,c\n1,2,0\n1,y,1\n"), "points.csv:4: column 2 (b): \"y\"");
    EXPECT_EQ(text_error("1,2,0\n3,\"4,1\n5,6,0\n"), "points.csv:2: a quote (\") is not closed");
    EXPECT_EQ(text_error("1,2,0\n\"3\"x,4,1\n"),
              "points.csv:2: column 1: expected a separator after the quoted \"3\", got \"x,4,1\"");
    EXPECT_EQ(parse("x,k\n1,\"a,b\"\n2,\"c;\"\n").description.class_labels, (Words{"a,b", "c;"}));
}

TEST(Text, Comments) {
    const RawData raw = parse("% made up\n" + table(",") + "  # the end\n");
    EXPECT_EQ(raw.features, features);
    EXPECT_TRUE(has_note(raw, "2 lines of comments left out"));
    EXPECT_EQ(parse("# a,b,kind\n" + table(",")).description.feature_names,
              (Words{"a", "b"}));  // numpy.savetxt
    EXPECT_EQ(parse("# a,b,kind\n" + table(","), {.labels = {"kind"}}).labels, labels);
    EXPECT_TRUE(parse("# of 2026, by hand\n" + table(",")).description.feature_names.empty());
    EXPECT_TRUE(parse("# \"open, a, b\n" + table(",")).description.feature_names.empty());
}

TEST(Text, Encodings) {
    expect_table("\xEF\xBB\xBF" + table(",", "\r\n", {"a", "b", "kind"}));
    for (const bool big : {false, true})
        for (const bool mark : {false, true}) {
            expect_table(utf16(table(";"), big, mark));
            EXPECT_TRUE(has_note(parse(utf16(table(";"), big, mark)), "read as UTF-16"));
        }
    // U+1F431 as a surrogate pair.
    EXPECT_EQ(parse(utf16("x,k\n1,b\n2,", false, true) + std::string("\x3D\xD8\x31\xDC\n\0", 6))
                  .description.class_labels,
              (Words{"b", "\xF0\x9F\x90\xB1"}));
    EXPECT_CONTAINS(text_error(utf16(table(","), false, true) + "\x3D\xD8"), "damaged UTF-16 text");
    EXPECT_CONTAINS(text_error(utf16(table(","), false, true) + "x"), "an odd number of bytes");
    const RawData latin = parse(
        "gr\xF6\xDF"
        "e,b\x80,art\n" +
        table(","));
    EXPECT_EQ(latin.description.feature_names, (Words{"größe", "b€"}));
    EXPECT_TRUE(has_note(latin, "read as Windows-1252, as it is not UTF-8"));
    using namespace std::string_literals;
    EXPECT_EQ(text_error("\xFF\xFE\0\0a\0\0\0"s), "points.csv: is UTF-32: save it as UTF-8");
    EXPECT_EQ(text_error("1,2,0\n1,\0,1\n"s), "points.csv:2: has a zero byte, expected text");
    EXPECT_CONTAINS(text_error("PK\x03\x04rest"), "is a ZIP archive or an Excel workbook");
    EXPECT_EQ(
        text_error("1,2,0\n\x1b[31mx,\x7f,1\n"),
        "points.csv:2: column 1: \"\\x1b[31mx\" is not a number; data.labels makes a column class labels, "
        "data.features chooses the features");
}

TEST(Text, Headers) {
    // Words, and numbers that only count the columns.
    for (const Words& names : {Words{"a", "b", "kind"}, Words{"0", "1", "2"}, Words{"1", "2", "3"},
                               Words{"0", "1", "kind"}, Words{"\"2001\"", "\"2002\"", "\"2003\""}}) {
        const RawData raw = parse(table(",", "\n", names));
        EXPECT_EQ(raw.features, features) << names[0];
        EXPECT_EQ(raw.description.feature_names.size(), 2u);
    }
    EXPECT_EQ(parse("0,1,2,3,4\n1,1,1,1,0\n2,2,2,2,1\n").examples, 2);
    EXPECT_EQ(parse(",0,1,2\n0,7,7,0\n1,8,8,1\n").examples, 2);
    // Examples.
    EXPECT_EQ(parse("5.1,3.5,setosa\n7.0,3.2,virginica\n").examples, 2);
    EXPECT_EQ(parse("0,1\n1,0\n2,1\n3,0\n").examples, 4);
    EXPECT_EQ(parse("5,2,9\n1,2,3\n3,4,9\n1,8,3\n0,8,3\n").examples, 5);
    EXPECT_EQ(parse("1,?,cat\n3,4,dog\n5,6,dog\n7,8,cat\n", {.missing = MissingValues::drop}).examples, 3);
    EXPECT_EQ(parse(",,cat\n3,4,dog\n5,6,dog\n7,8,cat\n", {.missing = MissingValues::drop}).examples, 3);
    // What may be either.
    const std::string ask = "set data.header = true or false";
    EXPECT_EQ(
        text_error("x,y,1\n1,2,1\n3,4,0\n"),
        "points.csv:1: may be names of columns or an example: \"x\", \"y\", \"1\" has words and numbers; " +
            ask);
    EXPECT_CONTAINS(text_error("0,1,2\n5,6,2\n7,8,1\n"), "\"0\", \"1\", \"2\" has numbers alone; " + ask);
    EXPECT_CONTAINS(text_error("2001,2002,2003\n0.5,1.5,0\n1.5,2.5,1\n2.5,0.5,0\n1.5,2.5,1\n"), ask);
    EXPECT_CONTAINS(text_error("2001,2002,label\n1.5,2.5,cat\n2.5,3.5,dog\n1.5,3.5,cat\n2.5,2.5,dog\n"), ask);
    EXPECT_CONTAINS(text_error("1990,1991,1992\n0.5,1.5,0.3\n1.5,2.5,0.1\n", {.regression = true}), ask);
    EXPECT_CONTAINS(text_error("?,b,cat\n1,2,cat\n3,4,dog\n"), ask);
    EXPECT_EQ(parse("0,1,2\n5,6,2\n7,8,1\n", {.header = Header::present}).examples, 2);
    EXPECT_EQ(parse("0,1,2\n5,6,2\n7,8,1\n", {.header = Header::absent}).examples, 3);
    EXPECT_EQ(text_error("a,b,c\n1,2,0\n", {.header = Header::absent}).substr(0, 29),
              "points.csv:1: column 1: \"a\" i");
    EXPECT_EQ(text_error("a,b,c\nd,e,f\n").substr(0, 33), "points.csv:2: column 1 (a): \"d\" i");
}

TEST(Text, FilesOfScikitLearn) {
    const RawData iris = parse("4,2,setosa,versicolor\n5.1,3.5,0\n4.9,3.0,0\n7.0,3.2,1\n6.4,3.2,1\n");
    EXPECT_EQ(iris.features, (Doubles{5.1, 3.5, 4.9, 3, 7, 3.2, 6.4, 3.2}));
    EXPECT_EQ(iris.description.class_labels, (Words{"setosa", "versicolor"}));
    EXPECT_EQ(iris.description.notes.size(), 1u);
    const RawData boston =
        parse("2,2,\"\",\"\"\n\"CRIM\",\"ZN\",\"MEDV\"\n5.1,3.5,24.5\n4.9,3.0,21.6\n", {.regression = true});
    EXPECT_EQ(boston.targets, (Doubles{24.5, 21.6}));
    EXPECT_EQ(boston.description.feature_names, (Words{"CRIM", "ZN"}));
    EXPECT_EQ(parse("Chins Situps Jumps\n5 162 60\n2 110 60\n", {.regression = true}).targets,
              (Doubles{60, 60}));  // linnerud
    // An example whose numbers are those of a first line by chance.
    EXPECT_EQ(parse("3,2,cat\n5,6,dog\n").examples, 2);
}

TEST(Text, Ragged) {
    EXPECT_EQ(text_error("a,b,c\n\n1,2,0\n3,1\n"), "points.csv:4: expected 3 columns, got 2");
    EXPECT_EQ(text_error("1,2,0\n1,2,1,7\n"), "points.csv:2: expected 3 columns, got 4");
    EXPECT_EQ(text_error("a,b\n1,2,0\n3,4,1\n5,6,0\n,,,7\n"), "points.csv:5: expected 3 columns, got 4");
    EXPECT_EQ(text_error("1\n1,2,0\n3,4,1\n"), "points.csv:1: expected 3 columns, as most lines have, got 1");
    EXPECT_CONTAINS(text_error("1\n2\n"),
                    "points.csv: expected at least 2 columns (features, and labels or targets), got 1");
    for (const char* nothing : {"", "\n \r\n", "a,b,c\n", "# a\n% b\n", "\xEF\xBB\xBF", ",,,\n"})
        EXPECT_EQ(text_error(nothing), "points.csv: no examples") << nothing;
    EXPECT_EQ(text_error("1,2,0\n"), "points.csv: all 1 labels are 0: expected at least two classes");
    EXPECT_EQ(parse("1,2,0.5\n", {.regression = true}).examples, 1);
}

TEST(Text, MissingValues) {
    for (const char* mark :
         {"", "?", "NA", "nan", "NaN", "-nan", "null", "NULL", "None", "N/A", "#N/A", "<NA>", "\"\""}) {
        const std::string text = "a,b,kind\n1,2,0\n3," + std::string(mark) + ",1\n5,6,1\n";
        const std::string plain = std::string(mark) == "\"\"" ? "" : mark;
        EXPECT_EQ(text_error(text),
                  "points.csv:3: column 2 (b): " +
                      (plain.empty() ? "no value" : "\"" + plain + "\" means a missing value") +
                      "; data.missing = \"drop\" leaves such lines out");
        const RawData raw = parse(text, {.missing = MissingValues::drop});
        EXPECT_EQ(raw.features, (Doubles{1, 2, 5, 6}));
        EXPECT_EQ(raw.labels, (Labels{0, 1}));
        EXPECT_TRUE(has_note(raw, "1 line with missing values left out"));
    }
    EXPECT_CONTAINS(
        text_error("a,b,k\n1,NA,0\n2,3,1\nnan,,0\n4,5,?\n"),
        "points.csv:2: column 2 (b): \"NA\" means a missing value, and 2 more lines are incomplete; ");
    EXPECT_CONTAINS(text_error("a,k\n?,0\n,1\n", {.missing = MissingValues::drop}),
                    "points.csv: no examples: values are missing in all 2 lines");
    // The place of an error counts the lines that are left out.
    EXPECT_CONTAINS(text_error("1,0\n?,1\n2,0.5\n", {.missing = MissingValues::drop}),
                    "points.csv:3: column 2, the last: label 0.5");
    EXPECT_EQ(parse("1,2,0.5\n3,4,NA\n5,6,7\n", {.regression = true, .missing = MissingValues::drop}).targets,
              (Doubles{0.5, 7}));
    EXPECT_CONTAINS(text_error("1;;0\n2;;1\n3;4;1\n"), ":1: column 2: no value, and 1 more");
}

TEST(Text, Booleans) {
    const RawData raw = parse("a,b,ok\n1,True,yes\n2,FALSE,no\n3,true,yes\n");
    EXPECT_EQ(raw.features, (Doubles{1, 1, 2, 0, 3, 1}));
    EXPECT_EQ(raw.labels, (Labels{1, 0, 1}));
    EXPECT_TRUE(has_note(raw, "true and false of column 2 read as 1 and 0"));
    EXPECT_EQ(parse("1,True\n2,False\n").description.class_labels, (Words{"False", "True"}));
    EXPECT_EQ(parse("1,True\n2,False\n", {.regression = true}).targets, (Doubles{1, 0}));
    EXPECT_CONTAINS(text_error("1,True,0\n2,maybe,1\n"), "\"True\" is not a number");
}

}  // namespace
}  // namespace espectra
