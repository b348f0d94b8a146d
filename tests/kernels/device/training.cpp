// Training on a device, fused and by operations, which a device repeats as a graph.

#include "espectra/models/trainer.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/network_list.hpp"
#include "kernels/device/sliced_array.hpp"
#include "support/backend_work.hpp"
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

/// Returns θ, cost, gradient and scores after each of `epochs`, and the epochs of divergence.
template <class C>
Values training(C& context, const NetworkCase& c, const std::vector<std::int64_t>& epochs,
                const TrainingSettings& settings, const std::vector<TrainingSettings>& of_replicas = {}) {
    const ResidentCase<C> resident(context, c);
    const NetworkCase held_out = make_case(c.network.shape(), 9, 1, 77);
    const ResidentCase<C> test(context, held_out);
    Trainer<C> trainer(context, c.network, resident.examples(), test.examples(), settings, c.flat_theta(),
                       of_replicas);
    Values values;
    for (const std::int64_t epoch : epochs) {
        trainer.advance_to(epoch);
        const Snapshot<C> state = trainer.snapshot();
        for (const auto* part : {&state.theta, &state.gradient, &state.cost, &state.accuracy,
                                 &state.zero_residuals, &state.accuracy_test})
            append(context, values, part->data(), part->size());
    }
    for (const std::int64_t epoch : trainer.diverged()) values.push_back(static_cast<double>(epoch));
    return values;
}

/// Fused or not, by Adam or by gradient descent.
std::vector<TrainingSettings> methods() {
    std::vector<TrainingSettings> settings;
    for (const Optimizer optimizer : {Optimizer::adam, Optimizer::gradient_descent})
        for (const bool fused : {true, false})
            settings.push_back({.optimizer = optimizer, .decay_steps = 20, .fused = fused});
    return settings;
}

TYPED_TEST(Device, SmallNetworksTrainToTheCpusBits) {
    for (const TrainingSettings& settings : methods())
        for (const NetworkCase& c : networks(130)) {
            if (!has_few_inputs(c.network)) continue;
            EXPECT_TRUE(identical(training(this->cpu_, c, {2, 3, 9}, settings),
                                  training(*this->context_, c, {2, 3, 9}, settings)))
                << name(c) << (settings.fused ? ", fused" : "");
        }
}

// Few epochs, since rounding grows while a network trains: Adam's step is of the size of the learning rate
// where a gradient is no larger than the rounding of its sum, so that the first differences are of its order.
TYPED_TEST(Device, LargerNetworksTrainAsOnTheCpu) {
    for (const Optimizer optimizer : {Optimizer::adam, Optimizer::gradient_descent})
        for (const NetworkCase& c :
             {make_case({{20, 18, 3}, {Activation::esp}, true, 1.0, Loss::softmax_cross_entropy}, 200, 2),
              make_case({{17, 3, 1}, {Activation::tanh}, true, 1.0, {}}, 70, 3)}) {
            EXPECT_LT(relative_error(
                          training(this->cpu_, c, {3, 10}, {.optimizer = optimizer, .decay_steps = 20}),
                          training(*this->context_, c, {3, 10}, {.optimizer = optimizer, .decay_steps = 20})),
                      1e-9)
                << name(c);
        }
}

// Over the end of a segment of learning rates, which are those of each replica.
TYPED_TEST(Device, LearningRatesOfReplicas) {
    const NetworkCase c = make_case({{1, 2, 1}, {Activation::esp}, true, 1.0, {}}, 5, 3);
    for (const TrainingSettings& settings : methods()) {
        std::vector<TrainingSettings> of_replicas(3, settings);
        of_replicas[1].learning_rate = 0.003;
        of_replicas[2].decay_rate = 0.5;
        EXPECT_TRUE(identical(training(this->cpu_, c, {510, 515}, settings, of_replicas),
                              training(*this->context_, c, {510, 515}, settings, of_replicas)))
            << (settings.fused ? "fused" : "by operations");
    }
}

TYPED_TEST(Device, DivergenceIsMarkedWhileTraining) {
    NetworkCase c = make_case({{2, 4, 2}, {Activation::relu}, false, 1.0, Loss::mean_squared_error}, 40, 4);
    for (double& value : c.thetas[1]) value *= 1e60;
    for (double& value : c.thetas[2]) value *= 1e200;
    c.thetas[3][1] = std::nan("");
    for (const TrainingSettings& settings : methods()) {
        const Values expected = training(this->cpu_, c, {1, 6}, settings),
                     actual = training(*this->context_, c, {1, 6}, settings);
        EXPECT_TRUE(identical(expected, actual)) << (settings.fused ? "fused" : "by operations");
        const double* epochs = actual.data() + actual.size() - 4;
        EXPECT_EQ(epochs[0], -1);
        EXPECT_EQ(epochs[2], 0);
        EXPECT_EQ(epochs[3], 0);
    }
}

TYPED_TEST(Device, TwoTrainingsGiveTheSameBits) {
    const NetworkCase c = make_case({{18, 5, 2}, {Activation::esp}, true, 1.0, {}}, 300, 2);
    EXPECT_TRUE(identical(training(*this->context_, c, {6}, {}), training(*this->context_, c, {6}, {})));
}

}  // namespace
}  // namespace espectra::test
