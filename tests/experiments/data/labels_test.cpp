#include "espectra/experiments/data/labels.hpp"

#include "espectra/experiments/data/description.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include <cmath>
#include <string>
#include <vector>

namespace espectra {
namespace {

using ::espectra::test::error_of;

using Doubles = std::vector<double>;
using Labels = std::vector<int>;
using Words = std::vector<std::string>;

const Place place = [](Index row, Index) { return fmt::format("y[{}]", row); };

/// Returns data without features and with these labels.
template <class Label>
RawData labelled(const std::vector<Label>& labels) {
    RawData raw;
    raw.source = "file";
    raw.examples = std::ssize(labels);
    set_labels(raw, labels, place);
    return raw;
}

template <class Label>
std::string label_error(const std::vector<Label>& labels) {
    return error_of<InputError>([&] { labelled(labels); });
}

TEST(Labels, IntegersAreMappedInAscendingOrder) {
    const RawData raw = labelled(Doubles{4, -1, 4, 10, -1});
    EXPECT_EQ(raw.labels, (Labels{1, 0, 1, 2, 0}));
    EXPECT_EQ(raw.classes, 3);
    EXPECT_EQ(raw.description.class_labels, (Words{"-1", "4", "10"}));
    EXPECT_EQ(labelled(Doubles{-0.0, 1, 0}).labels, (Labels{0, 1, 0}));
    EXPECT_EQ(labelled(Doubles{-0.0, 1}).description.class_labels, (Words{"0", "1"}));
    EXPECT_EQ(labelled(Doubles{1e300, 5}).labels, (Labels{1, 0}));
}

TEST(Labels, WordsAreMappedInAlphabeticalOrder) {
    const RawData raw = labelled(Words{"dog", "cat", "dog", "Zebra"});
    EXPECT_EQ(raw.labels, (Labels{2, 1, 2, 0}));
    EXPECT_EQ(raw.description.class_labels, (Words{"Zebra", "cat", "dog"}));
    EXPECT_EQ(labelled(Words{"True", "False"}).labels, (Labels{1, 0}));
    // Words that are all integers have the order of the integers, whatever way each is written.
    const RawData numbers = labelled(Words{"10", "9", "9.0", "+1e1"});
    EXPECT_EQ(numbers.labels, (Labels{1, 0, 0, 1}));
    EXPECT_EQ(numbers.description.class_labels, (Words{"9", "10"}));
}

TEST(Labels, ErrorsNameTheExample) {
    EXPECT_CONTAINS(label_error(Doubles{0, 1, 0.5}), "y[2]: label 0.5: expected integers or words");
    EXPECT_CONTAINS(label_error(Doubles{0, 2.5}), "network.loss = \"mean_squared_error\"");
    EXPECT_CONTAINS(label_error(Doubles{0, NAN}), "y[1]: label nan: expected integers");
    EXPECT_CONTAINS(label_error(Doubles{0, HUGE_VAL}), "y[1]: label inf: expected integers");
    EXPECT_EQ(
        label_error(Words{"1", "x\n", "2"}),
        "y[1]: label \"x\\x0a\" is a word, but y[0]: label \"1\" is a number: expected all words or all "
        "integers");
    EXPECT_CONTAINS(label_error(Words{"0", "0.5"}), "y[1]: label 0.5: expected integers");
    EXPECT_CONTAINS(label_error(Words{"0", "1e999"}), "y[1]: label \"1e999\": expected integers");
    EXPECT_EQ(label_error(Doubles{3, 3}), "file: all 2 labels are 3: expected at least two classes");
    EXPECT_EQ(label_error(Words{"a"}), "file: all 1 labels are a: expected at least two classes");
    EXPECT_EQ(label_error(Doubles{}), "file: no examples");
}

TEST(Labels, AtMostThousandClasses) {
    Doubles values;
    for (int i = 0; i < 1000; ++i) values.push_back(7 * i);
    EXPECT_EQ(labelled(values).classes, 1000);
    values.push_back(-1);
    EXPECT_CONTAINS(label_error(values), "y[1000]: more than 1000 different labels");
}

TEST(Description, NamesColumnsClassesAndScaling) {
    RawData raw = labelled(Words{"dog", "cat", "dog", "cat"});
    raw.feature_count = 1;
    raw.features = {1, 2, 3, 4};
    const auto text = [&](Scaling scaling) {
        return description_text(split_data(raw, 0.25, 0, scaling, TargetEncoding::one_hot));
    };
    EXPECT_EQ(text(Scaling::none),
              "file: 4 examples (3 to train, 1 to test); 1 feature; labels, 2 classes: 0 = cat, 1 = dog");
    raw.description.features = "column 1";
    raw.description.feature_names = {"x\x1b"};
    raw.description.outcomes = "column 2, the last";
    raw.description.target_names = {"kind"};
    raw.description.notes = {"2 lines with missing values dropped"};
    EXPECT_EQ(
        text(Scaling::unit),
        "file: 4 examples (3 to train, 1 to test); 1 feature from column 1 (x\\x1b); labels from column "
        "2, the last (kind), 2 classes: 0 = cat, 1 = dog; 2 lines with missing values dropped; features "
        "scaled to [0, 1] by the minimum and maximum of them all");
    set_labels(raw, Doubles{0, 1, 1, 0}, place);
    EXPECT_CONTAINS(text(Scaling::standard), "2 classes; 2 lines");
    EXPECT_CONTAINS(text(Scaling::standard), "each feature scaled to mean 0 and variance 1");
    set_targets(raw, {1, 2, 3, 4, 5, 6, 7, 8}, 2, place);
    raw.description.target_names = {"t1", "t2"};
    EXPECT_CONTAINS(text(Scaling::none), "; 2 targets from column 2, the last (t1, t2); 2 lines");
}

}  // namespace
}  // namespace espectra
