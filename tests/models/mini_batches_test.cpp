// Mini-batches: the order of the examples, and training by them.

#include "espectra/models/mini_batches.hpp"

#include "espectra/models/trainer.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "oracle/naive_network.hpp"
#include "support/backend_work.hpp"
#include "support/network_cases.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace espectra {
namespace {

using namespace ::espectra::test;
using Order = std::vector<std::int64_t>;

/// The orders of all replicas, one after the other, in the epoch that update `t` belongs to.
template <class C>
Order order_of(C& context, const std::vector<std::uint64_t>& seeds, Index examples, std::int64_t t,
               std::int64_t updates_per_epoch) {
    const Index replicas = std::ssize(seeds);
    const auto seeds_there = upload(context, seeds);
    const auto counter = upload(context, std::vector<std::int64_t>{t});
    Buffer<std::uint64_t, C::space> keys(context, replicas * examples);
    Buffer<std::int64_t, C::space> order(context, replicas * examples);
    order_examples(context, {.seeds = seeds_there.view(replicas),
                             .counter = counter.view(1),
                             .updates_per_epoch = updates_per_epoch,
                             .keys = keys.view(replicas, examples),
                             .order = order.view(replicas, examples)});
    return fetch(context, order.data(), order.size());
}

TEST(OrderExamples, SortsByRandomNumbers) {
    // Computed by tests/oracle/pytorch_training.py, which has a Philox of its own.
    CpuContext context(2);
    EXPECT_EQ(order_of(context, {5}, 7, 0, 3), (Order{1, 2, 3, 4, 6, 0, 5}));
    EXPECT_EQ(order_of(context, {5}, 7, 5, 3), (Order{2, 0, 1, 5, 3, 6, 4}));
    EXPECT_EQ(order_of(context, {5}, 7, 6, 3), (Order{5, 6, 1, 2, 3, 0, 4}));
    EXPECT_EQ(order_of(context, {4, 5}, 7, 2, 1).size(), 14u);
    const Order both = order_of(context, {4, 5}, 7, 2, 1);
    EXPECT_EQ(Order(both.begin() + 7, both.end()), (Order{5, 6, 1, 2, 3, 0, 4}));
    EXPECT_EQ(order_of(context, {5}, 1, 9, 1), Order{0});
}

TEST(OrderExamples, AllBackendsAgree) {
    CpuContext cpu(2);
    for (const int threads : {1, 3, 33})
        for (const Index examples : {1, 2, 255, 256, 257, 700}) {
            EmulatedContext device(threads);
            const Order expected = order_of(cpu, {1, 2, ~std::uint64_t{0}}, examples, 12, 4);
            EXPECT_EQ(order_of(device, {1, 2, ~std::uint64_t{0}}, examples, 12, 4), expected);
            for (Index r = 0; r < 3; ++r) {
                Order sorted(expected.begin() + r * examples, expected.begin() + (r + 1) * examples),
                    all(sorted.size());
                std::ranges::sort(sorted);
                std::iota(all.begin(), all.end(), 0);
                EXPECT_EQ(sorted, all);
            }
        }
}

TEST(OrderExamples, EveryOrderIsAsLikely) {
    // 6000 epochs of three examples: each of the six orders 1000 times, within five standard deviations of
    // √(6000 · 1/6 · 5/6) = 29.
    CpuContext context(1);
    std::map<Order, int> counts;
    for (std::int64_t epoch = 0; epoch < 6000; ++epoch) ++counts[order_of(context, {11}, 3, epoch, 1)];
    EXPECT_EQ(counts.size(), 6u);
    for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 145);
}

TEST(GatherExamples, ByHand) {
    // Five examples in batches of two; the third batch of an epoch has the rest.
    CpuContext context(2);
    const std::vector<double> features = {0, 1, 2, 3, 4, 10, 11, 12, 13, 14}, targets = {5, 6, 7, 8, 9};
    const Order order = {4, 2, 0, 3, 1, 0, 1, 2, 3, 4};
    for (const auto& [t, x, y] : {std::tuple<std::int64_t, std::vector<double>, std::vector<double>>{
                                      0, {4, 2, 14, 12, 0, 1, 10, 11}, {9, 7, 5, 6}},
                                  {4, {0, 3, 10, 13, 2, 3, 12, 13}, {5, 8, 7, 8}},
                                  {5, {1, 11, 4, 14}, {6, 9}}}) {
        const Index count = t == 5 ? 1 : 2;
        std::vector<double> batch_x(static_cast<std::size_t>(4 * count)),
            batch_y(static_cast<std::size_t>(2 * count));
        gather_examples(context, {.order = make_view(order.data(), 2, 5),
                                  .counter = make_view(&t, 1),
                                  .updates_per_epoch = 3,
                                  .batch_size = 2,
                                  .features = make_view(features.data(), 2, 5),
                                  .targets = make_view(targets.data(), 1, 5),
                                  .batch_features = make_view(batch_x.data(), 2, 2, count),
                                  .batch_targets = make_view(batch_y.data(), 2, 1, count)});
        EXPECT_EQ(batch_x, x);
        EXPECT_EQ(batch_y, y);
    }
}

template <class C>
Values trained(C& context, const NetworkCase& c, const TrainingSettings& settings, std::int64_t epochs,
               const std::vector<std::uint64_t>& seeds) {
    const ResidentCase<C> resident(context, c);
    Trainer<C> trainer(context, c.network, resident.examples(), {}, settings, c.flat_theta(), {}, seeds);
    trainer.advance_to(epochs);
    const auto state = trainer.snapshot();
    Values values;
    for (const auto* part : {&state.theta, &state.gradient, &state.cost, &state.accuracy})
        append(context, values, part->data(), part->size());
    return values;
}

TEST(MiniBatches, TrainAsTheRecurrenceWrittenOut) {
    const NetworkCase c =
        make_case({{3, 4, 2}, {Activation::esp}, true, 1.0, Loss::softmax_cross_entropy}, 20);
    const TrainingSettings settings = {.optimizer = Optimizer::gradient_descent,
                                       .learning_rate = 0.1,
                                       .decay_rate = 0.5,
                                       .decay_steps = 4,
                                       .momentum = 0.5,
                                       .batch_size = 6};
    CpuContext context(2);
    const std::uint64_t seed = 3;
    Trainer<CpuContext> trainer(context, c.network, c.view(), {}, settings, c.flat_theta(), {}, {seed});
    EXPECT_EQ(trainer.updates_per_epoch(), 4);
    std::vector<double> theta = c.thetas[0], velocity(theta.size(), 0.0);
    for (int epoch = 0, t = 0; epoch < 5; ++epoch) {
        const Order order = order_of(context, {seed}, 20, epoch, 1);
        for (std::size_t begin = 0; begin < 20; begin += 6, ++t) {
            std::vector<std::vector<double>> x, y;
            for (std::size_t e = begin; e < std::min<std::size_t>(begin + 6, 20); ++e) {
                x.push_back(c.rows_x[static_cast<std::size_t>(order[e])]);
                y.push_back(c.rows_y[static_cast<std::size_t>(order[e])]);
            }
            const auto g = oracle::naive_gradient(c.naive, theta, x, y);
            for (std::size_t p = 0; p < theta.size(); ++p) {
                velocity[p] = 0.5 * velocity[p] + g[p];
                theta[p] -= 0.1 * std::pow(0.5, t / 4.0) * velocity[p];
            }
        }
        trainer.advance_to(epoch + 1);
        // Gradients agree to 1e-15; 20 updates add up these differences.
        for (std::size_t p = 0; p < theta.size(); ++p)
            ASSERT_NEAR(trainer.theta()(0, static_cast<Index>(p)), theta[p], 1e-13);
    }
    // A snapshot is that of all examples.
    EXPECT_NEAR(trainer.snapshot().cost.data()[0], oracle::naive_cost(c.naive, theta, c.rows_x, c.rows_y),
                1e-12);
}

TEST(MiniBatches, RatesOfManyUpdatesInAnEpoch) {
    // One bias, features 0, targets 0: b ← (1 − 2η_t) b, with 515 updates of two examples per epoch, beyond a
    // segment of rates; η is not 0 from update 514 on, by a warm-up that is over just then.
    const Index examples = 1030;
    const std::vector<double> zeros(static_cast<std::size_t>(examples), 0.0);
    const Network network({.widths = {1, 1}, .hidden_activations = {}, .loss = Loss::mean_squared_error});
    const TrainingSettings settings = {.optimizer = Optimizer::gradient_descent,
                                       .learning_rate = 0.25,
                                       .schedule = RateSchedule::constant,
                                       .warmup = 1030,
                                       .batch_size = 2};
    CpuContext context(1);
    Trainer<CpuContext> trainer(context, network,
                                {make_view(zeros.data(), 1, examples), make_view(zeros.data(), 1, examples)},
                                {}, settings, std::vector<double>{1, 1}, {}, {1});
    double b = 1;
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
        for (std::int64_t t = epoch * 515; t < (epoch + 1) * 515; ++t)
            b *= 1 - 2 * 0.25 * std::min(1.0, static_cast<double>(t + 1) / 1030);
        trainer.advance_to(epoch + 1);
        // Each factor is rounded: 515 of them for each epoch.
        EXPECT_NEAR(trainer.theta()(0, 1), b, 3000 * std::numeric_limits<double>::epsilon() * b);
    }
}

TEST(MiniBatches, SameBitsOnAllThreadsAndBackends) {
    for (const Optimizer optimizer : {Optimizer::adam, Optimizer::adamw, Optimizer::gradient_descent}) {
        const NetworkCase c = make_case({{5, 6, 2}, {Activation::esp}, true, 1.0, {}}, 131, 3);
        const TrainingSettings settings = {.optimizer = optimizer, .batch_size = 50};
        CpuContext one(1), two(2), four(4);
        const Values expected = trained(one, c, settings, 4, {7, 8, 9});
        EXPECT_TRUE(same_bits(trained(two, c, settings, 4, {7, 8, 9}), expected));
        EXPECT_TRUE(same_bits(trained(four, c, settings, 4, {7, 8, 9}), expected));
        for (const int threads : {1, 32}) {
            EmulatedContext device(threads);
            EXPECT_TRUE(same_bits(trained(device, c, settings, 4, {7, 8, 9}), expected)) << threads;
        }
        EXPECT_FALSE(same_bits(trained(one, c, settings, 4, {7, 8, 10}), expected));
    }
    // Layers with many inputs, in matrix products.
    const NetworkCase wide = make_case({{20, 18, 3}, {Activation::esp}}, 1300, 2);
    CpuContext one(1), four(4);
    EXPECT_TRUE(same_bits(trained(one, wide, {.batch_size = 600}, 2, {1, 2}),
                          trained(four, wide, {.batch_size = 600}, 2, {1, 2})));
}

TEST(MiniBatches, ReplicasTogetherOrAlone) {
    const NetworkCase c = make_case({{3, 17, 2}, {Activation::tanh}}, 70, 3);
    CpuContext context(2);
    const TrainingSettings settings = {.batch_size = 16};
    const auto thetas = [&](const NetworkCase& some, const std::vector<std::uint64_t>& seeds) {
        Values all = trained(context, some, settings, 5, seeds);
        all.resize(some.thetas.size() * some.thetas[0].size());
        return all;
    };
    const Values together = thetas(c, {4, 5, 6});
    for (std::size_t r = 0; r < 3; ++r) {
        NetworkCase alone = c;
        alone.thetas = {c.thetas[r]};
        const std::size_t p = c.thetas[0].size();
        EXPECT_TRUE(same_bits(thetas(alone, {4 + r}),
                              Values(together.begin() + static_cast<std::ptrdiff_t>(r * p),
                                     together.begin() + static_cast<std::ptrdiff_t>((r + 1) * p))));
    }
}

TEST(MiniBatches, InOneGoOrEpochByEpoch) {
    const NetworkCase c = make_case({{3, 5, 2}, {Activation::tanh}}, 30);
    CpuContext context(1);
    const TrainingSettings settings = {.batch_size = 7};
    Trainer<CpuContext> trainer(context, c.network, c.view(), {}, settings, c.flat_theta(), {}, {2});
    for (std::int64_t epoch = 0; epoch <= 6; ++epoch) {
        trainer.advance_to(epoch);
        trainer.snapshot();  // looking must not change anything
    }
    Values values;
    const auto state = trainer.snapshot();
    for (const auto* part : {&state.theta, &state.gradient, &state.cost, &state.accuracy})
        append(context, values, part->data(), part->size());
    EXPECT_TRUE(same_bits(values, trained(context, c, settings, 6, {2})));
}

TEST(MiniBatches, NoFewerThanAllExamplesAreTheFullBatch) {
    const NetworkCase c = make_case({{3, 5, 2}, {Activation::tanh}}, 30);
    CpuContext context(1);
    const Values expected = trained(context, c, {}, 6, {});
    for (const Index size : {30, 31, 1000000})
        EXPECT_TRUE(same_bits(trained(context, c, {.batch_size = size}, 6, {}), expected));
    EXPECT_FALSE(same_bits(trained(context, c, {.batch_size = 29}, 6, {1}), expected));
    EXPECT_THROW(trained(context, c, {.batch_size = 29}, 1, {}), InputError);
    EXPECT_THROW(trained(context, c, {.batch_size = 29}, 1, {1, 2}), InputError);
}

TEST(MiniBatches, DivergenceIsReportedByEpoch) {
    // b ← −1e40·b from b = 1 (as in Trainer.ReportsTheEpochOfDivergence): b² overflows before update 4, in
    // epoch 1 of three updates each.
    const std::vector<double> zeros(5, 0.0);
    const Network network({.widths = {1, 1}, .hidden_activations = {}, .loss = Loss::mean_squared_error});
    CpuContext context(1);
    Trainer<CpuContext> trainer(context, network,
                                {make_view(zeros.data(), 1, 5), make_view(zeros.data(), 1, 5)}, {},
                                {.optimizer = Optimizer::gradient_descent,
                                 .learning_rate = 0.5e40,
                                 .schedule = RateSchedule::constant,
                                 .batch_size = 2},
                                std::vector<double>{1, 1, 2, 0}, {}, {1, 2});
    trainer.advance_to(1);
    EXPECT_EQ(trainer.diverged(), (std::vector<std::int64_t>{-1, -1}));
    trainer.advance_to(3);
    EXPECT_EQ(trainer.diverged(), (std::vector<std::int64_t>{1, -1}));
}

}  // namespace
}  // namespace espectra
