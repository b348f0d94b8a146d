#pragma once

#include "espectra/experiments/benchmarks/operations/arguments.hpp"
#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/hessian.hpp"

// The operations on one layer (n units, k inputs, m examples, with β) in training and in the Hessian.

namespace espectra {

template <Backend B>
Operation dense_forward_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Layer& layer = c.layer();
    LayerArrays<B> of(arrays, c, layer);
    const auto theta = of.parameters();
    DenseForward<B::space> a{};
    a.activation = layer.activation;
    a.weights = theta.weights;
    a.bias = theta.bias;
    a.beta = theta.beta;
    a.fixed_beta = layer.fixed_beta;
    a.input = of.input();
    a.output = of.per_unit();
    a.derivatives = of.derivatives(false);
    const auto n = static_cast<double>(layer.units), k = static_cast<double>(layer.inputs);
    const double activation = layer.activation == Activation::linear ? 1 : activation_flops;
    return {.bytes = bytes_of(a.weights, a.bias, a.beta, a.input, a.output) + bytes_of(a.derivatives),
            .flops = c.networks_times_examples() * n * (2 * k + 1 + activation),
            .restore = {},
            .run = [&context = arrays.context(), a] { dense_forward(context, a); }};
}

template <Backend B>
Operation dense_backward_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Layer& layer = c.layer();
    LayerArrays<B> of(arrays, c, layer);
    const auto gradient = of.parameters();
    const auto derivatives = of.derivatives(false);
    const auto delta = of.per_unit(), original = of.per_unit();
    DenseBackward<B::space> a{};
    a.weights = of.weights().weights;
    a.input = of.input();
    a.d_h = derivatives.d_h;
    a.d_beta = derivatives.d_beta;
    a.delta = delta;
    a.weights_gradient = gradient.weights;
    a.bias_gradient = gradient.bias;
    a.beta_gradient = gradient.beta;
    a.input_delta = of.input_tangent();
    const auto n = static_cast<double>(layer.units), k = static_cast<double>(layer.inputs);
    return {.bytes = bytes_of(a.weights, a.input, a.d_h, a.d_beta, a.delta, a.delta, a.weights_gradient,
                              a.bias_gradient, a.beta_gradient, a.input_delta),
            .flops = c.networks_times_examples() * n *
                     ((a.input_delta ? 4 : 2) * k + (layer.trainable_beta ? 4 : 2)),
            .restore = [&context = arrays.context(), original,
                        delta] { copy(context, original.data, delta.data, delta.size()); },
            .run = [&context = arrays.context(), a] { dense_backward(context, a); }};
}

template <Backend B>
Operation dense_tangent_forward_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Layer& layer = c.layer();
    LayerArrays<B> of(arrays, c, layer);
    const auto tangent = of.weights();
    DenseTangentForward<B::space> a{};
    a.weights = of.weights().weights;
    a.weights_tangent = tangent.weights;
    a.bias_tangent = tangent.bias;
    a.beta_tangent = tangent.beta;
    a.input = of.input();
    a.input_tangent = of.input_tangent();
    a.derivatives = of.derivatives(false);
    a.preactivation_tangent = of.per_unit();
    a.output_tangent = of.per_unit();
    const auto n = static_cast<double>(layer.units), k = static_cast<double>(layer.inputs);
    return {.bytes = bytes_of(a.weights, a.weights_tangent, a.bias_tangent, a.beta_tangent, a.input,
                              a.input_tangent, a.preactivation_tangent, a.output_tangent) +
                     bytes_of(a.derivatives),
            .flops = c.networks_times_examples() * n *
                     ((a.input_tangent ? 4 : 2) * k + (layer.trainable_beta ? 4 : 2)),
            .restore = {},
            .run = [&context = arrays.context(), a] { dense_tangent_forward(context, a); }};
}

template <Backend B>
Operation dense_tangent_backward_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Layer& layer = c.layer();
    LayerArrays<B> of(arrays, c, layer);
    const auto tangent = of.weights();
    const auto gradient = of.parameters();
    const auto delta_tangent = of.per_unit(), original = of.per_unit();
    DenseTangentBackward<B::space> a{};
    a.weights = of.weights().weights;
    a.weights_tangent = tangent.weights;
    a.beta_tangent = tangent.beta;
    a.input = of.input();
    a.input_tangent = of.input_tangent();
    a.preactivation_tangent = of.per_unit();
    a.derivatives = of.derivatives(true);
    a.output_delta = of.per_unit();
    a.delta = of.per_unit();
    a.delta_tangent = delta_tangent;
    a.weights_gradient = gradient.weights;
    a.bias_gradient = gradient.bias;
    a.beta_gradient = gradient.beta;
    a.input_delta_tangent = of.input_tangent();
    const auto n = static_cast<double>(layer.units), k = static_cast<double>(layer.inputs);
    return {
        .bytes = bytes_of(a.weights, a.weights_tangent, a.beta_tangent, a.input, a.input_tangent,
                          a.preactivation_tangent, a.output_delta, a.delta, a.delta_tangent, a.delta_tangent,
                          a.weights_gradient, a.bias_gradient, a.beta_gradient, a.input_delta_tangent) +
                 bytes_of(a.derivatives),
        .flops = c.networks_times_examples() * n *
                 ((a.input_tangent ? 8 : 2) * k + (layer.trainable_beta ? 13 : 5)),
        .restore =
            [&context = arrays.context(), original, delta_tangent] {
                copy(context, original.data, delta_tangent.data, delta_tangent.size());
            },
        .run = [&context = arrays.context(), a] { dense_tangent_backward(context, a); }};
}

template <Backend B>
Operation activation_curvature_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Layer& layer = c.layer();
    LayerArrays<B> of(arrays, c, layer);
    ActivationCurvature<B::space> a{};
    a.output_curvature = of.per_pair();
    a.derivatives = of.derivatives(true);
    a.output_delta = of.per_unit();
    a.curvature = of.per_pair();
    a.mixed = of.per_pair_with_beta();
    a.beta_curvature = of.per_pair_with_beta();
    const auto n = static_cast<double>(layer.units);
    return {.bytes = bytes_of(a.output_curvature, a.output_delta, a.curvature, a.mixed, a.beta_curvature) +
                     bytes_of(a.derivatives),
            .flops = c.networks_times_examples() * (layer.trainable_beta ? 3 : 1) * (2 * n * n + 2 * n),
            .restore = {},
            .run = [&context = arrays.context(), a] { activation_curvature(context, a); }};
}

template <Backend B>
Operation contract_layer_block_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Layer& layer = c.layer();
    LayerArrays<B> of(arrays, c, layer);
    LayerBlock<B::space> a{};
    a.input = of.input();
    a.curvature = of.per_pair();
    a.mixed = of.per_pair_with_beta();
    a.beta_curvature = of.per_pair_with_beta();
    a.offsets = layer.offsets;
    a.hessian = arrays.array(c.replicas, c.parameters(), c.parameters());
    const bool beta = layer.trainable_beta;
    const auto n = static_cast<double>(layer.units), augmented = static_cast<double>(layer.inputs) + 1;
    const double rows = n * (augmented + (beta ? 1 : 0));
    const double entries = static_cast<double>(c.replicas) * rows * (rows + 1) / 2;
    return {.bytes = bytes_of(a.input, a.curvature, a.mixed, a.beta_curvature) + 2 * sizeof(double) * entries,
            .flops = 2 * c.networks_times_examples() *
                     (n * (n + 1) / 2 * augmented * (augmented + 1) / 2 +
                      (beta ? n * n * augmented + n * (n + 1) / 2 : 0)),
            .restore = {},
            .run = [&context = arrays.context(), a] { contract_layer_block(context, a); }};
}

}  // namespace espectra
