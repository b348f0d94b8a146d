// Optimizer steps by hand, and the trainer: schedules, snapshots, replicas, divergence.

#include "espectra/kernels/optimizer.hpp"

#include "espectra/models/trainer.hpp"

#include <gtest/gtest.h>

#include "oracle/naive_network.hpp"
#include "support/network_cases.hpp"
#include <cmath>
#include <limits>
#include <vector>

namespace espectra {
namespace {

using test::make_case;
using test::NetworkCase;

constexpr double eps = std::numeric_limits<double>::epsilon();

TEST(AdamStep, TwoUpdatesByHand) {
    CpuContext context(2);
    // β₁ = ½, β₂ = ¾, ε = 1, g = 4 then −2 for the first parameter; a second replica with g = 0 stays.
    const double sqrt3 = std::sqrt(3.0);
    std::vector<double> theta = {1, 7}, first = {0, 0}, second = {0, 0}, gradient = {4, 0};
    // Updates 511 and 512: the rates go around.
    std::vector<double> rates(rate_segment, std::nan(""));
    rates[511] = 0.5;
    rates[0] = 0.25;
    std::vector<std::int64_t> counter = {511};
    AdamStep<Space::host> step = {.beta1 = 0.5,
                                  .beta2 = 0.75,
                                  .epsilon = 1,
                                  .rates = share(make_view(rates.data(), rate_segment), 2),
                                  .counter = make_view(counter.data(), 1),
                                  .gradient = make_view(gradient.data(), 2, 1),
                                  .theta = make_view(theta.data(), 2, 1),
                                  .first_moment = make_view(first.data(), 2, 1),
                                  .second_moment = make_view(second.data(), 2, 1)};
    adam_step(context, step);
    // m = 2, v = 4: θ = 1 − ½·2/(2 + 1) = 2/3.
    EXPECT_DOUBLE_EQ(first[0], 2);
    EXPECT_DOUBLE_EQ(second[0], 4);
    EXPECT_DOUBLE_EQ(theta[0], 2.0 / 3);
    gradient[0] = 0;
    advance_counter(context, {make_view(counter.data(), 1), 1});
    EXPECT_EQ(counter[0], 512);
    adam_step(context, step);
    // m = 1, v = 3: θ = 2/3 − ¼/(√3 + 1).
    EXPECT_DOUBLE_EQ(first[0], 1);
    EXPECT_DOUBLE_EQ(second[0], 3);
    EXPECT_DOUBLE_EQ(theta[0], 2.0 / 3 - 0.25 / (sqrt3 + 1));
    EXPECT_EQ(theta[1], 7);
    EXPECT_EQ(first[1], 0);
}

TEST(GradientDescentStep, ByHand) {
    CpuContext context(2);
    std::vector<double> theta = {1, 2, 3, 4};
    const std::vector<double> gradient = {4, 0, -8, 2};
    std::vector<double> rates(rate_segment, std::nan(""));
    rates[7] = 0.25;
    const std::vector<std::int64_t> counter = {7};
    gradient_descent_step(context, {.rates = share(make_view(rates.data(), rate_segment), 2),
                                    .counter = make_view(counter.data(), 1),
                                    .gradient = make_view(gradient.data(), 2, 2),
                                    .theta = make_view(theta.data(), 2, 2)});
    EXPECT_EQ(theta, (std::vector<double>{0, 2, 5, 3.5}));
}

TEST(MarkDivergence, KeepsTheFirstEpoch) {
    CpuContext context(1);
    const double inf = std::numeric_limits<double>::infinity();
    std::vector<double> cost = {1, std::nan(""), 2, 3};
    std::vector<std::int64_t> epochs(4, -1);
    const auto mark = [&](std::int64_t epoch) {
        mark_divergence(context,
                        {make_view(cost.data(), 4), make_view(&epoch, 1), make_view(epochs.data(), 4)});
    };
    mark(0);
    EXPECT_EQ(epochs, (std::vector<std::int64_t>{-1, 0, -1, -1}));
    cost = {1, std::nan(""), inf, -inf};
    mark(5);
    mark(6);
    EXPECT_EQ(epochs, (std::vector<std::int64_t>{-1, 0, 5, 5}));
}

using HostTrainer = Trainer<CpuContext>;

std::vector<double> contents(const Buffer<double, Space::host>& buffer) {
    return {buffer.data(), buffer.data() + buffer.size()};
}

/// Everything a snapshot holds.
std::vector<std::vector<double>> contents(const Snapshot<CpuContext>& s) {
    return {contents(s.theta),    contents(s.gradient),       contents(s.cost),
            contents(s.accuracy), contents(s.zero_residuals), contents(s.accuracy_test)};
}

constexpr Examples<Space::host> no_examples{};

TEST(Trainer, AdamEqualsTheRecurrenceWrittenOut) {
    const NetworkCase c = make_case({{3, 4, 2}, {Activation::esp}}, 20);
    const TrainingSettings settings = {Optimizer::adam, 0.02, 0.5, 4, 0.8, 0.95, 1e-6};
    CpuContext context(2);
    HostTrainer trainer(context, c.network, c.view(), no_examples, settings, c.flat_theta());
    std::vector<double> theta = c.thetas[0], m(theta.size(), 0.0), v(theta.size(), 0.0);
    for (int t = 0; t < 10; ++t) {
        const auto g = oracle::naive_gradient(c.naive, theta, c.rows_x, c.rows_y);
        const double rate = 0.02 * std::pow(0.5, t / 4.0);  // learning_rate · decay_rate^(t / decay_steps)
        for (std::size_t p = 0; p < theta.size(); ++p) {
            m[p] = 0.8 * m[p] + 0.2 * g[p];
            v[p] = 0.95 * v[p] + 0.05 * g[p] * g[p];
            // ε outside the bias correction (mathematics.md).
            theta[p] -= rate * std::sqrt(1 - std::pow(0.95, t + 1)) / (1 - std::pow(0.8, t + 1)) * m[p] /
                        (std::sqrt(v[p]) + 1e-6);
        }
        trainer.advance_to(t + 1);
        EXPECT_EQ(trainer.epoch(), t + 1);
        // Gradients agree to 1e-15; where |g| ~ ε that is amplified by rate/ε = 2e4: 2e-11 per step at worst.
        for (std::size_t p = 0; p < theta.size(); ++p)
            ASSERT_NEAR(trainer.theta()(0, static_cast<Index>(p)), theta[p], 1e-10);
    }
}

TEST(Trainer, LearningRateDecaysContinuously) {
    // One weight, input 0: only the bias moves, cost (b − 1)², gradient 2(b − 1): b − 1 shrinks by 1 −
    // 2·rate(t).
    const std::vector<double> x = {0}, y = {1};
    const Network network({.widths = {1, 1}, .hidden_activations = {}, .loss = Loss::mean_squared_error});
    const TrainingSettings settings = {.optimizer = Optimizer::gradient_descent,
                                       .learning_rate = 0.25,
                                       .decay_rate = 0.81,
                                       .decay_steps = 2};
    CpuContext context(1);
    HostTrainer trainer(context, network, {make_view(x.data(), 1, 1), make_view(y.data(), 1, 1)}, no_examples,
                        settings, std::vector<double>{5, 3});
    // Rates ¼, ¼·0.9, ¼·0.81, …
    double error = 2;
    for (int t = 0; t < 4; ++t) {
        trainer.advance_to(t + 1);
        error *= 1 - 2 * 0.25 * std::pow(0.9, t);
        EXPECT_NEAR(trainer.theta()(0, 1), 1 + error, 8 * eps);
        EXPECT_EQ(trainer.theta()(0, 0), 5);
    }
}

TEST(Trainer, LinearNetworkConvergesToLeastSquares) {
    // y = 2 x₁ − x₂ + ½ + noise orthogonal to (x₁, x₂, 1): the least-squares solution is exact.
    const std::vector<double> x = {1, 1, -1, -1, 1, -1, 1, -1};
    const std::vector<double> noise = {1, -1, -1, 1};
    std::vector<double> y;
    for (std::size_t e = 0; e < 4; ++e) y.push_back(2 * x[e] - x[4 + e] + 0.5 + 0.3 * noise[e]);
    const Network network({.widths = {2, 1}, .hidden_activations = {}, .loss = Loss::mean_squared_error});
    const TrainingSettings settings = {
        .optimizer = Optimizer::gradient_descent, .learning_rate = 0.25, .decay_rate = 1.0};
    CpuContext context(1);
    HostTrainer trainer(context, network, {make_view(x.data(), 2, 4), make_view(y.data(), 1, 4)}, no_examples,
                        settings, std::vector<double>{0, 0, 0});
    trainer.advance_to(60);  // Hessian 2I: the error halves each time, 2^-60
    const auto state = trainer.snapshot();
    EXPECT_NEAR(state.theta.data()[0], 2, 16 * eps);
    EXPECT_NEAR(state.theta.data()[1], -1, 16 * eps);
    EXPECT_NEAR(state.theta.data()[2], 0.5, 16 * eps);
    EXPECT_NEAR(state.cost.data()[0], 0.09, 16 * eps);
    for (int p = 0; p < 3; ++p) EXPECT_NEAR(state.gradient.data()[p], 0, 32 * eps);
}

TEST(Trainer, InOneGoOrEpochByEpoch) {
    const NetworkCase c = make_case({{3, 5, 2}, {Activation::tanh}}, 30, 2);
    CpuContext context(2);
    HostTrainer at_once(context, c.network, c.view(), no_examples, {}, c.flat_theta());
    HostTrainer stepwise(context, c.network, c.view(), no_examples, {}, c.flat_theta());
    at_once.advance_to(25);
    for (std::int64_t epoch = 0; epoch <= 25; ++epoch) {
        stepwise.advance_to(epoch);
        stepwise.evaluate();
        stepwise.snapshot();  // looking must not change anything
        stepwise.advance_to(epoch - 3);
        EXPECT_EQ(stepwise.epoch(), epoch);
    }
    EXPECT_EQ(contents(at_once.snapshot()), contents(stepwise.snapshot()));
}

TEST(Trainer, SnapshotBelongsToItsTheta) {
    const NetworkCase c =
        make_case({{4, 5, 3}, {Activation::esp}, true, 1.0, Loss::softmax_cross_entropy}, 40);
    const NetworkCase held_out = make_case(c.network.shape(), 13, 1, 2);
    CpuContext context(2);
    HostTrainer trainer(context, c.network, c.view(), held_out.view(), {.learning_rate = 0.05},
                        c.flat_theta());
    EXPECT_EQ(contents(trainer.snapshot().theta), c.flat_theta());
    trainer.advance_to(7);
    const auto state = trainer.snapshot();
    EXPECT_EQ(state.epoch, 7);
    const std::vector<double> theta = contents(state.theta);
    EXPECT_NE(theta, c.flat_theta());
    const double cost = oracle::naive_cost(c.naive, theta, c.rows_x, c.rows_y);
    EXPECT_NEAR(state.cost.data()[0], cost, 1e-13 * (1 + cost));  // as GradientEqualsHyperDualNumbers
    const auto gradient = oracle::naive_gradient(c.naive, theta, c.rows_x, c.rows_y);
    for (std::size_t p = 0; p < theta.size(); ++p) EXPECT_NEAR(state.gradient.data()[p], gradient[p], 1e-13);
    const auto accuracy = [&](const NetworkCase& data) {
        int right = 0;
        for (std::size_t e = 0; e < data.rows_x.size(); ++e) {
            const auto z = oracle::naive_logits(c.naive, theta, data.rows_x[e]);
            const auto best = std::max_element(z.begin(), z.end()) - z.begin();
            right += data.rows_y[e][static_cast<std::size_t>(best)] == 1.0;
        }
        return right / static_cast<double>(data.rows_x.size());
    };
    EXPECT_EQ(state.accuracy.data()[0], accuracy(c));
    EXPECT_EQ(state.accuracy_test.data()[0], accuracy(held_out));
    EXPECT_EQ(state.zero_residuals.data()[0], 0);
    // A snapshot is a copy: training continues without it.
    trainer.advance_to(9);
    EXPECT_EQ(contents(state.theta), theta);
    EXPECT_NE(contents(trainer.snapshot().theta), theta);
}

TEST(Trainer, WithoutTestSetThereIsNoTestAccuracy) {
    const NetworkCase c = make_case({{2, 3, 1}, {Activation::relu}}, 5);
    CpuContext context(1);
    HostTrainer trainer(context, c.network, c.view(), no_examples, {}, c.flat_theta());
    EXPECT_EQ(trainer.snapshot().accuracy_test.size(), 0);
}

TEST(Trainer, SameBitsForAnyThreads) {
    // Several blocks of examples, matrix products and both optimizers.
    for (const Optimizer optimizer : {Optimizer::adam, Optimizer::gradient_descent}) {
        const NetworkCase c = make_case({{20, 18, 3}, {Activation::esp}}, 1100, 2);
        std::vector<std::vector<double>> expected;
        for (const int threads : {1, 2, 4}) {
            CpuContext context(threads);
            HostTrainer trainer(context, c.network, c.view(), no_examples, {.optimizer = optimizer},
                                c.flat_theta());
            trainer.advance_to(6);
            const auto state = contents(trainer.snapshot());
            if (expected.empty()) expected = state;
            EXPECT_EQ(state, expected) << threads << " threads";
        }
    }
}

TEST(Trainer, ReplicasTogetherOrAloneGiveTheSameBits) {
    const NetworkCase c = make_case({{3, 17, 2}, {Activation::esp}}, 700, 3);
    CpuContext context(2);
    HostTrainer together(context, c.network, c.view(), no_examples, {}, c.flat_theta());
    EXPECT_EQ(together.replicas(), 3);
    together.advance_to(15);
    const auto all = contents(together.snapshot());
    for (std::size_t r = 0; r < 3; ++r) {
        HostTrainer alone(context, c.network, c.view(), no_examples, {}, c.thetas[r]);
        alone.advance_to(15);
        const auto one = contents(alone.snapshot());
        for (std::size_t k = 0; k < one.size(); ++k)
            for (std::size_t i = 0; i < one[k].size(); ++i)
                ASSERT_EQ(one[k][i], all[k][r * one[k].size() + i]) << "replica " << r << ", quantity " << k;
    }
}

TEST(Trainer, ReportsTheEpochOfDivergence) {
    // One bias as above, cost b² from b = 1, b ← (1 − 2·rate) b = −1e40·b: b² overflows when 1e40^t
    // > 1.3e154, t = 4.
    const std::vector<double> x = {0}, y = {0};
    const Network network({.widths = {1, 1}, .hidden_activations = {}, .loss = Loss::mean_squared_error});
    const TrainingSettings settings = {
        .optimizer = Optimizer::gradient_descent, .learning_rate = 0.5e40, .decay_rate = 1.0};
    CpuContext context(2);
    // The second replica starts at the minimum and stays. (Not from {1, 1, 1, 0}: g++ 12 copies that constant
    // as {1, 1, 1, 1} where it has AVX-512.)
    HostTrainer trainer(context, network, {make_view(x.data(), 1, 1), make_view(y.data(), 1, 1)}, no_examples,
                        settings, std::vector<double>{1, 1, 2, 0});
    EXPECT_EQ(trainer.diverged(), (std::vector<std::int64_t>{-1, -1}));
    trainer.advance_to(3);
    trainer.evaluate();
    EXPECT_EQ(trainer.diverged(), (std::vector<std::int64_t>{-1, -1}));
    trainer.advance_to(4);
    trainer.evaluate();
    EXPECT_EQ(trainer.diverged(), (std::vector<std::int64_t>{4, -1}));
    trainer.advance_to(20);
    EXPECT_EQ(trainer.diverged(), (std::vector<std::int64_t>{4, -1}));
    EXPECT_EQ(trainer.theta()(1, 1), 0);
}

TEST(Trainer, RejectsWrongSizes) {
    const NetworkCase c = make_case({{3, 4, 2}, {Activation::relu}}, 5);
    CpuContext context(1);
    std::vector<double> theta = c.flat_theta();
    theta.push_back(0);
    EXPECT_THROW(HostTrainer(context, c.network, c.view(), no_examples, {}, theta), InputError);
    const NetworkCase other = make_case({{4, 4, 2}, {Activation::relu}}, 5);
    EXPECT_THROW(HostTrainer(context, c.network, other.view(), no_examples, {}, c.flat_theta()), InputError);
    const NetworkCase outputs = make_case({{3, 4, 1}, {Activation::relu}}, 5);
    EXPECT_THROW(HostTrainer(context, c.network, c.view(), outputs.view(), {}, c.flat_theta()), InputError);
}

}  // namespace
}  // namespace espectra
