// Names and aliases of activations and losses.

#include "espectra/kernels/names.hpp"

#include "espectra/kernels/activation.hpp"
#include "espectra/kernels/loss.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace espectra {
namespace {

template <class E>
class Named : public testing::Test {};
using Enumerations = testing::Types<Activation, Loss>;
TYPED_TEST_SUITE(Named, Enumerations);

TYPED_TEST(Named, EveryNameAndAliasIsUniqueAndResolves) {
    std::set<std::string> seen;
    for (const TypeParam value : all_values<TypeParam>) {
        const Names names = names_of(value);
        const auto check = [&](std::string_view name) {
            EXPECT_TRUE(seen.insert(folded_name(name)).second) << name;
            EXPECT_EQ(value_from_name<TypeParam>(name), value) << name;
        };
        check(names.name);
        for (const std::string_view alias : names.aliases)
            if (!alias.empty()) check(alias);
    }
}

// A name is part of the name of a group (<source>_<widths>_<activation>) and of lists that are joined by "-".
TYPED_TEST(Named, NamesAreLowerCaseWordsJoinedByUnderscores) {
    for (const TypeParam value : all_values<TypeParam>)
        EXPECT_EQ(names_of(value).name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos);
}

TYPED_TEST(Named, UnknownNamesHaveNoValue) {
    for (const char* unknown : {"", " ", "-", "esp1", "relu6", "hinge", "none"})
        EXPECT_FALSE(value_from_name<TypeParam>(unknown).has_value()) << unknown;
}

TEST(Names, OfActivations) {
    EXPECT_TRUE(list_of_names<Activation>().starts_with("esp, relu, sigmoid, tanh, "));
    for (const char* name : {"esp", "ESP", "SiLU", "silu", "swish"})
        EXPECT_EQ(value_from_name<Activation>(name), Activation::esp) << name;
    EXPECT_EQ(value_from_name<Activation>("ReLU"), Activation::relu);
    EXPECT_EQ(value_from_name<Activation>("Sigmoid"), Activation::sigmoid);
    EXPECT_EQ(value_from_name<Activation>("Tanh"), Activation::tanh);
    EXPECT_EQ(value_from_name<Activation>("Identity"), Activation::linear);
    EXPECT_EQ(value_from_name<Activation>("Softplus"), Activation::softplus);
    EXPECT_EQ(value_from_name<Activation>("GELU"), Activation::gelu);
    EXPECT_EQ(value_from_name<Activation>("ELU"), Activation::elu);
    EXPECT_EQ(value_from_name<Activation>("LeakyReLU"), Activation::leaky_relu);
}

TEST(Names, OfLosses) {
    EXPECT_EQ(list_of_names<Loss>(), "sigmoid_cross_entropy, softmax_cross_entropy or mean_squared_error");
    for (const char* name : {"mse", "MSE", "MSELoss", "mse_loss", "Mean Squared Error", "MeanSquaredError"})
        EXPECT_EQ(value_from_name<Loss>(name), Loss::mean_squared_error) << name;
    for (const char* name :
         {"cross_entropy", "CrossEntropyLoss", "categorical_crossentropy", "CategoricalCrossentropy",
          "sparse_categorical_crossentropy", "softmax cross-entropy"})
        EXPECT_EQ(value_from_name<Loss>(name), Loss::softmax_cross_entropy) << name;
    for (const char* name : {"bce", "BCELoss", "BCEWithLogitsLoss", "binary_crossentropy",
                             "BinaryCrossentropy", "sigmoid cross entropy"})
        EXPECT_EQ(value_from_name<Loss>(name), Loss::sigmoid_cross_entropy) << name;
}

}  // namespace
}  // namespace espectra
