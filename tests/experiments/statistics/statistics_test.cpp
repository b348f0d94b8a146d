#include "espectra/experiments/statistics/statistics.hpp"

#include "espectra/experiments/store/run_statistics.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace espectra {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(Quantile, InterpolatesBetweenNeighbours) {
    const std::vector<double> values = {1, 2, 4, 8};
    EXPECT_EQ(quantile(values, 0), 1);
    EXPECT_EQ(quantile(values, 1), 8);
    EXPECT_EQ(quantile(values, 0.5), 3);
    EXPECT_EQ(quantile(values, 0.25), 1.75);
    EXPECT_EQ(quantile(std::vector<double>{5}, 0.975), 5);
    EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
}

TEST(Fraction, IsWilsonsInterval) {
    // 7 of 20: the roots of (p − 0.35)² = z² p (1 − p) / 20 in p.
    const double z = 1.959963984540054, n = 20, p = 0.35;
    const double a = 1 + z * z / n, b = -(2 * p + z * z / n), c = p * p;
    const double root = std::sqrt(b * b - 4 * a * c);
    const Estimate estimate = fraction(7, 20);
    EXPECT_EQ(estimate.value, p);
    EXPECT_NEAR(estimate.low, (-b - root) / (2 * a), 1e-15);
    EXPECT_NEAR(estimate.high, (-b + root) / (2 * a), 1e-15);
    EXPECT_EQ(fraction(0, 5).low, 0);
    EXPECT_EQ(fraction(5, 5).high, 1);
    EXPECT_TRUE(std::isnan(fraction(0, 0).value));
}

/// Percentile interval of the medians of resamples, drawn with another generator.
std::pair<double, double> resampled_interval(const std::vector<double>& sample, int resamples) {
    std::mt19937_64 generator(5);
    std::uniform_int_distribution<std::size_t> index(0, sample.size() - 1);
    std::vector<double> medians;
    for (int b = 0; b < resamples; ++b) {
        std::vector<double> drawn;
        for (std::size_t i = 0; i < sample.size(); ++i) drawn.push_back(sample[index(generator)]);
        std::ranges::sort(drawn);
        medians.push_back(quantile(drawn, 0.5));
    }
    return percentile_interval(medians);
}

TEST(MedianBootstrap, IsThatOfResamplesWrittenOut) {
    for (const Index size : {1, 2, 9, 24, 101}) {
        const RandomStream random(3, 1);
        std::vector<double> sample;
        for (Index i = 0; i < size; ++i) sample.push_back(random.normal(static_cast<std::uint64_t>(i)));
        std::ranges::sort(sample);
        const Estimate estimate = MedianBootstrap(size).estimate(sample);
        const auto [low, high] = resampled_interval(sample, 100'000);
        EXPECT_EQ(estimate.value, quantile(sample, 0.5));
        // Among 2000 resamples 2.5 % ± 0.35 % (one standard deviation) lie below the lower end: within four
        // of them, between the quantiles of 1.1 % and 3.9 % of very many resamples, which are few ranks
        // apart.
        const double spread = quantile(sample, 0.75) - quantile(sample, 0.25);
        const double bound = 0.75 * spread / std::sqrt(static_cast<double>(size));
        EXPECT_NEAR(estimate.low, low, bound) << size;
        EXPECT_NEAR(estimate.high, high, bound) << size;
        EXPECT_LE(estimate.low, estimate.value);
        EXPECT_GE(estimate.high, estimate.value);
    }
}

TEST(MedianBootstrap, CoversTheMedianAsOftenAsItSays) {
    const RandomStream random(8, 1);
    Statistics statistics;
    constexpr int trials = 2000, size = 32;
    int covered = 0;
    for (int t = 0; t < trials; ++t) {
        std::vector<double> sample;
        for (int i = 0; i < size; ++i)
            sample.push_back(random.normal(static_cast<std::uint64_t>(t * size + i)));
        const Estimate median = statistics.quartiles(sample).median;
        covered += median.low <= 0 && median.high >= 0;
    }
    // The percentile bootstrap of a median is close to its nominal coverage, a little below for small
    // samples; the standard deviation of the count is 0.5 %.
    EXPECT_GT(covered, 0.92 * trials);
    EXPECT_LT(covered, 0.975 * trials);
}

TEST(Statistics, LeavesOutWhatIsNotANumber) {
    Statistics statistics;
    const Quartiles quartiles = statistics.quartiles({nan, 3, 1, nan, 2});
    EXPECT_EQ(quartiles.count, 3);
    EXPECT_EQ(quartiles.median.value, 2);
    EXPECT_EQ(quartiles.first, 1.5);
    EXPECT_EQ(quartiles.third, 2.5);
    EXPECT_TRUE(std::isnan(statistics.quartiles({nan}).median.value));
}

TEST(Statistics, SpreadOfMedians) {
    Statistics statistics;
    const Estimate spread = statistics.spread_of_medians({{5, 5, 5}, {1, 1}, {}, {nan, 7, 7, 7}});
    EXPECT_EQ(spread.value, 6);
    EXPECT_EQ(spread.low, 6);
    EXPECT_EQ(spread.high, 6);
    const Estimate wide = statistics.spread_of_medians({{0, 1, 2, 3, 4, 5, 6, 7}, {10, 11, 12, 13, 14, 15}});
    EXPECT_EQ(wide.value, 9);
    EXPECT_LT(wide.low, 9);
    EXPECT_GT(wide.high, 9);
}

TEST(PairedComparison, ByHand) {
    Statistics statistics;
    const std::vector<double> a = {1, 2, 3, 4, nan}, b = {2, 2, 5, 3, 0};
    const PairedComparison comparison = compare_pairs(a, b, statistics);
    EXPECT_EQ(comparison.count, 4);
    EXPECT_EQ(comparison.difference.value, -0.5);  // of −2, −1, 0, 1
    EXPECT_EQ(comparison.lower.value, 2.5 / 4);
    EXPECT_EQ(comparison.lower.low, fraction(2, 4).low);
    EXPECT_EQ(comparison.lower.high, fraction(3, 4).high);
    EXPECT_TRUE(std::isnan(compare_pairs({}, {}, statistics).difference.value));
}

TEST(ConstantCost, IsTheCostOfTheBestConstantOutput) {
    const auto output = [](Loss loss, double mean) {  // the best constant
        switch (loss) {
            case Loss::sigmoid_cross_entropy:
                return std::log(mean / (1 - mean));
            case Loss::softmax_cross_entropy:
                return std::log(mean);
            case Loss::mean_squared_error:
                return mean;
        }
        return 0.0;
    };
    for (const Loss loss : all_values<Loss>) {
        test::TemporaryFolder folder;
        std::ofstream(folder / "data.h5.csv") << "x,y\n1,0\n2,1\n3,2\n4,1\n5,1\n6,0\n7,1\n";
        std::ofstream(folder / "r.toml")
            << "data = { source = \"data.h5.csv\", test_fraction = 0 }\n"
            << "network = { hidden = [2], loss = \"" << loss_name(loss) << "\" }\n";
        const auto networks = plan_networks(load_experiment(folder / "r.toml", {}));
        const DataSet& data = *networks.front().data;
        // A network in which only the biases of the output are not zero.
        const Network network({.widths = {1, data.outputs}, .hidden_activations = {}, .loss = loss});
        CpuContext context(1);
        Evaluator<CpuContext> evaluator(context, network,
                                        {make_view(data.x_train.data(), 1, data.train_examples),
                                         make_view(data.y_train.data(), data.outputs, data.train_examples)},
                                        1);
        std::vector<double> theta(static_cast<std::size_t>(2 * data.outputs), 0.0);
        for (Index c = 0; c < data.outputs; ++c) {
            double mean = 0;
            for (Index e = 0; e < data.train_examples; ++e)
                mean += data.y_train[static_cast<std::size_t>(c * data.train_examples + e)] / 7;
            theta[static_cast<std::size_t>(data.outputs + c)] = output(loss, mean);
        }
        evaluator.evaluate(make_view(static_cast<const double*>(theta.data()), 1, 2 * data.outputs));
        EXPECT_NEAR(constant_cost(networks.front()), evaluator.cost()(0), 1e-14) << loss_name(loss);
    }
}

}  // namespace
}  // namespace espectra
