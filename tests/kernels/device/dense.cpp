// Dense layers and their tangents on a device: slices of arrays, and shapes on both sides of the limits of
// the kernels, with whole numbers, which have to give equal numbers.

#include "espectra/kernels/dense.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include <string>

namespace espectra::test {
namespace {

struct DenseShape {
    Index replicas, units, inputs, examples;

    std::string text() const {
        return std::to_string(replicas) + " × " + std::to_string(units) + " units, " +
               std::to_string(inputs) + " inputs, " + std::to_string(examples) + " examples";
    }
};

// Around the limits: 16 inputs, above which layers are computed by tiles; tiles of 64 × 64 with slabs of
// depth 16; 256 and 512 examples at a time.
constexpr DenseShape dense_shapes[] = {
    {1, 1, 1, 1},    {3, 2, 2, 16},   {2, 3, 16, 513}, {1, 2, 15, 512}, {2, 1, 3, 1025}, {1, 1, 17, 1},
    {2, 5, 17, 31},  {2, 63, 17, 65}, {1, 64, 32, 64}, {1, 65, 33, 63}, {1, 2, 65, 257}, {2, 3, 64, 256},
    {1, 2, 63, 255}, {1, 130, 18, 2}, {130, 1, 2, 3},  {5, 1, 17, 3},
};

template <class C>
Values forward(C& context, const DenseShape& s, Activation activation, bool beta, int derivatives) {
    const auto& [R, n, k, m] = s;
    auto weights = sliced(context, whole_numbers(R * n * k, 1), R, n, k);
    auto bias = sliced(context, whole_numbers(R * n, 2), R, n);
    auto betas = sliced(context, whole_numbers(R * n, 3), R, n);
    auto input = sliced(context, whole_numbers(R * k * m, 4), R, k, m);
    auto output = sliced_results(context, R, n, m), d_h = sliced_results(context, R, n, m),
         d_beta = sliced_results(context, R, n, m), d_hh = sliced_results(context, R, n, m),
         d_hbeta = sliced_results(context, R, n, m), d_betabeta = sliced_results(context, R, n, m);
    const bool first = derivatives >= 1, second = derivatives >= 2;
    dense_forward(context, {.activation = activation,
                            .weights = weights.view(),
                            .bias = bias.view(),
                            .beta = given(beta, betas.view()),
                            .fixed_beta = 2.0,
                            .input = input.view(),
                            .output = output.view(),
                            .derivatives = {.d_h = given(first, d_h.view()),
                                            .d_beta = given(first && beta, d_beta.view()),
                                            .d_hh = given(second, d_hh.view()),
                                            .d_hbeta = given(second && beta, d_hbeta.view()),
                                            .d_betabeta = given(second && beta, d_betabeta.view())}});
    Values results;
    for (auto* array : {&output, &d_h, &d_beta, &d_hh, &d_hbeta, &d_betabeta}) array->append_to(results);
    return results;
}

TYPED_TEST(Device, ForwardLayers) {
    using enum Activation;
    for (const DenseShape& shape : dense_shapes)
        for (const auto& [activation, beta, derivatives] :
             {std::tuple{linear, true, 2}, {linear, false, 0}, {relu, false, 1}, {leaky_relu, false, 2}}) {
            SCOPED_TRACE(shape.text() + ", " + std::string(activation_name(activation)));
            this->on_both([&](auto& c) { return forward(c, shape, activation, beta, derivatives); },
                          [](const Values& x, const Values& y) { EXPECT_TRUE(equal(x, y)); });
        }
}

template <class C>
Values backward(C& context, const DenseShape& s, bool gradients, bool beta, bool input_delta) {
    const auto& [R, n, k, m] = s;
    auto weights = sliced(context, whole_numbers(R * n * k, 1), R, n, k);
    auto input = sliced(context, whole_numbers(R * k * m, 2), R, k, m);
    auto d_h = sliced(context, whole_numbers(R * n * m, 3), R, n, m),
         d_beta = sliced(context, whole_numbers(R * n * m, 4), R, n, m),
         delta = sliced(context, whole_numbers(R * n * m, 5), R, n, m);
    auto weights_gradient = sliced_results(context, R, n, k);
    auto bias_gradient = sliced_results(context, R, n), beta_gradient = sliced_results(context, R, n);
    auto delta_before = sliced_results(context, R, k, m);
    dense_backward(context, {.weights = weights.view(),
                             .input = input.view(),
                             .d_h = d_h.view(),
                             .d_beta = given(gradients && beta, d_beta.view()),
                             .delta = delta.view(),
                             .weights_gradient = given(gradients, weights_gradient.view()),
                             .bias_gradient = given(gradients, bias_gradient.view()),
                             .beta_gradient = given(gradients && beta, beta_gradient.view()),
                             .input_delta = given(input_delta, delta_before.view())});
    Values results;
    for (auto* array : {&delta, &weights_gradient, &delta_before}) array->append_to(results);
    for (auto* array : {&bias_gradient, &beta_gradient}) array->append_to(results);
    return results;
}

TYPED_TEST(Device, BackpropagationThroughLayers) {
    for (const DenseShape& shape : dense_shapes)
        for (const auto& [gradients, beta, input_delta] :
             {std::tuple{true, true, true}, {true, false, true}, {true, true, false}, {false, false, true}}) {
            SCOPED_TRACE(shape.text() + (gradients ? ", gradients" : "") + (beta ? ", beta" : "") +
                         (input_delta ? ", delta of the input" : ""));
            this->on_both([&](auto& c) { return backward(c, shape, gradients, beta, input_delta); },
                          [](const Values& x, const Values& y) { EXPECT_TRUE(equal(x, y)); });
        }
}

template <class C>
Values tangent_forward(C& context, const DenseShape& s, bool beta, bool input_tangent) {
    const auto& [R, n, k, m] = s;
    auto weights = sliced(context, whole_numbers(R * n * k, 1), R, n, k),
         weights_tangent = sliced(context, whole_numbers(R * n * k, 2), R, n, k);
    auto bias_tangent = sliced(context, whole_numbers(R * n, 3), R, n),
         beta_tangent = sliced(context, whole_numbers(R * n, 4), R, n);
    auto input = sliced(context, whole_numbers(R * k * m, 5), R, k, m),
         along = sliced(context, whole_numbers(R * k * m, 6), R, k, m);
    auto d_h = sliced(context, whole_numbers(R * n * m, 7), R, n, m),
         d_beta = sliced(context, whole_numbers(R * n * m, 8), R, n, m);
    auto h = sliced_results(context, R, n, m), output = sliced_results(context, R, n, m);
    dense_tangent_forward(context, {.weights = weights.view(),
                                    .weights_tangent = weights_tangent.view(),
                                    .bias_tangent = bias_tangent.view(),
                                    .beta_tangent = given(beta, beta_tangent.view()),
                                    .input = input.view(),
                                    .input_tangent = given(input_tangent, along.view()),
                                    .derivatives = {d_h.view(), given(beta, d_beta.view()), {}, {}, {}},
                                    .preactivation_tangent = h.view(),
                                    .output_tangent = output.view()});
    Values results;
    for (auto* array : {&h, &output}) array->append_to(results);
    return results;
}

template <class C>
Values tangent_backward(C& context, const DenseShape& s, bool beta, bool input_tangent) {
    const auto& [R, n, k, m] = s;
    auto weights = sliced(context, whole_numbers(R * n * k, 1), R, n, k),
         weights_tangent = sliced(context, whole_numbers(R * n * k, 2), R, n, k);
    auto beta_tangent = sliced(context, whole_numbers(R * n, 3), R, n);
    auto input = sliced(context, whole_numbers(R * k * m, 4), R, k, m),
         along = sliced(context, whole_numbers(R * k * m, 5), R, k, m);
    const auto per_unit = [&](std::uint32_t stream) {
        return sliced(context, whole_numbers(R * n * m, stream), R, n, m);
    };
    auto h = per_unit(6), d_h = per_unit(7), d_beta = per_unit(8), d_hh = per_unit(9), d_hbeta = per_unit(10),
         d_betabeta = per_unit(11), output_delta = per_unit(12), delta = per_unit(13),
         delta_tangent = per_unit(14);
    auto weights_gradient = sliced_results(context, R, n, k), before = sliced_results(context, R, k, m);
    auto bias_gradient = sliced_results(context, R, n), beta_gradient = sliced_results(context, R, n);
    dense_tangent_backward(context, {.weights = weights.view(),
                                     .weights_tangent = weights_tangent.view(),
                                     .beta_tangent = given(beta, beta_tangent.view()),
                                     .input = input.view(),
                                     .input_tangent = given(input_tangent, along.view()),
                                     .preactivation_tangent = h.view(),
                                     .derivatives = {.d_h = d_h.view(),
                                                     .d_beta = given(beta, d_beta.view()),
                                                     .d_hh = d_hh.view(),
                                                     .d_hbeta = given(beta, d_hbeta.view()),
                                                     .d_betabeta = given(beta, d_betabeta.view())},
                                     .output_delta = output_delta.view(),
                                     .delta = delta.view(),
                                     .delta_tangent = delta_tangent.view(),
                                     .weights_gradient = weights_gradient.view(),
                                     .bias_gradient = bias_gradient.view(),
                                     .beta_gradient = given(beta, beta_gradient.view()),
                                     .input_delta_tangent = given(input_tangent, before.view())});
    Values results;
    for (auto* array : {&delta_tangent, &weights_gradient, &before}) array->append_to(results);
    for (auto* array : {&bias_gradient, &beta_gradient}) array->append_to(results);
    return results;
}

TYPED_TEST(Device, TangentsOfLayers) {
    for (const DenseShape& shape : dense_shapes)
        for (const auto& [beta, input_tangent] : {std::pair{true, true}, {false, true}, {true, false}}) {
            SCOPED_TRACE(shape.text() + (beta ? ", beta" : "") + (input_tangent ? "" : ", first layer"));
            const auto compare = [](const Values& x, const Values& y) { EXPECT_TRUE(equal(x, y)); };
            this->on_both([&](auto& c) { return tangent_forward(c, shape, beta, input_tangent); }, compare);
            this->on_both([&](auto& c) { return tangent_backward(c, shape, beta, input_tangent); }, compare);
        }
}

}  // namespace
}  // namespace espectra::test
