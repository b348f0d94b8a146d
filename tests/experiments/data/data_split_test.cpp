#include "espectra/experiments/data/data_set.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace espectra {
namespace {

using ::espectra::test::error_of;
using ::espectra::test::TemporaryFolder;

using Doubles = std::vector<double>;

template <class Call>
std::string input_error(Call call) {
    return error_of<InputError>(call);
}

/// Returns m examples of one feature with the values 0 … m−1 and labels value mod classes.
RawData counting(Index examples, int classes) {
    RawData raw;
    raw.source = "counting";
    raw.examples = examples;
    raw.feature_count = 1;
    raw.classes = classes;
    for (int i = 0; i < examples; ++i) {
        raw.features.push_back(i);
        raw.labels.push_back(i % classes);
    }
    return raw;
}

TEST(Split, DisjointCompleteAndDeterministic) {
    const RawData raw = counting(101, 3);
    const DataSet data = split_data(raw, 0.2, 5, Scaling::none, TargetEncoding::binary_when_two);
    EXPECT_EQ(data.source, "counting");
    EXPECT_EQ(data.test_examples, 21);
    EXPECT_EQ(data.train_examples, 80);
    EXPECT_EQ(data.features, 1);
    EXPECT_EQ(data.outputs, 3);
    EXPECT_EQ(data.classes, 3);
    std::set<double> seen(data.x_train.begin(), data.x_train.end());
    seen.insert(data.x_test.begin(), data.x_test.end());
    EXPECT_EQ(seen.size(), 101u);
    EXPECT_EQ(data.x_train.size() + data.x_test.size(), 101u);
    ASSERT_EQ(data.y_train.size(), 240u);
    for (std::size_t j = 0; j < 80; ++j)  // targets stay with their examples
        for (std::size_t c = 0; c < 3; ++c)
            EXPECT_EQ(data.y_train[c * 80 + j],
                      static_cast<int>(data.x_train[j]) % 3 == static_cast<int>(c) ? 1 : 0);
    EXPECT_EQ(split_data(raw, 0.2, 5, Scaling::none, TargetEncoding::one_hot).x_train, data.x_train);
    EXPECT_NE(split_data(raw, 0.2, 6, Scaling::none, TargetEncoding::one_hot).x_train, data.x_train);
    EXPECT_FALSE(std::is_sorted(data.x_train.begin(), data.x_train.end()));
}

TEST(Split, Sizes) {
    const auto test_examples = [](Index examples, double fraction) {
        return split_data(counting(examples, 2), fraction, 0, Scaling::unit, TargetEncoding::one_hot)
            .test_examples;
    };
    EXPECT_EQ(test_examples(10, 0.0), 0);
    EXPECT_EQ(test_examples(10, 0.01), 1);
    EXPECT_EQ(test_examples(100, 0.07), 7);  // 0.07·100 is above 7 in binary
    EXPECT_EQ(test_examples(1797, 0.2), 360);
    EXPECT_EQ(test_examples(10, 0.9), 9);
    EXPECT_CONTAINS(input_error([&] { test_examples(10, 0.95); }),
                    "counting: test_fraction 0.95 of 10 examples leaves none to train on");
    for (const double fraction : {-0.1, 1.0, 2.0, static_cast<double>(NAN)})
        EXPECT_CONTAINS(input_error([&] { test_examples(10, fraction); }), "expected 0 <= test_fraction < 1");
    EXPECT_THROW(test_examples(0, 0.0), InputError);
}

TEST(Split, Encoding) {
    const RawData raw = counting(4, 2);
    const DataSet binary = split_data(raw, 0.0, 1, Scaling::none, TargetEncoding::binary_when_two);
    EXPECT_EQ(binary.outputs, 1);
    for (std::size_t j = 0; j < 4; ++j) EXPECT_EQ(binary.y_train[j], static_cast<int>(binary.x_train[j]) % 2);
    const DataSet hot = split_data(raw, 0.0, 1, Scaling::none, TargetEncoding::one_hot);
    EXPECT_EQ(hot.outputs, 2);
    for (std::size_t j = 0; j < 4; ++j) {
        EXPECT_EQ(hot.y_train[4 + j], binary.y_train[j]);
        EXPECT_EQ(hot.y_train[j], 1 - binary.y_train[j]);
    }
}

TEST(Split, TargetsAndUnitMajorLayout) {
    RawData raw;
    raw.source = "regression";
    raw.examples = 3;
    raw.feature_count = 2;
    raw.target_count = 2;
    raw.features = {1, 10, 2, 20, 3, 30};
    raw.targets = {0.1, -1, 0.2, -2, 0.3, -3};
    const DataSet data = split_data(raw, 0.0, 3, Scaling::none, TargetEncoding::binary_when_two);
    EXPECT_EQ(data.outputs, 2);
    EXPECT_EQ(data.classes, 0);
    for (std::size_t j = 0; j < 3; ++j) {
        EXPECT_EQ(data.x_train[3 + j], 10 * data.x_train[j]);
        EXPECT_DOUBLE_EQ(data.y_train[j], 0.1 * data.x_train[j]);
        EXPECT_EQ(data.y_train[3 + j], -data.x_train[j]);
    }
}

TEST(Split, ScalingUsesTrainingExamplesOnly) {
    RawData raw = counting(10, 2);
    const DataSet plain = split_data(raw, 0.3, 2, Scaling::none, TargetEncoding::one_hot);
    const auto [low, high] = std::minmax_element(plain.x_train.begin(), plain.x_train.end());
    const DataSet unit = split_data(raw, 0.3, 2, Scaling::unit, TargetEncoding::one_hot);
    for (std::size_t j = 0; j < 7; ++j)
        EXPECT_DOUBLE_EQ(unit.x_train[j], (plain.x_train[j] - *low) / (*high - *low));
    for (std::size_t j = 0; j < 3; ++j)
        EXPECT_DOUBLE_EQ(unit.x_test[j], (plain.x_test[j] - *low) / (*high - *low));

    const double mean = std::accumulate(plain.x_train.begin(), plain.x_train.end(), 0.0) / 7;
    double variance = 0.0;
    for (const double x : plain.x_train) variance += (x - mean) * (x - mean) / 7;
    const DataSet standard = split_data(raw, 0.3, 2, Scaling::standard, TargetEncoding::one_hot);
    for (std::size_t j = 0; j < 7; ++j)
        EXPECT_NEAR(standard.x_train[j], (plain.x_train[j] - mean) / std::sqrt(variance), 1e-14);
    for (std::size_t j = 0; j < 3; ++j)
        EXPECT_NEAR(standard.x_test[j], (plain.x_test[j] - mean) / std::sqrt(variance), 1e-14);
}

TEST(Split, ConstantAndHugeFeatures) {
    RawData raw = counting(4, 2);
    raw.features.assign(4, 0.1);
    for (const Scaling scaling : {Scaling::unit, Scaling::standard}) {
        const DataSet data = split_data(raw, 0.25, 0, scaling, TargetEncoding::one_hot);
        EXPECT_EQ(data.x_train, Doubles(3, 0.0));
        EXPECT_EQ(data.x_test, Doubles(1, 0.0));
    }
    raw.features = {-1e308, 1e308, 1e308, 1e308};
    EXPECT_CONTAINS(input_error([&] { split_data(raw, 0.0, 0, Scaling::unit, TargetEncoding::one_hot); }),
                    "its range overflows");
    EXPECT_CONTAINS(input_error([&] { split_data(raw, 0.0, 0, Scaling::standard, TargetEncoding::one_hot); }),
                    "feature 0 cannot be scaled");
}

TEST(Split, InconsistentRawData) {
    const auto split = [](const RawData& raw) {
        return input_error([&] { split_data(raw, 0.2, 0, Scaling::unit, TargetEncoding::one_hot); });
    };
    RawData raw = counting(4, 2);
    raw.labels[2] = 5;
    EXPECT_EQ(split(raw), "counting: label 5: expected integers 0 ... 1");
    raw.labels.pop_back();
    EXPECT_EQ(split(raw), "counting: number of labels: expected 4, got 3");
    raw.features.pop_back();
    EXPECT_EQ(split(raw), "counting: number of features: expected 4, got 3");
}

TEST(LoadData, Sources) {
    const TemporaryFolder folder;
    EXPECT_EQ(load_data("digits", 0, false).examples, 1797);
    EXPECT_EQ(load_data("linear", 3, false).features, generate_linear(3).features);
    EXPECT_EQ(load_data("nonlinear", 3, false).features, generate_nonlinear(3).features);
    for (const char* name : {"x.csv", "x.h5", "x.hdf5", "x.mat", "x-images-idx3-ubyte", "mnist"})
        EXPECT_EQ(input_error([&] { load_data((folder / name).string(), 0, false); }),
                  (folder / name).string() + ": no such file");
    EXPECT_EQ(input_error([&] { load_data(folder.path().string(), 0, false); }),
              folder.path().string() + ": is a directory");
}

}  // namespace
}  // namespace espectra
