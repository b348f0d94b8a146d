// Tests of small networks trained in one launch: by hand, then against the operations of the CPU backend, bit
// for bit.

#include "espectra/kernels/group/fused_training.hpp"

#include "espectra/models/trainer.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "support/network_cases.hpp"
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace espectra::test {
namespace {

/// Shared memory of blocks that process 128 examples at a time instead of 512.
constexpr std::size_t lean_shared_bytes = 64 * 1024;

/// The results of training as bits; every NaN counts as the same.
using Bits = std::vector<std::uint64_t>;

void append(Bits& bits, const double* values, Index count) {
    for (Index i = 0; i < count; ++i)
        bits.push_back(std::isnan(values[i]) ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(values[i]));
}

struct State {
    Index replicas, parameters;
    bool adam;
    std::vector<double> rates, theta, first, second, cost, gradient;
    std::vector<std::int64_t> first_nonfinite, counter;

    State(const NetworkCase& c, const TrainingSettings& settings, std::int64_t epoch)
        : replicas(static_cast<Index>(c.thetas.size())),
          parameters(c.network.parameters()),
          adam(settings.optimizer == Optimizer::adam),
          rates(rate_segment),
          theta(c.flat_theta()),
          first(theta.size(), 0.0),
          second(theta.size(), 0.0),
          cost(c.thetas.size()),
          gradient(theta.size()),
          first_nonfinite(c.thetas.size(), -1),
          counter{epoch} {
        for (Index t = 0; t < rate_segment; ++t)
            rates[static_cast<std::size_t>(t)] = update_rate(settings, t);
    }
    View<double, 2> matrix(std::vector<double>& values) {
        return make_view(values.data(), replicas, parameters);
    }
    Bits bits() const {
        Bits all;
        for (const auto* values : {&theta, &first, &second, &cost, &gradient})
            append(all, values->data(), static_cast<Index>(values->size()));
        for (const auto* values : {&first_nonfinite, &counter})
            for (const std::int64_t value : *values) all.push_back(static_cast<std::uint64_t>(value));
        return all;
    }
};

/// Trains by the operations of the CPU backend.
State by_operations(const NetworkCase& c, const TrainingSettings& settings, int epochs,
                    std::int64_t start = 0) {
    CpuContext context(1);
    State state(c, settings, start);
    Evaluator<CpuContext> evaluator(context, c.network, c.view(), state.replicas);
    const auto counter = make_view(state.counter.data(), 1);
    for (int epoch = 0; epoch < epochs; ++epoch) {
        evaluator.evaluate(state.matrix(state.theta));
        mark_divergence(context,
                        {evaluator.cost(), counter, make_view(state.first_nonfinite.data(), state.replicas)});
        if (state.adam)
            adam_step(context, {.beta1 = settings.beta1,
                                .beta2 = settings.beta2,
                                .epsilon = settings.epsilon,
                                .rates = share(make_view(state.rates.data(), rate_segment), state.replicas),
                                .counter = counter,
                                .gradient = evaluator.gradient(),
                                .theta = state.matrix(state.theta),
                                .first_moment = state.matrix(state.first),
                                .second_moment = state.matrix(state.second)});
        else
            gradient_descent_step(
                context, {.rates = share(make_view(state.rates.data(), rate_segment), state.replicas),
                          .counter = counter,
                          .gradient = evaluator.gradient(),
                          .theta = state.matrix(state.theta)});
        advance_counter(context, {counter, 1});
    }
    std::copy_n(evaluator.cost().data, state.cost.size(), state.cost.data());
    std::copy_n(evaluator.gradient().data, state.gradient.size(), state.gradient.data());
    return state;
}

/// Returns the arguments of fused_training for the same epochs.
FusedTraining<Space::host> launch_of(const NetworkCase& c, const TrainingSettings& settings, int epochs,
                                     State& state) {
    return {.network = c.network.view(),
            .epochs = epochs,
            .beta1 = settings.beta1,
            .beta2 = settings.beta2,
            .epsilon = settings.epsilon,
            .rates = share(make_view(state.rates.data(), rate_segment), state.replicas),
            .counter = make_view(state.counter.data(), 1),
            .features = c.view().features,
            .targets = c.view().targets,
            .theta = state.matrix(state.theta),
            .first_moment = state.adam ? state.matrix(state.first) : View<double, 2>{},
            .second_moment = state.adam ? state.matrix(state.second) : View<double, 2>{},
            .cost = make_view(state.cost.data(), state.replicas),
            .gradient = state.matrix(state.gradient),
            .first_nonfinite = make_view(state.first_nonfinite.data(), state.replicas)};
}

/// Trains the same epochs in one launch.
template <class C>
State fused(C& context, const NetworkCase& c, const TrainingSettings& settings, int epochs,
            std::int64_t start = 0) {
    State state(c, settings, start);
    fused_training(context, launch_of(c, settings, epochs, state));
    return state;
}

void expect_same_bits(const NetworkCase& c, const TrainingSettings& settings, int epochs, int threads,
                      Schedule schedule, const std::string& what) {
    const Bits expected = by_operations(c, settings, epochs).bits();
    CpuContext cpu(threads > 1 ? 3 : 1);
    EXPECT_EQ(fused(cpu, c, settings, epochs).bits(), expected) << what << ", on the CPU";
    EmulatedContext context(threads, schedule);
    EXPECT_EQ(fused(context, c, settings, epochs).bits(), expected) << what << ", 512 examples at a time";
    EmulatedContext lean(threads, schedule);
    lean.most_shared_bytes = lean_shared_bytes;
    EXPECT_EQ(fused(lean, c, settings, epochs).bits(), expected) << what << ", 128 examples at a time";
}

TEST(FusedTraining, TwoEpochsByHand) {
    // z = w·x + b with w = 1, b = 0, x = 2, y = 1: ℓ = (z − y)² = 1, ∂ℓ/∂w = 4, ∂ℓ/∂b = 2; rate ¼: w = 0, b =
    // −½. Then z = −½: ℓ = 9/4, ∂ℓ/∂w = −6, ∂ℓ/∂b = −3: w = 3/2, b = ¼.
    NetworkCase c = make_case({{1, 1}, {}, false, 1.0, Loss::mean_squared_error}, 1);
    c.features = {2};
    c.targets = {1};
    c.thetas = {{1, 0}};
    const TrainingSettings settings = {
        .optimizer = Optimizer::gradient_descent, .learning_rate = 0.25, .decay_rate = 1.0};
    for (const int threads : {1, 3}) {
        EmulatedContext context(threads);
        const State state = fused(context, c, settings, 2, 5);
        EXPECT_EQ(state.theta, (std::vector<double>{1.5, 0.25}));
        EXPECT_EQ(state.gradient, (std::vector<double>{-6, -3}));
        EXPECT_EQ(state.cost, (std::vector<double>{2.25}));
        EXPECT_EQ(state.counter.front(), 7);
        EXPECT_EQ(state.first_nonfinite.front(), -1);
    }
}

TEST(FusedTraining, EveryActivationAndLoss) {
    using enum Activation;
    for (const Loss loss : all_values<Loss>)
        for (const Activation activation : all_values<Activation>)
            for (const bool trainable_beta : {true, false}) {
                if (!trainable_beta && activation != esp) continue;
                const NetworkCase c =
                    make_case({{3, 5, 4, 2}, {activation}, trainable_beta, 0.8, loss}, 145, 2);
                expect_same_bits(
                    c, {.learning_rate = 0.03}, 30, 1, Schedule::free,
                    std::string(activation_name(activation)) + ", " + std::string(loss_name(loss)));
            }
    const NetworkCase mixture = make_case({{2, 3, 4, 5, 3}, {esp, tanh, relu}}, 33);
    expect_same_bits(mixture, {}, 40, 1, Schedule::free, "mixture");
}

TEST(FusedTraining, EveryShapeAndNumberOfExamples) {
    for (const std::vector<Index>& widths :
         {std::vector<Index>{2, 10, 1}, {2, 8, 2, 1}, {3, 5, 4, 2}, {16, 16, 3}, {1, 1}})
        for (const Index examples : {1, 15, 16, 17, 100, 511, 512, 513, 690, 1100}) {
            const NetworkCase c = make_case({widths, {Activation::esp}}, examples, 1, 7);
            expect_same_bits(c, {.learning_rate = 0.02}, 4, 1, Schedule::free,
                             c.network.widths_text() + ", " + std::to_string(examples) + " examples");
        }
}

TEST(FusedTraining, BothOptimizers) {
    const NetworkCase c = make_case({{2, 10, 1}, {Activation::esp}}, 100, 3);
    for (const Optimizer optimizer : {Optimizer::adam, Optimizer::gradient_descent})
        expect_same_bits(c, {.optimizer = optimizer, .learning_rate = 0.1, .decay_steps = 3}, 100, 1,
                         Schedule::free, optimizer == Optimizer::adam ? "adam" : "gradient descent");
}

TEST(FusedTraining, AnyNumberOfThreadsInAnyOrder) {
    for (const int threads : {31, 32, 33, 128})
        for (const Schedule schedule : {Schedule::free, Schedule::descending}) {
            const std::string what = std::to_string(threads) + " threads";
            const NetworkCase esp = make_case({{2, 10, 1}, {Activation::esp}}, 530);
            expect_same_bits(esp, {}, 2, threads, schedule, what);
            const NetworkCase softmax = make_case(
                {{3, 5, 4, 3}, {Activation::tanh}, false, 1.0, Loss::softmax_cross_entropy}, 150, 2);
            expect_same_bits(softmax, {}, 2, threads, schedule, what);
        }
}

TEST(FusedTraining, MarksTheEpochOfDivergence) {
    // Squared errors of weights around 1e60, whose second step is far too large, and around 1e200.
    NetworkCase c = make_case({{2, 4, 2}, {Activation::relu}, false, 1.0, Loss::mean_squared_error}, 40, 3);
    for (const auto& [r, scale] : {std::pair<std::size_t, double>{1, 1e60}, {2, 1e200}})
        for (double& value : c.thetas[r]) value *= scale;
    const TrainingSettings settings = {
        .optimizer = Optimizer::gradient_descent, .learning_rate = 0.01, .decay_rate = 1.0};
    const State expected = by_operations(c, settings, 6);
    EXPECT_EQ(expected.first_nonfinite[2], 0);  // (1e200)² overflows
    EXPECT_GT(expected.first_nonfinite[1], 0);
    EXPECT_EQ(expected.first_nonfinite[0], -1);
    expect_same_bits(c, settings, 6, 1, Schedule::free, "one thread");
    expect_same_bits(c, settings, 6, 33, Schedule::descending, "33 threads");
}

/// Runs with one sync() left out in turn.
struct Mutants {
    long all = 0;    ///< number of runs
    long alive = 0;  ///< runs of which both orders of the threads give the correct result
};

Mutants drop_each_sync(const NetworkCase& c, std::size_t shared_bytes) {
    constexpr int epochs = 2, threads = 33;
    const Bits expected = by_operations(c, {}, epochs).bits();
    EmulatedContext count(threads, Schedule::ascending);
    count.most_shared_bytes = shared_bytes;
    EXPECT_EQ(fused(count, c, {}, epochs).bits(), expected);
    Mutants mutants{count.syncs(), 0};
    for (long k = 0; k < mutants.all; ++k) {
        bool seen = false;
        for (const Schedule schedule : {Schedule::ascending, Schedule::descending}) {
            EmulatedContext context(threads, schedule);
            context.most_shared_bytes = shared_bytes;
            context.drop_sync(k);
            seen = seen || fused(context, c, {}, epochs).bits() != expected;
        }
        if (!seen) ++mutants.alive;
        EXPECT_TRUE(seen) << "sync " << k << " of " << mutants.all;
    }
    return mutants;
}

TEST(FusedTraining, EverySyncIsNeeded) {
    const NetworkCase c = make_case({{2, 10, 1}, {Activation::esp}}, 530);
    // One after θ is loaded; in each epoch two for each chunk and one for every 512 examples.
    const Mutants lean = drop_each_sync(c, lean_shared_bytes);
    EXPECT_EQ(lean.all, 1 + 2 * (2 * 5 + 2));
    EXPECT_EQ(lean.alive, 0);
    const Mutants wide = drop_each_sync(c, EmulatedContext(1).most_shared_bytes);
    EXPECT_EQ(wide.all, 1 + 2 * (2 * 2 + 2));
    EXPECT_EQ(wide.alive, 0);
}

TEST(FusedTraining, FitsWhereSharedMemoryAndInputsAllow) {
    EmulatedContext context(1);
    const auto fits = [&](const std::vector<Index>& widths, Index replicas, Index examples) {
        return fused_training_fits(context, Network({widths, {Activation::esp}}).view(), replicas, examples);
    };
    // 52 parameters, 53 sums of 2 + 17 numbers, 2 + 3·10 + 3·1 rows.
    EXPECT_EQ(
        group::fused_training_doubles(fused_network(Network({{2, 10, 1}, {Activation::esp}}).view()), 128),
        52 + 53 * 19 + 35 * 128);
    EXPECT_TRUE(fits({2, 10, 1}, 1, 690));
    EXPECT_TRUE(fits({2, 8, 2, 1}, 10000, 690));
    EXPECT_TRUE(fits({16, 16, 10}, 1, 690));
    EXPECT_FALSE(fits({17, 4, 1}, 1, 690));
    EXPECT_FALSE(fits({4, 17, 1}, 1, 690));
    EXPECT_FALSE(fits({16, 16, 100}, 1, 690));
    EXPECT_FALSE(fits({2, 2, 2, 2, 2, 2, 2, 2, 2, 2}, 1, 690));  // nine layers
    EXPECT_FALSE(fits({2, 10, 1}, 1, 100000));
    EXPECT_TRUE(fits({2, 10, 1}, 100, 100000));
}

TEST(FusedTraining, FitsTheCpuWhereCachesAndThreadsAllow) {
    CpuContext two(2);
    const auto fits = [&](const std::vector<Index>& widths, Index replicas, Index examples) {
        return fused_training_fits(two, Network({widths, {Activation::esp}}).view(), replicas, examples);
    };
    EXPECT_TRUE(fits({2, 10, 1}, 1, 690));
    EXPECT_TRUE(fits({16, 16, 16, 10}, 1, 690));
    EXPECT_FALSE(fits({17, 4, 1}, 1, 690));
    EXPECT_FALSE(fits({4, 17, 1}, 1, 690));
    EXPECT_FALSE(fits({16, 16, 500}, 1, 690));
    EXPECT_FALSE(fits({2, 10, 1}, 1, 0));
    EXPECT_FALSE(fits({2, 10, 1}, 1, 5000));  // would leave one of two threads without work
    EXPECT_TRUE(fits({2, 10, 1}, 2, 5000));
}

TEST(FusedTraining, CostAndGradientMayBeLeftOut) {
    NetworkCase c = make_case({{3, 5, 2}, {Activation::esp}, true, 0.8, Loss::mean_squared_error}, 145, 2);
    for (double& value : c.thetas[1]) value *= 1e120;  // its cost overflows, which is noticed too
    for (const TrainingSettings& settings :
         {TrainingSettings{}, {.optimizer = Optimizer::gradient_descent}}) {
        const State expected = by_operations(c, settings, 20);
        EXPECT_EQ(expected.first_nonfinite, (std::vector<std::int64_t>{-1, 0}));
        for (const bool cost : {true, false}) {
            CpuContext context(2);
            State state(c, settings, 0);
            FusedTraining<Space::host> arguments = launch_of(c, settings, 20, state);
            if (cost)
                arguments.gradient = {};
            else
                arguments.cost = {};
            fused_training(context, arguments);
            if (cost)
                state.gradient = expected.gradient;
            else
                state.cost = expected.cost;
            EXPECT_EQ(state.bits(), expected.bits());
        }
    }
}

TEST(FusedTraining, TargetsThatAreNotFiniteOrHuge) {
    for (const Loss loss : {Loss::sigmoid_cross_entropy, Loss::mean_squared_error})
        for (const double target :
             {std::numeric_limits<double>::infinity(), 1e200, std::numeric_limits<double>::quiet_NaN()}) {
            NetworkCase c = make_case({{2, 4, 1}, {Activation::tanh}, false, 1.0, loss}, 50);
            c.targets[49] = target;
            expect_same_bits(c, {}, 3, 1, Schedule::free, std::to_string(target));
        }
}

TEST(FusedTraining, DeepestAndWidest) {
    using enum Activation;
    const NetworkCase deep = make_case(
        {{16, 3, 16, 5, 7, 1, 13, 6, 2}, {esp, tanh, relu, sigmoid, softplus, linear, esp}}, 300, 3);
    expect_same_bits(deep, {}, 12, 1, Schedule::free, "eight layers");
    const NetworkCase wide = make_case({{5, 16, 37}, {esp}, true, 1.0, Loss::softmax_cross_entropy}, 131, 2);
    expect_same_bits(wide, {}, 12, 1, Schedule::free, "37 outputs");
}

// Tests of the trainer.

template <class B>
Bits contents(Trainer<B>& trainer) {
    const auto state = trainer.snapshot();
    Bits bits = {static_cast<std::uint64_t>(state.epoch)};
    for (const auto* buffer : {&state.theta, &state.gradient, &state.cost, &state.accuracy,
                               &state.zero_residuals, &state.accuracy_test})
        append(bits, buffer->data(), buffer->size());
    for (const std::int64_t epoch : trainer.diverged()) bits.push_back(static_cast<std::uint64_t>(epoch));
    return bits;
}

TEST(FusedTraining, TrainerGivesTheBitsOfTheOperations) {
    const NetworkCase c = make_case({{2, 6, 1}, {Activation::esp}}, 100, 2);
    const NetworkCase held_out = make_case(c.network.shape(), 30, 1, 2);
    CpuContext cpu(2);
    EmulatedContext emulated(1);
    Trainer<CpuContext> expected(cpu, c.network, c.view(), held_out.view(), {.fused = false}, c.flat_theta());
    Trainer<CpuContext> on_threads(cpu, c.network, c.view(), held_out.view(), {}, c.flat_theta());
    Trainer<EmulatedContext> in_blocks(emulated, c.network, c.view(), held_out.view(), {}, c.flat_theta());
    EXPECT_STREQ(expected.method(), "kernels per operation");
    EXPECT_STREQ(on_threads.method(), "fused, one thread per replica");
    EXPECT_STREQ(in_blocks.method(), "fused, one block per replica");
    // At once, across the end of a segment of rates, and again from a snapshot on.
    for (const std::int64_t epoch : {0, 1, 20, 511, 512, 530, 1100}) {
        expected.advance_to(epoch);
        on_threads.advance_to(epoch);
        in_blocks.advance_to(epoch);
        EXPECT_EQ(on_threads.epoch(), epoch);
        EXPECT_EQ(in_blocks.epoch(), epoch);
        const Bits bits = contents(expected);
        EXPECT_EQ(contents(on_threads), bits) << "epoch " << epoch;
        EXPECT_EQ(contents(in_blocks), bits) << "epoch " << epoch;
    }
}

TEST(FusedTraining, HundredsOfEpochsAreOneLaunch) {
    const NetworkCase c = make_case({{1, 2, 1}, {Activation::esp}}, 5);
    EmulatedContext context(1);
    Trainer<EmulatedContext> trainer(context, c.network, c.view(), {}, {}, c.flat_theta());
    trainer.advance_to(rate_segment);
    EXPECT_EQ(context.launches(), 2);  // the second advances the counter
}

TEST(FusedTraining, TrainerWithoutFusionGivesTheSameBits) {
    const NetworkCase narrow = make_case({{3, 5, 2}, {Activation::esp}}, 40, 2);
    const auto run = [](auto&& context, const NetworkCase& c, const TrainingSettings& settings, int epochs) {
        using B = std::remove_cvref_t<decltype(context)>;
        Trainer<B> trainer(context, c.network, c.view(), {}, settings, c.flat_theta());
        EXPECT_STREQ(trainer.method(), "kernels per operation");
        trainer.advance_to(epochs);
        return contents(trainer);
    };
    for (const Optimizer optimizer : {Optimizer::adam, Optimizer::gradient_descent}) {
        const TrainingSettings unfused = {.optimizer = optimizer, .fused = false};
        for (const auto& [threads, epochs] : {std::pair{1, 520}, {33, 3}})
            EXPECT_EQ(run(EmulatedContext(threads), narrow, unfused, epochs),
                      run(CpuContext(1), narrow, unfused, epochs));
    }
}

}  // namespace
}  // namespace espectra::test
