// Optimizers on a device: the arithmetic of the CPU backend, so the same bits.

#include "espectra/kernels/optimizer.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

/// Learning rates of each replica and epoch of a segment.
template <class C>
auto rates_of(C& context, Index replicas) {
    Values values;
    for (Index i = 0; i < replicas * rate_segment; ++i) values.push_back(0.1 / static_cast<double>(1 + i));
    return sliced(context, values, replicas, rate_segment);
}

/// Steps of both optimizers in epoch t; with `shared` all replicas have the rates of the first.
template <class C>
Values steps(C& context, Index replicas, Index parameters, std::int64_t t, bool shared) {
    const RandomStream random(5, 1);
    Values numbers;
    for (Index i = 0; i < replicas * parameters; ++i)
        numbers.push_back(random.normal(static_cast<std::uint64_t>(i)));
    Values squares = numbers;
    for (double& value : squares) value *= value;
    auto rates = rates_of(context, replicas);
    auto counter = sliced(context, std::vector<std::int64_t>{t}, 1);
    auto gradient = sliced(context, numbers, replicas, parameters);
    auto first = sliced(context, numbers, replicas, parameters),
         second = sliced(context, squares, replicas, parameters),
         theta = sliced(context, squares, replicas, parameters),
         descending = sliced(context, squares, replicas, parameters);
    const View<const double, 2, C::space> rates_view =
        shared ? share(rates.view()[0], replicas) : rates.view();
    adam_step(context, {.beta1 = 0.9,
                        .beta2 = 0.999,
                        .epsilon = 1e-8,
                        .rates = rates_view,
                        .counter = counter.view(),
                        .gradient = gradient.view(),
                        .theta = theta.view(),
                        .first_moment = first.view(),
                        .second_moment = second.view()});
    gradient_descent_step(context, {.rates = rates_view,
                                    .counter = counter.view(),
                                    .gradient = gradient.view(),
                                    .theta = descending.view()});
    Values results;
    for (auto* array : {&theta, &first, &second, &descending}) array->append_to(results);
    return results;
}

// Around 256 parameters of all replicas together, and around the end of a segment of rates.
TYPED_TEST(Device, OptimizerSteps) {
    for (const auto& [replicas, parameters] :
         {std::pair<Index, Index>{1, 1}, {1, 255}, {2, 128}, {1, 257}, {130, 3}, {3, 300}})
        for (const std::int64_t t : {0, 3, 511, 512, 1700}) {
            SCOPED_TRACE(std::to_string(replicas) + " × " + std::to_string(parameters) + ", epoch " +
                         std::to_string(t));
            this->on_both([&](auto& c) { return steps(c, replicas, parameters, t, t == 3); },
                          [](const Values& x, const Values& y) { EXPECT_TRUE(identical(x, y)); });
        }
}

TYPED_TEST(Device, DivergenceIsMarkedOnce) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const Index replicas : {1, 255, 256, 257, 600}) {
        const auto mark = [&](auto& context) {
            Values costs;
            std::vector<std::int64_t> marks;
            const double values[] = {1.0, std::nan(""), infinity, -infinity, 0.0, 1e308};
            for (Index r = 0; r < replicas; ++r) {
                costs.push_back(values[(replicas - 1 - r) % 6]);
                marks.push_back(r % 4 == 1 ? 2 : -1);
            }
            auto cost = sliced(context, costs, replicas);
            auto counter = sliced(context, std::vector<std::int64_t>{41}, 1);
            auto first = sliced(context, marks, replicas);
            advance_counter(context, {counter.view(), 5});
            mark_divergence(context, {cost.view(), counter.view(), first.view()});
            Values results;
            first.append_to(results);
            counter.append_to(results);
            return results;
        };
        this->on_both(mark, [&](const Values& expected, const Values& actual) {
            EXPECT_EQ(actual, expected);
            EXPECT_EQ(actual.back(), 46);
            EXPECT_EQ(actual[static_cast<std::size_t>(replicas - 1)], -1);
            if (replicas > 3) {
                EXPECT_EQ(actual[static_cast<std::size_t>(replicas - 3)], (replicas - 3) % 4 == 1 ? 2 : 46);
            }
        });
    }
}

}  // namespace
}  // namespace espectra::test
