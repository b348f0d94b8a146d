// Losses and scores on a device: with the arithmetic and the sums of the CPU backend, so the same bits.

#include "espectra/kernels/loss.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include <cmath>
#include <limits>
#include <string>

namespace espectra::test {
namespace {

struct LossShape {
    Index replicas, outputs, examples;
};

/// Around chunks of 512 examples and sixteen lanes, and more replicas than one block adds the costs of.
constexpr LossShape loss_shapes[] = {{1, 1, 1},   {2, 2, 15},  {1, 3, 16},   {1, 2, 17},  {2, 3, 511},
                                     {1, 1, 512}, {1, 2, 513}, {2, 1, 1025}, {130, 2, 3}, {1, 65, 2}};

/// Logits of every size: close to 0, of order 1, saturated, beyond the range of exp, and equal ones.
Values logits_of(const LossShape& s) {
    const RandomStream random(23, 1);
    Values values;
    for (Index i = 0; i < s.replicas * s.outputs * s.examples; ++i) {
        const double x = random.normal(static_cast<std::uint64_t>(i));
        const double scale[] = {1.0, 1e-9, 30.0, 1000.0, 1e300, 0.0};
        values.push_back(x * scale[i / s.outputs % 6]);
    }
    return values;
}

/// Classes, one for each example; with one output in [0, 1].
Values targets_of(const LossShape& s) {
    const RandomStream random(23, 2);
    Values values(static_cast<std::size_t>(s.replicas * s.outputs * s.examples), 0.0);
    const auto view = make_view(values.data(), s.replicas, s.outputs, s.examples);
    for (Index r = 0; r < s.replicas; ++r)
        for (Index e = 0; e < s.examples; ++e) {
            const double x = random.uniform(static_cast<std::uint64_t>(r * s.examples + e));
            view(r, static_cast<Index>(x * static_cast<double>(s.outputs)), e) =
                s.outputs == 1 && e % 3 == 2 ? x : 1.0;
        }
    return values;
}

enum class Wanted { all, cost, derivatives };

template <class C>
Values loss_of(C& context, Loss loss, const LossShape& s, const Values& z, const Values& y, Wanted wanted,
               Index total_examples) {
    const auto& [R, outputs, m] = s;
    auto logits = sliced(context, z, R, outputs, m), targets = sliced(context, y, R, outputs, m),
         delta = sliced_results(context, R, outputs, m);
    auto curvature = sliced_results(context, R, outputs, outputs, m);
    auto cost = sliced_results(context, R);
    evaluate_loss(context, {.loss = loss,
                            .total_examples = total_examples,
                            .logits = logits.view(),
                            .targets = targets.view(),
                            .cost = given(wanted != Wanted::derivatives, cost.view()),
                            .delta = given(wanted != Wanted::cost, delta.view()),
                            .curvature = given(wanted != Wanted::cost, curvature.view())});
    Values results;
    cost.append_to(results);
    delta.append_to(results);
    curvature.append_to(results);
    return results;
}

const auto expect_identical = [](const Values& expected, const Values& actual) {
    EXPECT_TRUE(identical(expected, actual));
};

TYPED_TEST(Device, Losses) {
    for (const Loss loss : all_values<Loss>)
        for (const LossShape& shape : loss_shapes)
            for (const Wanted wanted : {Wanted::all, Wanted::cost, Wanted::derivatives}) {
                if (wanted != Wanted::all && shape.examples > 17) continue;
                SCOPED_TRACE(std::string(loss_name(loss)) + ", " + std::to_string(shape.outputs) +
                             " outputs, " + std::to_string(shape.examples) + " examples");
                const Values z = logits_of(shape), y = targets_of(shape);
                const Index total = shape.examples + (wanted == Wanted::derivatives ? 5 : 0);
                this->on_both([&](auto& c) { return loss_of(c, loss, shape, z, y, wanted, total); },
                              expect_identical);
            }
}

template <class C>
Values scores_of(C& context, Loss loss, const LossShape& s, const Values& z, const Values& y) {
    const auto& [R, outputs, m] = s;
    auto logits = sliced(context, z, R, outputs, m), targets = sliced(context, y, R, outputs, m);
    auto accuracy = sliced_results(context, R), zero_residuals = sliced_results(context, R);
    score_outputs(context, {.loss = loss,
                            .zero_residual_tolerance = 1e-5,
                            .logits = logits.view(),
                            .targets = targets.view(),
                            .accuracy = accuracy.view(),
                            .zero_residuals = zero_residuals.view()});
    Values results;
    accuracy.append_to(results);
    zero_residuals.append_to(results);
    return results;
}

TYPED_TEST(Device, Scores) {
    for (const Loss loss : all_values<Loss>)
        for (const LossShape& shape : loss_shapes) {
            SCOPED_TRACE(std::string(loss_name(loss)) + ", " + std::to_string(shape.outputs) + " outputs, " +
                         std::to_string(shape.examples) + " examples");
            const Values z = logits_of(shape), y = targets_of(shape);
            this->on_both([&](auto& c) { return scores_of(c, loss, shape, z, y); }, expect_identical);
        }
}

// Logits and targets that are not finite, or whose loss overflows: in one output of each example in turn.
TYPED_TEST(Device, LossesThatAreNotFinite) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const LossShape shape{2, 3, 21};
    for (const Loss loss : all_values<Loss>) {
        SCOPED_TRACE(std::string(loss_name(loss)));
        Values z = logits_of(shape), y = targets_of(shape);
        const double values[] = {std::nan(""), infinity, -infinity, 1e308, -1e308, 0.0, -0.0};
        const auto logits = make_view(z.data(), 2, 3, 21), targets = make_view(y.data(), 2, 3, 21);
        for (Index e = 0; e < 21; ++e) logits(0, e % 3, e) = values[e % 7];
        for (Index e = 0; e < 3; ++e) targets(1, e, e) = values[e];
        this->on_both([&](auto& c) { return loss_of(c, loss, shape, z, y, Wanted::all, 21); },
                      expect_identical);
        this->on_both([&](auto& c) { return scores_of(c, loss, shape, z, y); }, expect_identical);
    }
}

}  // namespace
}  // namespace espectra::test
