// The three losses and the scores: hand-worked numbers, long double differences, extreme logits.

#include "espectra/kernels/loss.hpp"

#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include "oracle/naive_network.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace espectra {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr auto all = all_values<Loss>;

/// Outputs of evaluate_loss for contiguous arrays [R, C, m].
struct Evaluation {
    std::vector<double> cost, delta, curvature;
};

Evaluation evaluate(Loss loss, const std::vector<double>& logits, const std::vector<double>& targets,
                    Index replicas, Index outputs, Index total = 0, int threads = 1) {
    CpuContext context(threads);
    const Index m = static_cast<Index>(logits.size()) / (replicas * outputs);
    const auto nan = std::numeric_limits<double>::quiet_NaN();
    Evaluation result{std::vector<double>(static_cast<std::size_t>(replicas), nan),
                      std::vector<double>(logits.size(), nan),
                      std::vector<double>(logits.size() * static_cast<std::size_t>(outputs), nan)};
    evaluate_loss(context, {.loss = loss,
                            .total_examples = total > 0 ? total : m,
                            .logits = make_view(logits.data(), replicas, outputs, m),
                            .targets = make_view(targets.data(), replicas, outputs, m),
                            .cost = make_view(result.cost.data(), replicas),
                            .delta = make_view(result.delta.data(), replicas, outputs, m),
                            .curvature = make_view(result.curvature.data(), replicas, outputs, outputs, m)});
    return result;
}

void expect_all_near(const std::vector<double>& actual, const std::vector<double>& expected, double relative,
                     double absolute = 0) {
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i)
        EXPECT_NEAR(actual[i], expected[i], relative * std::fabs(expected[i]) + absolute) << i;
}

// A handful of correctly rounded operations each: 8 ε.
constexpr double few = 8 * eps;

// e^−800 is below the smallest number; elementary.hpp ends at e^−708 = 3.3e-308.
constexpr double underflow = 1e-307;

TEST(Loss, SigmoidByHand) {
    const double log3 = std::log(3.0);  // σ(log 3) = 3/4, σ(−log 3) = 1/4
    const Evaluation one = evaluate(Loss::sigmoid_cross_entropy, {log3}, {1}, 1, 1);
    expect_all_near(one.cost, {std::log(4.0 / 3)}, few);
    expect_all_near(one.delta, {-0.25}, few);
    expect_all_near(one.curvature, {3.0 / 16}, few);
    // Two outputs, two examples: the mean is over all four. Outputs: (log 3, 0), (−log 3, log 3); targets (0,
    // 1), (1, ½).
    const Evaluation two =
        evaluate(Loss::sigmoid_cross_entropy, {log3, 0, -log3, log3}, {0, 1, 1, 0.5}, 1, 2);
    const double log4 = std::log(4.0), half = log4 - log3 / 2;  // −½ log ¾ − ½ log ¼
    expect_all_near(two.cost, {(log4 + log4 / 2 + log4 + half) / 4}, few);
    expect_all_near(two.delta, {0.75 / 4, -0.5 / 4, -0.75 / 4, 0.25 / 4}, few);
    expect_all_near(two.curvature, {3. / 64, 1. / 16, 0, 0, 0, 0, 3. / 64, 3. / 64}, few);
}

TEST(Loss, SoftmaxByHand) {
    // e^z = 1, 2, 5: p = 1/8, 1/4, 5/8. One example, class 1; then a second one with e^z = 1, 1, 2 and soft
    // targets.
    const std::vector<double> z = {0, 0, std::log(2.0), 0, std::log(5.0), std::log(2.0)};
    const std::vector<double> y = {0, 0.25, 1, 0.25, 0, 0.5};
    const Evaluation e = evaluate(Loss::softmax_cross_entropy, z, y, 1, 3);
    const double log2 = std::log(2.0);  // −log ¼ = 2 log 2;  ¼·2 log 2 + ¼·2 log 2 + ½ log 2
    expect_all_near(e.cost, {(2 * log2 + 1.5 * log2) / 2}, few);
    const std::vector<double> delta = {1. / 16, 0, -3. / 8, 0, 5. / 16, 0};
    const std::vector<double> curvature = {
        7. / 128,  3. / 32,  -1. / 64, -1. / 32, -5. / 128, -1. / 16,  // (0, ·)
        -1. / 64,  -1. / 32, 3. / 32,  3. / 32,  -5. / 64,  -1. / 16,  // (1, ·)
        -5. / 128, -1. / 16, -5. / 64, -1. / 16, 15. / 128, 1. / 8};   // (2, ·)
    for (std::size_t i = 0; i < delta.size(); ++i) EXPECT_NEAR(e.delta[i], delta[i], few) << i;
    expect_all_near(e.curvature, curvature, few);
}

TEST(Loss, MeanSquaredErrorByHand) {
    const Evaluation e = evaluate(Loss::mean_squared_error, {1, 2, -3, 0.5}, {0, 2, 1, 0}, 1, 2);
    expect_all_near(e.cost, {(1 + 0 + 16 + 0.25) / 4}, few);
    expect_all_near(e.delta, {2. / 4, 0, -8. / 4, 1. / 4}, few);
    expect_all_near(e.curvature, {0.5, 0.5, 0, 0, 0, 0, 0.5, 0.5}, few);
}

TEST(Loss, ExtremeLogitsOfTheSigmoid) {
    for (const double z : {800.0, 1e6}) {
        const Evaluation right = evaluate(Loss::sigmoid_cross_entropy, {z, -z}, {1, 0}, 1, 1);
        expect_all_near(right.cost, {0}, 0, underflow);
        expect_all_near(right.delta, {0, 0}, 0, underflow);
        expect_all_near(right.curvature, {0, 0}, 0, underflow);
        const Evaluation wrong = evaluate(Loss::sigmoid_cross_entropy, {z, -z}, {0, 1}, 1, 1);
        EXPECT_EQ(wrong.cost[0], z);
        EXPECT_EQ(wrong.delta, (std::vector<double>{0.5, -0.5}));
        expect_all_near(wrong.curvature, {0, 0}, 0, underflow);
    }
    // Well-fitted examples keep their relative precision: cost, gradient and curvature are e^−z (1 +
    // O(e^−z)).
    for (const double z : {40.0, 100.0, 700.0}) {
        const Evaluation e = evaluate(Loss::sigmoid_cross_entropy, {z}, {1}, 1, 1);
        EXPECT_NEAR(e.cost[0] / std::exp(-z), 1, few);
        EXPECT_NEAR(e.delta[0] / std::exp(-z), -1, few);
        EXPECT_NEAR(e.curvature[0] / std::exp(-z), 1, few);
    }
}

TEST(Loss, ExtremeLogitsOfTheSoftmax) {
    const Evaluation right = evaluate(Loss::softmax_cross_entropy, {800, -800, 0}, {1, 0, 0}, 1, 3);
    expect_all_near(right.cost, {0}, 0, underflow);
    expect_all_near(right.delta, {0, 0, 0}, 0, underflow);
    expect_all_near(right.curvature, std::vector<double>(9, 0.0), 0, underflow);
    const Evaluation wrong = evaluate(Loss::softmax_cross_entropy, {800, -800, 0}, {0, 1, 0}, 1, 3);
    EXPECT_EQ(wrong.cost[0], 1600);
    expect_all_near(wrong.delta, {1, -1, 0}, 0, underflow);
    const Evaluation equal = evaluate(Loss::softmax_cross_entropy, {800, 800}, {1, 0}, 1, 2);
    EXPECT_NEAR(equal.cost[0], std::log(2.0), few);
    // p = 1 − e^−z: the two classes' softmax is a sigmoid, to full relative precision for either
    // class.
    for (const double z : {40.0, 100.0, 700.0})
        for (const bool first : {true, false}) {
            const Evaluation e = first ? evaluate(Loss::softmax_cross_entropy, {z, 0}, {1, 0}, 1, 2)
                                       : evaluate(Loss::softmax_cross_entropy, {5, z + 5}, {0, 1}, 1, 2);
            const double s = first ? -1 : 1;
            EXPECT_NEAR(e.cost[0] / std::exp(-z), 1, few);
            EXPECT_NEAR(e.delta[0] / std::exp(-z), s, few);
            EXPECT_NEAR(e.delta[1] / std::exp(-z), -s, few);
            EXPECT_NEAR(e.curvature[0] / std::exp(-z), 1, few);
            EXPECT_NEAR(e.curvature[1] / std::exp(-z), -1, few);
            EXPECT_NEAR(e.curvature[3] / std::exp(-z), 1, few);
        }
}

TEST(Loss, NonFiniteLogitsGiveNonFiniteCost) {
    const double nan = std::nan("");
    for (const Loss loss : all) {
        EXPECT_FALSE(std::isfinite(evaluate(loss, {nan, 1}, {1, 0}, 1, 2).cost[0])) << loss_name(loss);
        EXPECT_FALSE(std::isfinite(evaluate(loss, {1, nan}, {1, 0}, 1, 2).cost[0])) << loss_name(loss);
    }
    EXPECT_FALSE(std::isfinite(evaluate(Loss::mean_squared_error, {1e200}, {0}, 1, 1).cost[0]));
}

using Real = long double;

// Central differences of step 2^-14: error step²/6·(third derivative ≤ 1) = 6e-10; second ones
// step²/12·(fourth derivative ≤ 1) and 1e-18/step² = 3e-10.
TEST(Loss, DerivativesAreThoseOfTheDefinition) {
    const Real d = std::ldexp(Real{1}, -14);
    const std::vector<double> z = {0.3, -1.7, 2.2, 0.9};
    const std::vector<double> y = {0.1, 0.2, 0.7, 0.0};
    for (const Loss loss : all) {
        const Evaluation e = evaluate(loss, z, y, 1, 4);
        const auto at = [&](std::size_t i, int a, std::size_t j, int b) {
            std::vector<Real> point(z.begin(), z.end());
            point[i] += a * d;
            point[j] += b * d;
            return oracle::naive_loss(loss, point, y);
        };
        EXPECT_NEAR(e.cost[0], static_cast<double>(at(0, 0, 0, 0)), few);
        for (std::size_t i = 0; i < 4; ++i) {
            EXPECT_NEAR(e.delta[i], static_cast<double>((at(i, 1, i, 0) - at(i, -1, i, 0)) / (2 * d)), 2e-9);
            for (std::size_t j = 0; j < 4; ++j) {
                const Real second =
                    (at(i, 1, j, 1) - at(i, 1, j, -1) - at(i, -1, j, 1) + at(i, -1, j, -1)) / (4 * d * d);
                EXPECT_NEAR(e.curvature[4 * i + j], static_cast<double>(second), 4e-9)
                    << loss_name(loss) << " " << i << " " << j;
            }
        }
    }
}

/// Random logits and one-hot targets [R, C, m].
struct Batch {
    Index replicas, outputs, examples;
    std::vector<double> logits, targets;
};

Batch random_batch(Index replicas, Index outputs, Index examples) {
    Batch batch{replicas, outputs, examples, {}, {}};
    const RandomStream random(11, 0);
    for (Index i = 0; i < replicas * outputs * examples; ++i) {
        const Index output = i / examples % outputs, label = i % examples % outputs;
        batch.logits.push_back(3 * random.normal(static_cast<std::uint64_t>(i)));
        batch.targets.push_back(output == label ? 1.0 : 0.0);
    }
    return batch;
}

// 1300 examples are three chunks; for sums of m·C terms of one sign m C ε is a wide bound.
TEST(Loss, CostIsTheMeanOverExamples) {
    for (const Loss loss : all)
        for (const Index examples : {1, 511, 512, 513, 1300}) {
            const Batch b = random_batch(2, 3, examples);
            const Evaluation e = evaluate(loss, b.logits, b.targets, 2, 3);
            for (Index r = 0; r < 2; ++r) {
                Real mean = 0;
                for (Index i = 0; i < examples; ++i) {
                    std::vector<Real> z;
                    std::vector<double> y;
                    for (Index c = 0; c < 3; ++c) {
                        const auto at = static_cast<std::size_t>((r * 3 + c) * examples + i);
                        z.push_back(b.logits[at]);
                        y.push_back(b.targets[at]);
                    }
                    mean += oracle::naive_loss(loss, z, y) / static_cast<Real>(examples);
                }
                const auto expected = static_cast<double>(mean);
                EXPECT_NEAR(e.cost[static_cast<std::size_t>(r)], expected,
                            3 * static_cast<double>(examples + 8) * eps * expected);
            }
        }
}

TEST(Loss, PartsAddUpToTheWhole) {
    for (const Loss loss : all) {
        const Index outputs = 3, m = 700, first = 123;
        const Batch b = random_batch(1, outputs, m);
        const Evaluation whole = evaluate(loss, b.logits, b.targets, 1, outputs);
        CpuContext context(2);
        double cost = 0;
        std::vector<double> delta(b.logits.size()), curvature(b.logits.size() * 3);
        const auto z = make_view(b.logits.data(), 1, outputs, m),
                   y = make_view(b.targets.data(), 1, outputs, m);
        for (const auto& [begin, count] : {std::pair{Index{0}, first}, {first, m - first}}) {
            double part = 0;  // strided views: the parts of arrays of all examples
            evaluate_loss(
                context,
                {.loss = loss,
                 .total_examples = m,
                 .logits = z.slice(2, begin, count),
                 .targets = y.slice(2, begin, count),
                 .cost = make_view(&part, 1),
                 .delta = make_view(delta.data(), 1, outputs, m).slice(2, begin, count),
                 .curvature = make_view(curvature.data(), 1, outputs, outputs, m).slice(3, begin, count)});
            cost += part;
        }
        EXPECT_NEAR(cost, whole.cost[0], 3 * m * eps * cost);
        EXPECT_EQ(delta, whole.delta);  // the same numbers, whatever the part
        EXPECT_EQ(curvature, whole.curvature);
    }
}

TEST(Loss, SharedTargetsAndAbsentOutputs) {
    CpuContext context(2);
    const Index replicas = 3, outputs = 2, m = 600;
    const Batch b = random_batch(replicas, outputs, m);
    for (const Loss loss : all) {
        const std::vector<double> first(b.targets.begin(), b.targets.begin() + outputs * m);
        std::vector<double> repeated;
        for (Index r = 0; r < replicas; ++r) repeated.insert(repeated.end(), first.begin(), first.end());
        const Evaluation expected = evaluate(loss, b.logits, repeated, replicas, outputs);
        LossEvaluation<Space::host> arguments = {
            .loss = loss,
            .total_examples = m,
            .logits = make_view(b.logits.data(), replicas, outputs, m),
            .targets = share(make_view(first.data(), outputs, m), replicas),
            .cost = {},
            .delta = {},
            .curvature = {}};
        evaluate_loss(context, arguments);  // nothing asked for
        std::vector<double> cost(replicas), delta(b.logits.size());
        arguments.cost = make_view(cost.data(), replicas);
        evaluate_loss(context, arguments);
        EXPECT_EQ(cost, expected.cost);
        arguments.cost = {};
        arguments.delta = make_view(delta.data(), replicas, outputs, m);
        evaluate_loss(context, arguments);
        EXPECT_EQ(delta, expected.delta);
    }
}

TEST(Loss, SameBitsForAnyThreadsAndReplicas) {
    const Batch b = random_batch(3, 4, 1300);
    const auto size = static_cast<std::size_t>(4 * 1300);
    for (const Loss loss : all) {
        const Evaluation one = evaluate(loss, b.logits, b.targets, 3, 4);
        for (const int threads : {2, 3}) {
            const Evaluation several = evaluate(loss, b.logits, b.targets, 3, 4, 0, threads);
            EXPECT_EQ(one.cost, several.cost);
            EXPECT_EQ(one.delta, several.delta);
            EXPECT_EQ(one.curvature, several.curvature);
        }
        for (std::size_t r = 0; r < 3; ++r) {
            const auto part = [&](const std::vector<double>& all_replicas) {
                const auto begin = all_replicas.begin() + static_cast<Index>(r * size);
                return std::vector<double>(begin, begin + static_cast<Index>(size));
            };
            const Evaluation alone = evaluate(loss, part(b.logits), part(b.targets), 1, 4);
            EXPECT_EQ(alone.cost[0], one.cost[r]);
            EXPECT_EQ(alone.delta, part(one.delta));
        }
    }
}

TEST(Loss, ShapeMismatchHasTheNumbers) {
    CpuContext context(1);
    std::vector<double> numbers(12);
    const auto message = [&](Index outputs, Index examples) -> std::string {
        try {
            evaluate_loss(context, {.loss = Loss::mean_squared_error,
                                    .total_examples = 4,
                                    .logits = make_view(numbers.data(), 1, 3, 4),
                                    .targets = make_view(numbers.data(), 1, outputs, examples),
                                    .cost = {},
                                    .delta = {},
                                    .curvature = {}});
        } catch (const InputError& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(message(2, 4), "evaluate_loss: targets, outputs: expected 3, got 2");
    EXPECT_EQ(message(3, 2), "evaluate_loss: targets, examples: expected 4, got 2");
    EXPECT_EQ(message(3, 4), "");
}

struct Score {
    double accuracy, zero_residuals;
};

Score score(Loss loss, const std::vector<double>& logits, const std::vector<double>& targets, Index outputs,
            double tolerance = 1e-5) {
    CpuContext context(1);
    const Index m = static_cast<Index>(logits.size()) / outputs;
    Score result{-1, -1};
    score_outputs(context, {.loss = loss,
                            .zero_residual_tolerance = tolerance,
                            .logits = make_view(logits.data(), 1, outputs, m),
                            .targets = make_view(targets.data(), 1, outputs, m),
                            .accuracy = make_view(&result.accuracy, 1),
                            .zero_residuals = make_view(&result.zero_residuals, 1)});
    return result;
}

TEST(Score, OneOutputHasAThresholdOfOneHalf) {
    // ŷ > ½ is z > 0; z = 0 is class 0.
    EXPECT_EQ(score(Loss::sigmoid_cross_entropy, {1, -1, 0, 0, 3}, {1, 0, 0, 1, 0}, 1).accuracy, 3.0 / 5);
    EXPECT_EQ(score(Loss::mean_squared_error, {0.6, 0.4, 0.5, 0.5, 7}, {1, 0, 0, 1, 0}, 1).accuracy, 3.0 / 5);
}

TEST(Score, LargestOutputAndTheFirstOfEquals) {
    // Examples: class 2 right; tie between 0 and 1, class 0: right; the same tie, class 1: wrong; all equal,
    // class 0.
    const std::vector<double> logits = {-1, 2, 2, 5,  //
                                        0,  2, 2, 5,  //
                                        3,  1, 1, 5};
    const std::vector<double> targets = {0, 1, 0, 1,  //
                                         0, 0, 1, 0,  //
                                         1, 0, 0, 0};
    for (const Loss loss : all)
        EXPECT_EQ(score(loss, logits, targets, 3).accuracy, 3.0 / 4) << loss_name(loss);
}

TEST(Score, CountsZeroResiduals) {
    // σ(12) = 1 − 6.1e-6: within 1e-5; σ(11) = 1 − 1.7e-5: not.
    const Score sigmoid =
        score(Loss::sigmoid_cross_entropy, {12, 11, -12, -11, 12, 0}, {1, 1, 0, 0, 0, 0.5}, 1);
    EXPECT_EQ(sigmoid.zero_residuals, 3.0 / 6);
    // A residual of exactly the tolerance counts.
    EXPECT_EQ(score(Loss::mean_squared_error, {0.25, 0.75, 1.0, 2.0}, {0, 1, 1, 1}, 1, 0.25).zero_residuals,
              3.0 / 4);
    // Two outputs, two examples: p = (1 − 4.2e-18, 4.2e-18) and (½, ½).
    EXPECT_EQ(score(Loss::softmax_cross_entropy, {40, 0, 0, 0}, {1, 1, 0, 0}, 2).zero_residuals, 2.0 / 4);
}

TEST(Score, EachReplicaOnItsOwn) {
    CpuContext context(2);
    const std::vector<double> logits = {1, -1, -1, 1, 1, 1}, targets = {1, 0};
    std::vector<double> accuracy(3), zeros(3);
    score_outputs(context, {.loss = Loss::sigmoid_cross_entropy,
                            .zero_residual_tolerance = 0.3,  // 1 − σ(1) = 0.27
                            .logits = make_view(logits.data(), 3, 1, 2),
                            .targets = share(make_view(targets.data(), 1, 2), 3),
                            .accuracy = make_view(accuracy.data(), 3),
                            .zero_residuals = make_view(zeros.data(), 3)});
    EXPECT_EQ(accuracy, (std::vector<double>{1, 0, 0.5}));
    EXPECT_EQ(zeros, (std::vector<double>{1, 0, 0.5}));
}

}  // namespace
}  // namespace espectra
