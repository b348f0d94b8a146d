#include "espectra/experiments/data/data_set.hpp"

#include "espectra/experiments/files/hdf5_file.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>
#include <matio.h>
#include <zlib.h>

#include "support/temporary_folder.hpp"
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace espectra {
namespace {

using ::espectra::test::error_of;
using ::espectra::test::read_bytes;
using ::espectra::test::TemporaryFolder;

using Doubles = std::vector<double>;
using Labels = std::vector<int>;

template <class Call>
std::string input_error(Call call) {
    return error_of<InputError>(call);
}

/// The error of parsing `text` as points.csv.
std::string csv_error(const std::string& text, bool regression = false) {
    return input_error([&] { parse_csv(text, "points.csv", regression); });
}

// ---------------------------------------------------------------- digits and generators

TEST(Digits, AreTheKnownOnes) {
    const RawData raw = load_digits();
    EXPECT_EQ(raw.source, "digits");
    EXPECT_EQ(raw.examples, 1797);
    EXPECT_EQ(raw.feature_count, 64);
    EXPECT_EQ(raw.classes, 10);
    ASSERT_EQ(raw.features.size(), 1797u * 64u);
    const Doubles first = {0, 0,  5, 13, 9,  1, 0,  0, 0,  0,  13, 15, 10, 15, 5, 0,  0,  3, 15, 2, 0,  11,
                           8, 0,  0, 4,  12, 0, 0,  8, 8,  0,  0,  5,  8,  0,  0, 9,  8,  0, 0,  4, 11, 0,
                           1, 12, 7, 0,  0,  2, 14, 5, 10, 12, 0,  0,  0,  0,  6, 13, 10, 0, 0,  0};
    EXPECT_TRUE(std::equal(first.begin(), first.end(), raw.features.begin()));
    EXPECT_EQ(Labels(raw.labels.begin(), raw.labels.begin() + 12),
              (Labels{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1}));
    EXPECT_EQ(raw.labels.back(), 8);
    std::vector<int> count(10);
    for (const int label : raw.labels) ++count[static_cast<std::size_t>(label)];
    EXPECT_EQ(count, (std::vector<int>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}));
    const auto [low, high] = std::minmax_element(raw.features.begin(), raw.features.end());
    EXPECT_EQ(*low, 0.0);
    EXPECT_EQ(*high, 16.0);
    EXPECT_TRUE(
        std::all_of(raw.features.begin(), raw.features.end(), [](double x) { return x == std::floor(x); }));
}

/// Runs the perceptron rule with a bias until an epoch makes no mistake; false after `epochs`.
bool perceptron_converges(const RawData& raw, int epochs) {
    double w[3] = {0, 0, 0};
    for (int epoch = 0; epoch < epochs; ++epoch) {
        int mistakes = 0;
        for (std::size_t i = 0; i < raw.labels.size(); ++i) {
            const double sign = raw.labels[i] == 1 ? 1.0 : -1.0;
            const double x[3] = {raw.features[2 * i], raw.features[2 * i + 1], 1.0};
            if (sign * (w[0] * x[0] + w[1] * x[1] + w[2] * x[2]) > 0) continue;
            for (int k = 0; k < 3; ++k) w[k] += sign * x[k];
            ++mistakes;
        }
        if (mistakes == 0) return true;
    }
    return false;
}

/// The best accuracy of any line among 360 directions × all offsets.
double best_linear_accuracy(const RawData& raw) {
    double best = 0.0;
    for (int degree = 0; degree < 360; ++degree) {
        const double angle = degree * M_PI / 180.0;
        std::vector<std::pair<double, int>> projected;
        for (std::size_t i = 0; i < raw.labels.size(); ++i)
            projected.emplace_back(
                std::cos(angle) * raw.features[2 * i] + std::sin(angle) * raw.features[2 * i + 1],
                raw.labels[i]);
        std::sort(projected.begin(), projected.end());
        auto right = std::count(raw.labels.begin(), raw.labels.end(), 1);
        for (const auto& [position, label] : projected) {
            right += label == 0 ? 1 : -1;
            best = std::max(best, static_cast<double>(right) / static_cast<double>(raw.examples));
        }
    }
    return best;
}

void expect_planar(const RawData& raw, Index zeros, Index ones, double width, double height) {
    EXPECT_EQ(raw.examples, zeros + ones);
    EXPECT_EQ(raw.feature_count, 2);
    EXPECT_EQ(raw.classes, 2);
    EXPECT_EQ(std::count(raw.labels.begin(), raw.labels.end(), 0), zeros);
    EXPECT_EQ(std::count(raw.labels.begin(), raw.labels.end(), 1), ones);
    ASSERT_EQ(static_cast<Index>(raw.features.size()), 2 * raw.examples);
    for (std::size_t i = 0; i < raw.features.size(); i += 2) {
        EXPECT_TRUE(raw.features[i] >= 0.0 && raw.features[i] <= width);
        EXPECT_TRUE(raw.features[i + 1] >= 0.0 && raw.features[i + 1] <= height);
    }
}

TEST(Generators, LinearIsSeparableByALine) {
    for (const std::uint64_t seed : {0u, 1u, 2u, 12345u}) {
        const RawData raw = generate_linear(seed);
        expect_planar(raw, 30, 21, 4.5, 5.0);
        EXPECT_TRUE(perceptron_converges(raw, 100000)) << seed;
    }
}

TEST(Generators, NonlinearIsNot) {
    for (const std::uint64_t seed : {0u, 1u, 2u}) {
        const RawData raw = generate_nonlinear(seed);
        expect_planar(raw, 383, 480, 1.0, 1.0);
        EXPECT_FALSE(perceptron_converges(raw, 1000)) << seed;
        const double accuracy = best_linear_accuracy(raw);
        EXPECT_GT(accuracy, 0.6) << seed;
        EXPECT_LT(accuracy, 0.9) << seed;
    }
}

TEST(Generators, DependOnTheSeedOnly) {
    EXPECT_EQ(generate_linear(7).features, generate_linear(7).features);
    EXPECT_NE(generate_linear(7).features, generate_linear(8).features);
    EXPECT_EQ(generate_nonlinear(7).features, generate_nonlinear(7).features);
    EXPECT_NE(generate_nonlinear(7).features, generate_nonlinear(8).features);
}

// ---------------------------------------------------------------- CSV

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
    EXPECT_EQ(parse_csv("# a,b\n1,0\n2,1", "x", false).examples, 2);  // as numpy.savetxt writes a header
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
    // Longer than one block of the reader.
    std::string text;
    for (int i = 0; i < 20000; ++i) text += std::to_string(i) + ".5," + std::to_string(i % 2) + "\n";
    const RawData large = load_csv(folder.write("large.csv", text), false);
    EXPECT_EQ(large.examples, 20000);
    EXPECT_EQ(large.features.back(), 19999.5);
}

// ---------------------------------------------------------------- HDF5

TEST(Hdf5Data, LabelsAndTargets) {
    const TemporaryFolder folder;
    const Doubles x = {1, 2, 3, 4, 5, 6};
    const auto make = [&](const std::string& name, std::vector<Index> extents, const Doubles& y) {
        Hdf5File file = Hdf5File::create(folder / name);
        file.write<double>("X", {3, 2}, x);
        file.write<double>("y", extents, y);
        return folder / name;
    };
    const RawData flat = load_data(make("flat.h5", {3}, {0, 1, 1}).string(), 0, false);
    EXPECT_EQ(flat.examples, 3);
    EXPECT_EQ(flat.feature_count, 2);
    EXPECT_EQ(flat.features, x);
    EXPECT_EQ(flat.labels, (Labels{0, 1, 1}));
    EXPECT_EQ(load_hdf5(make("column.hdf5", {3, 1}, {2, 1, 0}), false).labels, (Labels{2, 1, 0}));
    const RawData targets = load_hdf5(make("targets.h5", {3, 2}, {0.1, 1, 2, 3, 4, 5}), false);
    EXPECT_EQ(targets.classes, 0);
    EXPECT_EQ(targets.target_count, 2);
    EXPECT_EQ(targets.targets, (Doubles{0.1, 1, 2, 3, 4, 5}));
    EXPECT_EQ(load_hdf5(folder / "flat.h5", true).targets, (Doubles{0, 1, 1}));

    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("a.h5", {4}, {0, 1, 0, 1}), false);
                    }),
                    "a.h5: y: rows, as many as X: expected 3, got 4");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("b.h5", {3}, {0, 99, 1}), false);
                    }),
                    "b.h5: y[1]: label 99: expected");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(make("c.h5", {3}, {1, 2, 1}), false); }), "subtract 1");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("d.h5", {3}, {1, NAN, 1}), true);
                    }),
                    "d.h5: y[1, 0]: nan is not a finite number");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("e.h5", {3, 1, 1}, {1, 0, 1}), true);
                    }),
                    "e.h5: y: expected 2 axes (examples, features), got 3");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(make("f.h5", {3, 0}, {}), true); }), "f.h5: y: no columns");
}

TEST(Hdf5Data, Errors) {
    const TemporaryFolder folder;
    const auto make = [&](const std::string& name, std::vector<Index> extents, const Doubles& x) {
        Hdf5File file = Hdf5File::create(folder / name);
        if (!extents.empty()) file.write<double>("X", extents, x);
        return folder / name;
    };
    EXPECT_CONTAINS(input_error([&] { load_hdf5(make("a.h5", {}, {}), false); }), "a.h5: no dataset \"X\"");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("b.h5", {1, 1}, {1}), false);
                    }),
                    "b.h5: no dataset \"y\"");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(folder.write("c.h5", "text"), false); }),
                    "c.h5: not an HDF5 file");
    {
        Hdf5File file = Hdf5File::create(folder / "d.h5");
        file.write<double>("X", {2, 3}, {1, 2, 3, 4, INFINITY, 6});
        file.write<double>("y", {2}, {0, 1});
        Hdf5File empty = Hdf5File::create(folder / "e.h5");
        empty.write<double>("X", {0, 3}, {});
        empty.write<double>("y", {0}, {});
        Hdf5File bare = Hdf5File::create(folder / "f.h5");
        bare.write<double>("X", {2, 0}, {});
        bare.write<double>("y", {2}, {0, 1});
    }
    EXPECT_CONTAINS(input_error([&] { load_hdf5(folder / "d.h5", false); }),
                    "d.h5: X[1, 1]: inf is not a finite number");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(folder / "e.h5", false); }), "e.h5: no examples");
    EXPECT_CONTAINS(input_error([&] { load_hdf5(folder / "f.h5", false); }), "f.h5: no features");
}

TEST(Hdf5Data, RecordedRun) {
    const TemporaryFolder folder;
    const auto make = [&](const std::string& name, Index columns, const Doubles& y_train,
                          const Doubles& y_test) {
        Hdf5File file = Hdf5File::create(folder / name);
        file.write<double>("data/X_train", {2, 2}, {1, 2, 3, 4});
        file.write<double>("data/Y_train", {2, columns}, y_train);
        if (!y_test.empty()) {
            file.write<double>("data/X_test", {1, 2}, {5, 6});
            file.write<double>("data/Y_test", {1, columns}, y_test);
        }
        return folder / name;
    };
    const RawData hot = load_hdf5(make("hot.h5", 3, {0, 1, 0, 1, 0, 0}, {0, 0, 1}), false);
    EXPECT_EQ(hot.features, (Doubles{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(hot.labels, (Labels{1, 0, 2}));
    EXPECT_EQ(hot.classes, 3);
    EXPECT_EQ(load_hdf5(make("single.h5", 1, {1, 0}, {1}), false).labels, (Labels{1, 0, 1}));
    EXPECT_EQ(load_hdf5(make("train.h5", 1, {1, 0}, {}), false).examples, 2);
    EXPECT_EQ(load_hdf5(folder / "hot.h5", true).target_count, 3);

    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("a.h5", 2, {0, 1, 0, 0}, {1, 0}), false);
                    }),
                    "a.h5: data/Y_train[1]: the target row is all zero");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("b.h5", 2, {0, 1, 1, 0}, {0, 0}), false);
                    }),
                    "b.h5: data/Y_test[0]: the target row is all zero");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("c.h5", 2, {1, 1, 1, 0}, {0, 1}), false);
                    }),
                    "c.h5: data/Y_train[0]: expected a one-hot row");
    EXPECT_CONTAINS(input_error([&] {
                        load_hdf5(make("d.h5", 1, {1, 0}, {0.5}), false);
                    }),
                    "d.h5: data/Y_test[0]: label 0.5");
}

// ---------------------------------------------------------------- IDX

/// Type code, extents and elements as an IDX file.
std::string idx(int code, const std::vector<std::uint32_t>& extents, const std::string& elements) {
    std::string bytes = {0, 0, static_cast<char>(code), static_cast<char>(extents.size())};
    for (const std::uint32_t extent : extents)
        for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(extent >> shift);
    return bytes + elements;
}

std::string gzipped(const std::string& bytes, const std::filesystem::path& scratch) {
    const gzFile file = gzopen(scratch.c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    return read_bytes(scratch);
}

const std::string pixels = {0, 1, 2, 3, static_cast<char>(200), static_cast<char>(255), 6, 7, 8, 9, 10, 11};
const Doubles pixel_values = {0, 1, 2, 3, 200, 255, 6, 7, 8, 9, 10, 11};
const std::string three_labels = {2, 0, 1};

TEST(Idx, NamesAndCompression) {
    const TemporaryFolder folder;
    const std::string images = idx(0x08, {3, 2, 2}, pixels);
    const std::string labels = idx(0x08, {3}, three_labels);
    const auto check = [&](const std::string& images_name, const std::string& labels_name, bool zip_images,
                           bool zip_labels) {
        const TemporaryFolder pair;
        const auto path = pair.write(images_name, zip_images ? gzipped(images, folder / "z") : images);
        pair.write(labels_name, zip_labels ? gzipped(labels, folder / "z") : labels);
        const RawData raw = load_data(path.string(), 0, false);
        EXPECT_EQ(raw.examples, 3);
        EXPECT_EQ(raw.feature_count, 4);
        EXPECT_EQ(raw.features, pixel_values);
        EXPECT_EQ(raw.labels, (Labels{2, 0, 1}));
    };
    check("train-images-idx3-ubyte", "train-labels-idx1-ubyte", false, false);
    check("train-images.idx3-ubyte", "train-labels.idx1-ubyte", false, false);
    check("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", true, true);
    check("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte", true, false);
    check("t10k-images-idx3-ubyte", "t10k-labels.idx1-ubyte.gz", false, true);
    check("images.idx", "labels.idx", true, false);
}

TEST(Idx, OtherRanksAndTypes) {
    const TemporaryFolder folder;
    folder.write("a-labels-idx1-ubyte", idx(0x08, {2}, {0, 1}));
    const auto features = [&](const std::string& bytes) {
        return load_idx(folder.write("a-images-idx4-ubyte", bytes));
    };
    EXPECT_EQ(features(idx(0x08, {2, 1, 3, 2}, pixels)).feature_count, 6);
    EXPECT_EQ(features(idx(0x08, {2, 6}, pixels)).feature_count, 6);
    EXPECT_EQ(features(idx(0x09, {2, 1}, {-1, 1})).features, (Doubles{-1, 1}));
    EXPECT_EQ(features(idx(0x0B, {2, 1}, {-1, -2, 1, 2})).features, (Doubles{-2, 258}));
    EXPECT_EQ(features(idx(0x0C, {2, 1}, {-1, -1, -1, -3, 0, 0, 1, 0})).features, (Doubles{-3, 256}));
    const std::string half = {0x3F, 0, 0, 0};
    EXPECT_EQ(features(idx(0x0D, {2, 1}, half + half)).features, (Doubles{0.5, 0.5}));
    const std::string one_half = {0x3F, static_cast<char>(0xF8), 0, 0, 0, 0, 0, 0};
    EXPECT_EQ(features(idx(0x0E, {2, 1}, one_half + one_half)).features, (Doubles{1.5, 1.5}));
    const std::string nan = {0x7F, static_cast<char>(0xF8), 0, 0, 0, 0, 0, 0};
    EXPECT_CONTAINS(input_error([&] {
                        features(idx(0x0E, {2, 1}, one_half + nan));
                    }),
                    "a-images-idx4-ubyte: [1], number 0: nan is not a finite number");
}

TEST(Idx, Errors) {
    const TemporaryFolder folder;
    const std::string images = idx(0x08, {3, 2, 2}, pixels);
    const std::string labels = idx(0x08, {3}, three_labels);
    const auto load = [&](const std::string& images_bytes, const std::string& labels_bytes) {
        folder.write("images-idx3-ubyte", images_bytes);
        folder.write("labels-idx1-ubyte", labels_bytes);
        return input_error([&] { load_idx(folder / "images-idx3-ubyte"); });
    };
    EXPECT_EQ(load(images, labels), "no error");
    EXPECT_CONTAINS(load("abcdefgh", labels), "images-idx3-ubyte: not an IDX file (bad magic number)");
    EXPECT_CONTAINS(load("", labels), "not an IDX file");
    EXPECT_CONTAINS(load(images, "\x01"), "labels-idx1-ubyte: not an IDX file");
    EXPECT_CONTAINS(load(images.substr(0, 10), labels), "truncated IDX file: expected 12 more bytes, got 6");
    EXPECT_CONTAINS(load(images.substr(0, 20), labels), "truncated IDX file: expected 12 more bytes, got 4");
    EXPECT_CONTAINS(load(images + "x", labels), "more data than the 12 bytes");
    EXPECT_CONTAINS(load(images, idx(0x08, {2}, {0, 1})),
                    "labels-idx1-ubyte: expected 3 labels, one per image, got 2");
    EXPECT_CONTAINS(load(images, idx(0x08, {3}, {0, 9, 1})),
                    "labels-idx1-ubyte: [1]: label 9: expected integers");
    EXPECT_CONTAINS(load(idx(0x08, {3}, three_labels), labels),
                    "expected images (examples first, rank 2 or more)");
    EXPECT_CONTAINS(load(images, images), "labels-idx1-ubyte: expected labels (rank 1), got rank 3");
    EXPECT_CONTAINS(load(idx(0x08, {0, 2, 2}, ""), labels), "no examples");
    EXPECT_CONTAINS(load(idx(0x0E, {0xFFFFFFFF, 0xFFFFFFFF, 4}, "x"), labels), "impossible extents");
    EXPECT_CONTAINS(load(idx(0x08, {0xFFFFFFFF, 0xFFFF}, "x"), labels), "truncated IDX file");
    std::string zipped = gzipped(images, folder / "z");
    for (std::size_t length = 12; length < zipped.size(); ++length)
        EXPECT_CONTAINS(load(zipped.substr(0, length), labels), "images-idx3-ubyte: truncated gzip file");
    zipped[zipped.size() - 6] ^= 1;  // in the checksum
    EXPECT_CONTAINS(load(zipped, labels), "images-idx3-ubyte: damaged gzip file");
    std::filesystem::remove(folder / "labels-idx1-ubyte");
    EXPECT_CONTAINS(input_error([&] { load_idx(folder / "images-idx3-ubyte"); }),
                    "labels-idx1-ubyte: no such file");
    EXPECT_CONTAINS(input_error([&] { load_data(folder.write("data.bin", "x").string(), 0, false); }),
                    "data.bin: unknown kind of data file");
}

// ---------------------------------------------------------------- MATLAB

struct MatVariable {
    const char* name;
    matio_classes class_type;
    matio_types data_type;
    std::size_t rows, columns;
    const void* data;  ///< column-major
    int flags = 0;
};

std::filesystem::path write_mat(const std::filesystem::path& path, const std::vector<MatVariable>& variables,
                                matio_compression compression = MAT_COMPRESSION_ZLIB) {
    mat_t* const file = Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5);
    for (const MatVariable& v : variables) {
        std::size_t extents[2] = {v.rows, v.columns};
        matvar_t* const variable =
            Mat_VarCreate(v.name, v.class_type, v.data_type, 2, extents, const_cast<void*>(v.data), v.flags);
        Mat_VarWrite(file, variable, compression);
        Mat_VarFree(variable);
    }
    Mat_Close(file);
    return path;
}

const double columns_first[] = {1, 3, 5, 2, 4, 6};  // rows (1, 2), (3, 4), (5, 6)
const std::uint8_t byte_labels[] = {1, 0, 1};
const double targets_of_three[] = {0.5, 1.5, 2.5};
const MatVariable mat_x = {"X", MAT_C_DOUBLE, MAT_T_DOUBLE, 3, 2, columns_first};

TEST(Matlab, MatricesOfSeveralClasses) {
    const TemporaryFolder folder;
    for (const auto compression : {MAT_COMPRESSION_NONE, MAT_COMPRESSION_ZLIB}) {
        const auto path = write_mat(folder / "a.mat",
                                    {mat_x, {"y", MAT_C_UINT8, MAT_T_UINT8, 3, 1, byte_labels}}, compression);
        const RawData raw = load_data(path.string(), 0, false);
        EXPECT_EQ(raw.examples, 3);
        EXPECT_EQ(raw.feature_count, 2);
        EXPECT_EQ(raw.features, (Doubles{1, 2, 3, 4, 5, 6}));
        EXPECT_EQ(raw.labels, (Labels{1, 0, 1}));
        EXPECT_EQ(load_matlab(path, true).targets, (Doubles{1, 0, 1}));
    }
    const float singles[] = {1.5f, 2.5f, 3.5f};
    const std::int32_t words[] = {0, 2, 1};
    const auto other = write_mat(folder / "b.mat", {{"X", MAT_C_SINGLE, MAT_T_SINGLE, 3, 1, singles},
                                                    {"y", MAT_C_INT32, MAT_T_INT32, 1, 3, words}});
    EXPECT_EQ(load_matlab(other, false).features, (Doubles{1.5, 2.5, 3.5}));
    EXPECT_EQ(load_matlab(other, false).labels, (Labels{0, 2, 1}));  // y as a row
    const auto logical = write_mat(
        folder / "c.mat", {mat_x, {"y", MAT_C_UINT8, MAT_T_UINT8, 3, 1, byte_labels, MAT_F_LOGICAL}});
    EXPECT_EQ(load_matlab(logical, false).labels, (Labels{1, 0, 1}));
    const auto wide =
        write_mat(folder / "d.mat", {mat_x, {"y", MAT_C_DOUBLE, MAT_T_DOUBLE, 3, 2, columns_first}});
    EXPECT_EQ(load_matlab(wide, false).targets, (Doubles{1, 2, 3, 4, 5, 6}));
}

TEST(Matlab, Errors) {
    const TemporaryFolder folder;
    const auto load = [&](const std::vector<MatVariable>& variables, bool regression = false) {
        return input_error([&] { load_matlab(write_mat(folder / "a.mat", variables), regression); });
    };
    const MatVariable y = {"y", MAT_C_UINT8, MAT_T_UINT8, 3, 1, byte_labels};
    EXPECT_CONTAINS(load({y}), "a.mat: no variable \"X\"");
    EXPECT_CONTAINS(load({mat_x}), "a.mat: no variable \"y\"");
    EXPECT_CONTAINS(load({mat_x, {"y", MAT_C_UINT8, MAT_T_UINT8, 2, 1, byte_labels}}),
                    "y: rows, as many as X: expected 3, got 2");
    EXPECT_CONTAINS(load({mat_x, {"y", MAT_C_DOUBLE, MAT_T_DOUBLE, 3, 1, targets_of_three}}),
                    "a.mat: y(1, 1): label 0.5");
    EXPECT_CONTAINS(load({{"X", MAT_C_CHAR, MAT_T_UINT8, 1, 3, "abc"}, y}),
                    "a.mat: X: expected a full real matrix of numbers");
    const double holes[] = {1, 2, 3, 4, NAN, 6};
    EXPECT_CONTAINS(load({{"X", MAT_C_DOUBLE, MAT_T_DOUBLE, 3, 2, holes}, y}),
                    "a.mat: X(2, 2): nan is not a finite number");
    EXPECT_CONTAINS(load({{"X", MAT_C_DOUBLE, MAT_T_DOUBLE, 0, 2, nullptr},
                          {"y", MAT_C_DOUBLE, MAT_T_DOUBLE, 0, 1, nullptr}}),
                    "a.mat: no examples");
    EXPECT_CONTAINS(input_error([&] { load_matlab(folder / "none.mat", false); }), "none.mat: no such file");
    EXPECT_CONTAINS(input_error([&] { load_matlab(folder.write("b.mat", std::string(500, 'x')), false); }),
                    "b.mat: ");
    EXPECT_CONTAINS(input_error([&] { load_matlab(folder.write("c.mat", ""), false); }), "c.mat: ");
}

TEST(Matlab, Truncated) {
    const TemporaryFolder folder;
    for (const auto compression : {MAT_COMPRESSION_NONE, MAT_COMPRESSION_ZLIB}) {
        const auto path = write_mat(folder / "a.mat",
                                    {mat_x, {"y", MAT_C_UINT8, MAT_T_UINT8, 3, 1, byte_labels}}, compression);
        for (auto length = std::filesystem::file_size(path); length-- > 0;) {
            std::filesystem::resize_file(path, length);
            const std::string error = input_error([&] { load_matlab(path, false); });
            if (error != "no error") EXPECT_CONTAINS(error, "a.mat: ");
        }
    }
}

}  // namespace
}  // namespace espectra
