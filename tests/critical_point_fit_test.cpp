// α against cost at critical points, with made-up points whose law is known.

#include "espectra/experiments/critical_point_fit.hpp"

#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace espectra {
namespace {

struct Truth {
    double coefficient = 0.4, critical_cost = 0.25, exponent = 1.5, noise = 0;
};

/// Points of `replicas` with costs evenly spread from 0.1 to 1.1, a seventh of them minima.
std::vector<IndexAtCost> points(const Truth& truth, Index replicas, Index each, std::uint64_t seed = 1) {
    const RandomStream random(seed, 100);
    std::vector<IndexAtCost> list;
    const Index count = replicas * each;
    for (Index i = 0; i < count; ++i) {
        IndexAtCost point;
        point.replica = i % replicas;
        point.cost = 0.1 + static_cast<double>(i) / static_cast<double>(count - 1);
        const double law =
            truth.coefficient * std::pow(std::max(0.0, point.cost - truth.critical_cost), truth.exponent);
        point.alpha = std::max(0.0, law + truth.noise * random.normal(static_cast<std::uint64_t>(i)));
        list.push_back(point);
    }
    return list;
}

TEST(IndexLaw, IsFoundExactlyWithoutNoise) {
    const IndexLaw fixed = fit_index_law(points({}, 5, 8), theoretical_exponent);
    ASSERT_TRUE(fixed.found());
    EXPECT_EQ(fixed.exponent.value, 1.5);
    // Golden sections find a minimum of squares to the square root of rounding.
    EXPECT_NEAR(fixed.critical_cost.value, 0.25, 1e-7);
    EXPECT_NEAR(fixed.coefficient.value, 0.4, 1e-6);
    EXPECT_LE(fixed.residual, 1e-7);
    EXPECT_FALSE(fixed.at_limit);
    for (const double exponent : {0.5, 1.0, 1.5, 2.2}) {
        const IndexLaw free = fit_index_law(points({.exponent = exponent}, 5, 8), std::nullopt);
        EXPECT_NEAR(free.exponent.value, exponent, 1e-4) << exponent;
        EXPECT_NEAR(free.critical_cost.value, 0.25, 1e-4) << exponent;
        EXPECT_NEAR(free.coefficient.value, 0.4, 1e-4) << exponent;
    }
    // Without noise each resample has the same law.
    EXPECT_NEAR(fixed.critical_cost.low, 0.25, 1e-6);
    EXPECT_NEAR(fixed.critical_cost.high, 0.25, 1e-6);
}

TEST(IndexLaw, DoesNotDependOnUnits) {
    auto list = points({.noise = 0.01}, 10, 5);
    const IndexLaw one = fit_index_law(list, theoretical_exponent);
    for (IndexAtCost& point : list) point.cost *= 1e6;
    const IndexLaw other = fit_index_law(list, theoretical_exponent);
    EXPECT_NEAR(other.critical_cost.value / one.critical_cost.value, 1e6, 1);
    EXPECT_NEAR(other.coefficient.value / one.coefficient.value, 1e-9, 1e-15);
    EXPECT_NEAR(other.residual, one.residual, 1e-9);
}

TEST(IndexLaw, AWrongExponentFitsWorse) {
    const auto list = points({.exponent = 0.7}, 5, 8);
    const IndexLaw fixed = fit_index_law(list, theoretical_exponent),
                   free = fit_index_law(list, std::nullopt);
    EXPECT_GT(fixed.residual, 100 * free.residual);
    EXPECT_LT(fixed.critical_cost.value, 0.25 - 0.05);
}

TEST(IndexLaw, IntervalsHoldTheTruthAsOftenAsTheySay) {
    int fixed_hits = 0, free_hits = 0;
    constexpr int trials = 20;
    for (int trial = 0; trial < trials; ++trial) {
        const auto list = points({.noise = 0.02}, 25, 4, static_cast<std::uint64_t>(trial));
        const IndexLaw fixed = fit_index_law(list, theoretical_exponent),
                       free = fit_index_law(list, std::nullopt);
        const auto holds = [](const Estimate& e, double truth) { return e.low <= truth && truth <= e.high; };
        EXPECT_LE(fixed.critical_cost.low, fixed.critical_cost.value);
        EXPECT_GE(fixed.critical_cost.high, fixed.critical_cost.value);
        fixed_hits += holds(fixed.critical_cost, 0.25);
        free_hits += holds(free.exponent, 1.5);
    }
    // 19 of 20 are expected; at a coverage of 95 %, fewer than 14 have a probability of 4e-5. Percentile
    // intervals of 25 replicas cover somewhat less than they say.
    EXPECT_GE(fixed_hits, 14);
    EXPECT_GE(free_hits, 14);
    EXPECT_LT(fixed_hits + free_hits, 2 * trials);
}

TEST(IndexLaw, RepeatsToTheBit) {
    const auto list = points({.noise = 0.05}, 8, 4);
    const IndexLaw one = fit_index_law(list, std::nullopt), other = fit_index_law(list, std::nullopt);
    EXPECT_EQ(one.exponent.low, other.exponent.low);
    EXPECT_EQ(one.coefficient.high, other.coefficient.high);
}

TEST(IndexLaw, IsNotMadeUp) {
    EXPECT_FALSE(fit_index_law({}, theoretical_exponent).found());
    EXPECT_FALSE(fit_index_law(points({}, 1, 3), std::nullopt).found());
    std::vector<IndexAtCost> minima = points({}, 5, 8);
    for (IndexAtCost& point : minima) point.alpha = 0;
    EXPECT_FALSE(fit_index_law(minima, theoretical_exponent).found());
    std::vector<IndexAtCost> same = points({}, 5, 8);
    for (IndexAtCost& point : same) point.cost = 0.5;
    EXPECT_FALSE(fit_index_law(same, theoretical_exponent).found());
    // One replica has a law, but says nothing about others.
    const IndexLaw alone = fit_index_law(points({}, 1, 20), theoretical_exponent);
    EXPECT_TRUE(alone.found());
    EXPECT_TRUE(std::isnan(alone.critical_cost.low));
    // α that does not depend on the cost.
    std::vector<IndexAtCost> flat = points({}, 5, 8);
    for (IndexAtCost& point : flat) point.alpha = 0.3;
    EXPECT_TRUE(fit_index_law(flat, theoretical_exponent).at_limit);
    EXPECT_TRUE(fit_index_law(flat, std::nullopt).at_limit);
}

}  // namespace
}  // namespace espectra
