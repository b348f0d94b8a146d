#pragma once

#include "espectra/experiments/benchmarks/operations/arguments.hpp"
#include "espectra/kernels/hessian.hpp"

// The operations of the Hessian between a layer (n units) and the next one (p units, their β).

namespace espectra {

template <Backend B>
Operation pull_back_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Index n = c.layer().units, p = c.later().units, m = c.examples;
    PullBack<B::space> a{};
    a.matrix = arrays.array(c.replicas, p, p, m);
    a.weights = LayerArrays<B>(arrays, c, c.later()).weights().weights;
    a.product = arrays.array(c.replicas, p, n, m);
    return {.bytes = bytes_of(a.matrix, a.weights, a.product),
            .flops = 2 * c.networks_times_examples() * static_cast<double>(p * p * n),
            .restore = {},
            .run = [&context = arrays.context(), a] { pull_back(context, a); }};
}

template <Backend B>
Operation weights_transposed_times_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Index n = c.layer().units, p = c.later().units, m = c.examples;
    WeightsTransposedTimes<B::space> a{};
    a.weights = LayerArrays<B>(arrays, c, c.later()).weights().weights;
    a.matrix = arrays.array(c.replicas, p, n, m);
    a.product = arrays.array(c.replicas, n, n, m);
    return {.bytes = bytes_of(a.weights, a.matrix, a.product),
            .flops = 2 * c.networks_times_examples() * static_cast<double>(n * p * n),
            .restore = {},
            .run = [&context = arrays.context(), a] { weights_transposed_times(context, a); }};
}

template <Backend B>
Operation layer_jacobian_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Index n = c.layer().units, p = c.later().units, m = c.examples;
    LayerJacobian<B::space> a{};
    a.d_h = arrays.array(c.replicas, p, m);
    a.weights = LayerArrays<B>(arrays, c, c.later()).weights().weights;
    a.jacobian = arrays.array(c.replicas, p, n, m);
    return {.bytes = bytes_of(a.d_h, a.weights, a.jacobian),
            .flops = c.networks_times_examples() * static_cast<double>(p * n),
            .restore = {},
            .run = [&context = arrays.context(), a] { layer_jacobian(context, a); }};
}

template <Backend B>
Operation curvature_times_vector_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Index p = c.later().units, m = c.examples;
    CurvatureTimesVector<B::space> a{};
    a.curvature = arrays.array(c.replicas, p, p, m);
    a.vector = arrays.array(c.replicas, p, m);
    a.product = arrays.array(c.replicas, p, m);
    return {.bytes = bytes_of(a.curvature, a.vector, a.product),
            .flops = 2 * c.networks_times_examples() * static_cast<double>(p * p),
            .restore = {},
            .run = [&context = arrays.context(), a] { curvature_times_vector(context, a); }};
}

template <Backend B>
Operation contract_cross_block_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Layer &layer = c.layer(), &later = c.later();
    LayerArrays<B> of(arrays, c, layer);
    const auto derivatives = of.derivatives(false);
    CrossBlock<B::space> a{};
    a.input = of.input();
    a.d_h = derivatives.d_h;
    a.d_beta = derivatives.d_beta;
    a.later_input = of.per_unit();
    a.curvature = arrays.array(c.replicas, later.units, layer.units, c.examples);
    if (later.trainable_beta) a.mixed = arrays.array(c.replicas, later.units, layer.units, c.examples);
    a.later_delta = arrays.array(c.replicas, later.units, c.examples);
    a.offsets = layer.offsets;
    a.later_offsets = later.offsets;
    a.hessian = arrays.array(c.replicas, c.parameters(), c.parameters());
    const auto rows = static_cast<double>(layer.units * (layer.inputs + (layer.trainable_beta ? 2 : 1)));
    const auto columns = static_cast<double>(later.units * (later.inputs + (later.trainable_beta ? 2 : 1)));
    return {.bytes = bytes_of(a.input, a.d_h, a.d_beta, a.later_input, a.curvature, a.mixed, a.later_delta) +
                     2 * sizeof(double) * static_cast<double>(c.replicas) * rows * columns,
            .flops = 2 * c.networks_times_examples() * rows * columns,
            .restore = {},
            .run = [&context = arrays.context(), a] { contract_cross_block(context, a); }};
}

}  // namespace espectra
