#include "espectra/experiments/recipe/experiment.hpp"
#include "espectra/experiments/recipe/planned_network.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include <algorithm>
#include <fstream>

namespace espectra {
namespace {

class RecipeTest : public ::testing::Test {
  protected:
    Experiment load(const std::string& text, const std::vector<std::string>& overrides = {}) {
        std::ofstream(path()) << text;
        return load_experiment(path(), overrides);
    }
    std::string error(const std::string& text, const std::vector<std::string>& overrides = {}) {
        try {
            load(text, overrides);
        } catch (const InputError& failure) {
            return failure.what();
        }
        return "no error";
    }
    std::filesystem::path path() const { return folder_.path() / "r.toml"; }

    test::TemporaryFolder folder_;
};

using Epochs = std::vector<std::int64_t>;

TEST(SnapshotSchedule, HasTheFirstAndTheLastEpoch) {
    // The numbers of records of the paper's runs: 56 in 2000 updates, 36 in 1000, 62 in 2300, 66 in 2500.
    for (const auto& [total, count] : {std::pair{2000, 56}, {1000, 36}, {2300, 62}, {2500, 66}}) {
        const Epochs epochs = SnapshotSchedule{}.snapshots(total);
        EXPECT_EQ(std::ssize(epochs), count) << total;
        EXPECT_EQ(epochs.front(), 0);
        EXPECT_EQ(epochs.back(), total);
    }
    EXPECT_EQ((SnapshotSchedule{.dense_until = 6, .dense_step = 2, .step = 5, .epochs = {}}.snapshots(20)),
              (Epochs{0, 2, 4, 10, 15, 20}));
}

TEST(SnapshotSchedule, HandlesShortRunsAndLists) {
    EXPECT_EQ(SnapshotSchedule{}.snapshots(0), Epochs{0});
    EXPECT_EQ(SnapshotSchedule{}.snapshots(1), (Epochs{0, 1}));
    EXPECT_EQ(SnapshotSchedule{}.snapshots(25), (Epochs{0, 10, 20, 25}));
    EXPECT_EQ((SnapshotSchedule{.dense_until = 0, .dense_step = 1, .step = 10, .epochs = {}}.snapshots(25)),
              (Epochs{0, 5, 15, 25}));
    EXPECT_EQ((SnapshotSchedule{.epochs = {100, 0, 10, 10}}.snapshots(100)), (Epochs{0, 10, 100}));
}

TEST_F(RecipeTest, EmptyFileHasTheDefaults) {
    const Recipe recipe = load("# nothing").combinations.at(0).recipe;
    EXPECT_EQ(recipe.source, "digits");
    EXPECT_EQ(recipe.hidden, std::vector<Index>{25});
    EXPECT_EQ(recipe.activations, std::vector{Activation::esp});
    EXPECT_EQ(recipe.loss, Loss::sigmoid_cross_entropy);
    EXPECT_TRUE(recipe.trainable_beta);
    EXPECT_EQ(recipe.beta.standard_deviation, 0.004);
    EXPECT_EQ(recipe.training.learning_rate, 0.01);
    EXPECT_EQ(recipe.training.decay_rate, 0.9);
    EXPECT_EQ(recipe.training.decay_steps, 500);
    EXPECT_EQ(recipe.epochs, 2000);
    EXPECT_EQ(recipe.replicas, 1);
    EXPECT_EQ(recipe.spectrum.tolerance, 0);
    EXPECT_EQ(recipe.critical_points.count(), 0);
    EXPECT_EQ(recipe.critical_points.search.gradient_tolerance, 1e-10);
    EXPECT_EQ(recipe.critical_points.search.iterations, 500);
}

TEST_F(RecipeTest, ReadsEveryKey) {
    const Experiment experiment = load(R"(
title = "T"
data = { source = "linear", test_fraction = 0, seed = 7, scale = "standard" }
spectrum = { epochs = [0, 5], tolerance = 1e-6, eigenvectors = true, gauss_newton = true }
critical_points = { epochs = [5, 0, 5], gradient_tolerance = 1e-8, iterations = 9 }
[network]
hidden = [4, 3]
activation = ["relu", "tanh"]
negative_slope = 0.25
loss = "mean_squared_error"
init = "Orthogonal"
sigma_w = 1.5
sigma_b = 1
beta = { trainable = false, mean = 2 }
[train]
optimizer = "gradient_descent"
learning_rate = 1
decay = { rate = 1.0, steps = 10 }
epochs = 9
replicas = 3
seed = 11
)");
    EXPECT_EQ(experiment.title, "T");
    const Recipe& recipe = experiment.combinations.at(0).recipe;
    EXPECT_EQ(recipe.source, "linear");
    EXPECT_EQ(recipe.test_fraction, 0);
    EXPECT_EQ(recipe.data_seed, 7u);
    EXPECT_EQ(recipe.scale, Scaling::standard);
    EXPECT_EQ(recipe.schedule.epochs, (Epochs{0, 5}));
    EXPECT_EQ(recipe.spectrum.tolerance, 1e-6);
    EXPECT_TRUE(recipe.spectrum.eigenvectors && recipe.spectrum.gauss_newton);
    EXPECT_EQ(recipe.critical_points.epochs, (Epochs{0, 5}));
    EXPECT_EQ(recipe.critical_points.search.gradient_tolerance, 1e-8);
    EXPECT_EQ(recipe.critical_points.search.iterations, 9);
    EXPECT_EQ(recipe.critical_points.search.tolerance, 1e-6);
    EXPECT_EQ(recipe.activations, (std::vector{Activation::relu, Activation::tanh}));
    EXPECT_EQ(recipe.loss, Loss::mean_squared_error);
    EXPECT_EQ(recipe.initial_weights, (InitialWeights{WeightDistribution::orthogonal, 1.5, 1.0}));
    EXPECT_FALSE(recipe.trainable_beta);
    EXPECT_EQ(recipe.network(2, 1).shape().fixed_beta, 2.0);
    EXPECT_EQ(recipe.network(2, 1).shape().negative_slope, 0.25);
    EXPECT_EQ(recipe.training.optimizer, Optimizer::gradient_descent);
    EXPECT_EQ(recipe.training.learning_rate, 1.0);
    EXPECT_EQ(recipe.replicas, 3);
    EXPECT_EQ(recipe.seed, 11u);
}

TEST_F(RecipeTest, FixedBetaIsOneUnlessGiven) {
    const Recipe recipe = load("network.beta.trainable = false").combinations.at(0).recipe;
    EXPECT_EQ(recipe.network(2, 1).shape().fixed_beta, 1.0);
}

TEST_F(RecipeTest, WithoutHiddenLayerActivationsHaveNoMeaning) {
    const std::string none = "data.source = \"linear\"\nnetwork.hidden = []\n";
    const Recipe recipe = load(none).combinations.at(0).recipe;
    EXPECT_EQ(recipe.hidden, std::vector<Index>{});
    EXPECT_EQ(recipe.network(2, 1).parameters(), 3);
    EXPECT_EQ(recipe.network(2, 1).activations_text(), "linear");
    EXPECT_EQ(plan_networks(load(none)).at(0).name, "linear_2-1_linear");
    for (const char* activation : {"\"relu\"", "[]"})
        EXPECT_EQ(load(none + "network.activation = " + activation).combinations.at(0).recipe, recipe);
    EXPECT_NE(error(none + "network.activation = \"mish\"").find("network.activation: expected esp"),
              std::string::npos);
    EXPECT_NE(error(none + "network.activation = [\"relu\"]").find("a list of 0 of them"), std::string::npos);
}

TEST_F(RecipeTest, CriticalPointsOfAllOrNoSnapshots) {
    const auto epochs = [&](const std::string& word) {
        return load("train.epochs = 25\ncritical_points.epochs = \"" + word + "\"")
            .combinations.at(0)
            .recipe.critical_points.epochs;
    };
    EXPECT_EQ(epochs("all"), (Epochs{0, 10, 20, 25}));
    EXPECT_EQ(epochs("none"), Epochs{});
    const std::string place = path().string() + ":2: critical_points.", train = "train.epochs = 25\n";
    EXPECT_EQ(error(train + "critical_points.epochs = [0, 11]"),
              place + "epochs: expected epochs at which spectra are taken, which 11 is not, got [ 0, 11 ]");
    EXPECT_EQ(error(train + "critical_points.epochs = \"some\""),
              place +
                  "epochs: expected \"none\", \"all\" or a list of epochs at which spectra are taken, got "
                  "'some'");
    EXPECT_EQ(error(train + "critical_points.epochs = []"),
              place + "epochs: expected a list of one or more integers of at least 0, got []");
    EXPECT_EQ(error(train + "critical_points.gradient_tolerance = 0"),
              place + "gradient_tolerance: expected a number above 0, got 0");
    EXPECT_EQ(error(train + "critical_points.gradient_tolerance = inf"),
              place + "gradient_tolerance: expected a finite number, got inf");
    EXPECT_EQ(error(train + "critical_points.iterations = 0"),
              place + "iterations: expected an integer of at least 1, got 0");
    EXPECT_EQ(error(train + "critical_points.tolerance = 0"),
              place + "tolerance: unknown key, expected one of: epochs, gradient_tolerance, iterations");
}

TEST_F(RecipeTest, SweepIsTheProductOfItsLists) {
    const Experiment experiment = load(R"(
data.source = "linear"
train.epochs = 1
[sweep]
"network.activation" = ["esp", "relu"]
"network.hidden" = [[10], [8, 2]]
"train.learning_rate" = [0.1, 0.5]
"train.epochs" = [1]
)");
    ASSERT_EQ(experiment.combinations.size(), 8u);
    const auto networks = plan_networks(experiment);
    std::vector<std::string> names;
    for (const PlannedNetwork& planned : networks) names.push_back(planned.name);
    std::ranges::sort(names);
    // A list of one value is a constant, which no name repeats.
    EXPECT_EQ(names.front(), "linear_2-10-1_esp_learning_rate=0.1");
    EXPECT_EQ(names.back(), "linear_2-8-2-1_relu_learning_rate=0.5");
    EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
    EXPECT_EQ(networks[0].data, networks[3].data);  // loaded once
    EXPECT_EQ(networks[0].recipe.training.learning_rate, 0.1);
}

TEST_F(RecipeTest, AliasesNameNoGroup) {
    const Experiment experiment = load(R"(
data.source = "linear"
[sweep]
"network.activation" = ["SiLU", ["Tanh", "swish"]]
"network.hidden" = [[8, 2]]
"network.loss" = ["mse", "BCEWithLogitsLoss"]
)");
    std::vector<std::string> names;
    for (const PlannedNetwork& planned : plan_networks(experiment)) names.push_back(planned.name);
    EXPECT_EQ(names, (std::vector<std::string>{"linear_2-8-2-1_esp_loss=mean_squared_error",
                                               "linear_2-8-2-1_esp_loss=sigmoid_cross_entropy",
                                               "linear_2-8-2-1_tanh-esp_loss=mean_squared_error",
                                               "linear_2-8-2-1_tanh-esp_loss=sigmoid_cross_entropy"}));
}

TEST_F(RecipeTest, SeveralSweepsAreTakenInTurn) {
    const Experiment experiment = load(R"(
train.epochs = 7
[[sweep]]
"data.source" = ["linear"]
"train.epochs" = [1]
"network.activation" = ["esp", "relu"]
[[sweep]]
"data.source" = ["nonlinear"]
"network.hidden" = [[3], [4], [5]]
)");
    ASSERT_EQ(experiment.combinations.size(), 5u);
    EXPECT_EQ(experiment.combinations[1].recipe.epochs, 1);
    EXPECT_EQ(experiment.combinations[2].recipe.epochs, 7);  // the first sweep has no effect on the second
    EXPECT_EQ(experiment.combinations[2].recipe.activations, std::vector{Activation::esp});
    EXPECT_EQ(experiment.combinations[4].recipe.hidden, std::vector<Index>{5});
}

TEST_F(RecipeTest, OverridesReplaceKeys) {
    const Recipe recipe = load("train.epochs = 5", {"train.epochs=7", "network.hidden=[3, 2]",
                                                    "network.activation=relu", "data.source=linear"})
                              .combinations.at(0)
                              .recipe;
    EXPECT_EQ(recipe.epochs, 7);
    EXPECT_EQ(recipe.hidden, (std::vector<Index>{3, 2}));
    EXPECT_EQ(recipe.activations, std::vector{Activation::relu});
    EXPECT_EQ(recipe.source, "linear");
}

TEST_F(RecipeTest, ErrorsNameFileLineKeyAndValue) {
    const std::string file = path().string();
    EXPECT_EQ(error("\n[train]\nepoch = 3"), file +
                                                 ":3: train.epoch: unknown key, expected one of: optimizer, "
                                                 "learning_rate, decay, epochs, replicas, seed");
    EXPECT_EQ(error("[train]\nepochs = \"many\""),
              file + ":2: train.epochs: expected an integer of at least 0, got 'many'");
    EXPECT_EQ(error("[train]\nepochs = -1"),
              file + ":2: train.epochs: expected an integer of at least 0, got -1");
    EXPECT_EQ(error("[network]\nhidden = 3"),
              file + ":2: network.hidden: expected a list of integers of at least 1, got 3");
    EXPECT_NE(error("[network]\nhidden = [0]").find(":2: network.hidden"), std::string::npos);
    EXPECT_NE(error("[network]\nactivation = \"mish\"").find("expected esp, relu, sigmoid"),
              std::string::npos);
    EXPECT_NE(error("[data]\ntest_fraction = 1.0").find("a number in [0, 1), got 1"), std::string::npos);
    EXPECT_NE(error("[train]\nlearning_rate = nan").find("a finite number, got nan"), std::string::npos);
    EXPECT_NE(error("a = = 1").find(file + ":1: not valid TOML"), std::string::npos);
    EXPECT_NE(error("spectrum.epochs = [3000]").find("epochs up to train.epochs = 2000"), std::string::npos);
    EXPECT_NE(error("", {"train.epochs=x"}).find("--set train.epochs: expected an integer"),
              std::string::npos);
    EXPECT_NE(error("", {"train"}).find("expected KEY=VALUE"), std::string::npos);
    EXPECT_NE(error("[sweep]\n\"train.epochs\" = []").find(":2: sweep.train.epochs: expected a list"),
              std::string::npos);
    EXPECT_NE(error("[sweep]\n\"train.epochs\" = [1, -1]").find(":2: sweep of train.epochs"),
              std::string::npos);
    EXPECT_NE(error("[sweep]\n\"train.epoch\" = [1]").find("train.epoch: unknown key"), std::string::npos);
}

}  // namespace
}  // namespace espectra
