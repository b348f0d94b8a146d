// Learning rates by hand, and settings that contradict each other.

#include "espectra/models/training_settings.hpp"

#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace espectra {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();

void expect_rates(const TrainingSettings& settings, const std::vector<double>& expected,
                  std::int64_t updates_per_epoch = 1) {
    for (std::size_t t = 0; t < expected.size(); ++t)
        EXPECT_NEAR(learning_rate(settings, static_cast<std::int64_t>(t), updates_per_epoch), expected[t],
                    4 * eps * expected[0])
            << "update " << t;
}

TEST(LearningRate, OfEverySchedule) {
    TrainingSettings settings = {.learning_rate = 8, .decay_rate = 0.25, .decay_steps = 2};
    expect_rates(settings, {8, 4, 2, 1, 0.5});
    settings.schedule = RateSchedule::step;
    expect_rates(settings, {8, 8, 2, 2, 0.5, 0.5});
    settings.schedule = RateSchedule::constant;
    expect_rates(settings, {8, 8, 8});
    settings.schedule = RateSchedule::cosine;
    settings.epochs = 6;  // cos 0°, 30°, …, 180°: the last update has that of 150°
    const double root3 = 1.7320508075688772;
    expect_rates(settings, {8, 4 + 2 * root3, 6, 4, 2, 4 - 2 * root3, 0, 0});
}

TEST(LearningRate, WarmsUpBeforeTheSchedule) {
    TrainingSettings settings = {.learning_rate = 8, .decay_rate = 0.25, .decay_steps = 2, .warmup = 4};
    expect_rates(settings, {2, 4, 6, 8, 8, 4, 2});
    settings.schedule = RateSchedule::step;
    expect_rates(settings, {2, 4, 6, 8, 8, 8, 2, 2});
    settings.schedule = RateSchedule::cosine;
    settings.epochs = 8;  // four updates after the warm-up
    expect_rates(settings, {2, 4, 6, 8, 8, 4 + 2 * 1.4142135623730951, 4, 4 - 2 * 1.4142135623730951});
    settings.epochs = 2;  // of four updates each
    expect_rates(settings, {2, 4, 6, 8, 8, 4 + 2 * 1.4142135623730951, 4, 4 - 2 * 1.4142135623730951}, 4);
    settings.epochs = 3;  // ends within the warm-up
    expect_rates(settings, {2, 4, 6});
    settings.warmup = 1;
    settings.schedule = RateSchedule::constant;
    expect_rates(settings, {8, 8});
}

TEST(UpdateRate, OfAdamAloneHasTheCorrection) {
    TrainingSettings settings = {
        .learning_rate = 3, .beta1 = 0.5, .beta2 = 0.75, .schedule = RateSchedule::constant};
    EXPECT_NEAR(update_rate(settings, 0, 1), 3 * 0.5 / 0.5, 8 * eps);
    EXPECT_NEAR(update_rate(settings, 1, 1), 3 * 0.66143782776614768 / 0.75, 8 * eps);  // √(7/16)
    for (const Optimizer optimizer : {Optimizer::adamw, Optimizer::gradient_descent}) {
        settings.optimizer = optimizer;
        EXPECT_EQ(update_rate(settings, 1, 1), 3);
    }
}

TEST(TrainingSettings, ContradictionsAreErrors) {
    const auto message = [](const TrainingSettings& settings) -> std::string {
        try {
            require_consistent(settings);
        } catch (const InputError& error) {
            return error.what();
        }
        return "";
    };
    const Optimizer descent = Optimizer::gradient_descent;
    EXPECT_EQ(message({}), "");
    EXPECT_EQ(message({.optimizer = descent, .momentum = 0.9, .nesterov = true}), "");
    EXPECT_EQ(message({.optimizer = Optimizer::adamw, .weight_decay = {0.1}}), "");
    EXPECT_EQ(message({.momentum = 0.9}), "training: adam has no momentum");
    EXPECT_EQ(message({.optimizer = descent, .momentum = 1.0}),
              "training: momentum 1: expected a number in [0, 1)");
    EXPECT_EQ(message({.optimizer = descent, .nesterov = true}),
              "training: Nesterov's method needs momentum");
    EXPECT_EQ(message({.optimizer = descent, .weight_decay = {0.1}}),
              "training: gradient_descent has no decoupled weight decay");
}

}  // namespace
}  // namespace espectra
