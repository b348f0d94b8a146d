// Whole epochs of small networks in one launch on a device, by blocks of 512 and of 128 threads, with the
// bits of the CPU backend.

#include "espectra/kernels/fused_training.hpp"

#include "espectra/kernels/group/fused_training.hpp"
#include "espectra/models/trainer.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include "support/network_cases.hpp"
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

/// Returns everything that fused_training writes in epochs [start, start + epochs).
template <class C>
Values trained(C& context, const NetworkCase& c, const TrainingSettings& settings, std::int64_t start,
               std::int64_t epochs, bool cost_and_gradient = true) {
    const Index replicas = std::ssize(c.thetas), p = c.network.parameters(), m = c.examples;
    EXPECT_TRUE(fused_training_takes(c.network.view()));
    const bool adam = settings.optimizer == Optimizer::adam;
    Values rates_of;
    for (Index i = 0; i < replicas * rate_segment; ++i)
        rates_of.push_back(update_rate(settings, i % rate_segment) /
                           static_cast<double>(1 + i / rate_segment));
    const Values ones(static_cast<std::size_t>(replicas * p), 1.0);
    auto rates = sliced(context, rates_of, replicas, rate_segment);
    auto counter = sliced(context, std::vector<std::int64_t>{start}, 1);
    auto features = sliced(context, c.features, c.network.inputs(), m),
         targets = sliced(context, c.targets, c.network.outputs(), m);
    auto theta = sliced(context, c.flat_theta(), replicas, p), first = sliced(context, ones, replicas, p),
         second = sliced(context, ones, replicas, p), gradient = sliced_results(context, replicas, p);
    auto cost = sliced_results(context, replicas);
    auto first_nonfinite =
        sliced(context, std::vector<std::int64_t>(static_cast<std::size_t>(replicas), -1), replicas);
    fused_training(context, {.network = c.network.view(),
                             .epochs = epochs,
                             .beta1 = settings.beta1,
                             .beta2 = settings.beta2,
                             .epsilon = settings.epsilon,
                             .rates = rates.view(),
                             .counter = counter.view(),
                             .features = features.view(),
                             .targets = targets.view(),
                             .theta = theta.view(),
                             .first_moment = given(adam, first.view()),
                             .second_moment = given(adam, second.view()),
                             .cost = given(cost_and_gradient, cost.view()),
                             .gradient = given(cost_and_gradient, gradient.view()),
                             .first_nonfinite = first_nonfinite.view()});
    Values results;
    for (auto* array : {&theta, &first, &second, &gradient}) array->append_to(results);
    cost.append_to(results);
    first_nonfinite.append_to(results);
    counter.append_to(results);
    return results;
}

const auto expect_identical = [](const Values& expected, const Values& actual) {
    EXPECT_TRUE(identical(expected, actual));
};

/// Returns true if blocks of 512 threads have room for the network in the shared memory of an H100. Larger
/// networks are trained by blocks of 128, and so are more than few_replicas networks of any size.
bool fits_512_threads(const NetworkCase& c) {
    return group::fused_training_doubles(fused_network(c.network.view()), 512) * sizeof(double) <=
           EmulatedContext(1).most_shared_bytes;
}

/// Returns true if the device has the shared memory; consumer devices lack it for the widest networks here.
template <class C>
bool fits(C& context, const NetworkCase& c) {
    return fused_training_fits(context, c.network.view(), std::ssize(c.thetas), c.examples);
}

TYPED_TEST(Device, FusedTrainingOfAllActivationsAndLosses) {
    using enum Activation;
    for (const Loss loss : all_values<Loss>) {
        const NetworkCase one =
            make_case({{3, 2, 3, 2, 2, 2}, {esp, sigmoid, tanh, gelu}, true, 1.0, loss}, 21, 2, 2);
        const NetworkCase other = make_case(
            {{2, 3, 2, 2, 2, 2, 3}, {linear, softplus, elu, leaky_relu, relu}, true, 1.0, loss, 0.2}, 18, 2,
            3);
        const NetworkCase wide = make_case({{16, 16, 3}, {esp}, true, 1.5, loss}, 17, 2, 4, 0.3);
        const NetworkCase fixed = make_case({{16, 16, 5}, {esp}, false, 1.5, loss}, 17, 1, 5, 0.3);
        EXPECT_TRUE(fits_512_threads(one) && fits_512_threads(other));
        EXPECT_FALSE(fits_512_threads(wide) || fits_512_threads(fixed));
        for (const Optimizer optimizer : {Optimizer::adam, Optimizer::gradient_descent})
            for (const NetworkCase& c : {one, other, wide, fixed}) {
                SCOPED_TRACE(c.network.widths_text() + " " + c.network.activations_text() + " " +
                             std::string(loss_name(loss)));
                if (!fits(*this->context_, c)) continue;
                const TrainingSettings settings = {.optimizer = optimizer, .learning_rate = 0.03};
                this->on_both([&](auto& b) { return trained(b, c, settings, 507, 3); }, expect_identical);
            }
    }
}

// Around sixteen lanes, blocks of 128 and 512 threads, and chunks of 512 examples.
TYPED_TEST(Device, FusedTrainingOfAnyNumberOfExamples) {
    using enum Activation;
    for (const Index examples : {1, 15, 16, 17, 127, 128, 129, 511, 512, 513, 645, 1025}) {
        const NetworkCase small = make_case({{2, 2, 1}, {esp}, true, 1.0, {}}, examples),
                          large = make_case({{12, 14, 2, 2}, {relu, esp}, true, 1.0, {}}, examples);
        EXPECT_TRUE(fits_512_threads(small));
        EXPECT_FALSE(fits_512_threads(large));
        for (const NetworkCase& c : {small, large}) {
            SCOPED_TRACE(c.network.widths_text() + ", " + std::to_string(examples) + " examples");
            if (!fits(*this->context_, c)) continue;
            this->on_both([&](auto& b) { return trained(b, c, {}, 0, 2); }, expect_identical);
        }
    }
}

TYPED_TEST(Device, FusedTrainingOfManyReplicas) {
    for (const Index replicas : {group::few_replicas, group::few_replicas + 1}) {
        const NetworkCase c =
            make_case({{1, 2, 1}, {Activation::esp}, true, 1.0, Loss::mean_squared_error}, 9, replicas);
        this->on_both([&](auto& b) { return trained(b, c, {}, 2, 3, false); }, expect_identical);
    }
}

// Costs that overflow at once, and after a step that is too large; a target that is not finite.
TYPED_TEST(Device, FusedTrainingMarksDivergence) {
    NetworkCase c = make_case({{2, 4, 2}, {Activation::relu}, false, 1.0, Loss::mean_squared_error}, 40, 3);
    for (double& value : c.thetas[1]) value *= 1e60;
    for (double& value : c.thetas[2]) value *= 1e200;
    const TrainingSettings settings = {.optimizer = Optimizer::gradient_descent, .decay_rate = 1.0};
    this->on_both([&](auto& b) { return trained(b, c, settings, 10, 5); },
                  [](const Values& expected, const Values& actual) {
                      EXPECT_TRUE(identical(expected, actual));
                      const Values marks(actual.end() - 4, actual.end() - 1);
                      EXPECT_EQ(marks[0], -1);
                      EXPECT_GT(marks[1], 10);
                      EXPECT_EQ(marks[2], 10);
                      EXPECT_EQ(actual.back(), 15);
                  });
    c.targets[7] = std::nan("");
    this->on_both([&](auto& b) { return trained(b, c, {}, 0, 2); }, expect_identical);
}

}  // namespace
}  // namespace espectra::test
