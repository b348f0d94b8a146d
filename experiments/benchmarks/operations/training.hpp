#pragma once

#include "espectra/experiments/benchmarks/operations/arguments.hpp"
#include "espectra/kernels/batches.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/optimizer.hpp"

#include <vector>

// The optimizers, the L2 term and the mini-batches.

namespace espectra {

/// Rates of an optimizer [R, rate_segment] that all replicas share.
template <Backend B>
View<const double, 2, B::space> shared_rates(Arrays<B>& arrays) {
    View<const double, 2, B::space> rates =
        arrays.values(std::vector<double>(rate_segment, 1e-3), 1, rate_segment);
    rates.stride[0] = 0;
    return rates;
}

template <Backend B>
Operation adam_step_operation(Arrays<B>& arrays, const OperationCase& c) {
    AdamStep<B::space> a{};
    a.rates = shared_rates(arrays);
    a.counter = arrays.counter();
    a.beta1 = 0.9;
    a.beta2 = 0.999;
    a.epsilon = 1e-8;
    a.gradient = arrays.array(c.replicas, c.parameters());
    a.theta = arrays.array(c.replicas, c.parameters());
    a.first_moment = arrays.array(c.replicas, c.parameters());
    a.second_moment = arrays.positive(c.replicas, c.parameters());
    return {.bytes = 7 * sizeof(double) * c.all_parameters(),
            .flops = 12 * c.all_parameters(),
            .restore = {},
            .run = [&context = arrays.context(), a] { adam_step(context, a); }};
}

template <Backend B>
Operation adamw_step_operation(Arrays<B>& arrays, const OperationCase& c) {
    AdamWStep<B::space> a{};
    a.rates = shared_rates(arrays);
    a.corrections = arrays.values(std::vector<double>(2 * rate_segment, 0.5), 2, rate_segment);
    a.counter = arrays.counter();
    a.beta1 = 0.9;
    a.beta2 = 0.999;
    a.epsilon = 1e-8;
    a.decay = arrays.positive(c.parameters());
    a.gradient = arrays.array(c.replicas, c.parameters());
    a.theta = arrays.array(c.replicas, c.parameters());
    a.first_moment = arrays.array(c.replicas, c.parameters());
    a.second_moment = arrays.positive(c.replicas, c.parameters());
    return {.bytes = 7 * sizeof(double) * c.all_parameters(),
            .flops = 16 * c.all_parameters(),
            .restore = {},
            .run = [&context = arrays.context(), a] { adamw_step(context, a); }};
}

template <Backend B>
Operation momentum_step_operation(Arrays<B>& arrays, const OperationCase& c) {
    MomentumStep<B::space> a{};
    a.momentum = 0.9;
    a.nesterov = true;
    a.rates = shared_rates(arrays);
    a.counter = arrays.counter();
    a.gradient = arrays.array(c.replicas, c.parameters());
    a.theta = arrays.array(c.replicas, c.parameters());
    a.velocity = arrays.array(c.replicas, c.parameters());
    return {.bytes = 5 * sizeof(double) * c.all_parameters(),
            .flops = 6 * c.all_parameters(),
            .restore = {},
            .run = [&context = arrays.context(), a] { momentum_step(context, a); }};
}

template <Backend B>
Operation add_l2_term_operation(Arrays<B>& arrays, const OperationCase& c) {
    L2Term<B::space> a{};
    a.coefficients = arrays.positive(c.parameters());
    a.theta = arrays.array(c.replicas, c.parameters());
    a.cost = arrays.array(c.replicas);
    a.gradient = arrays.array(c.replicas, c.parameters());
    return {.bytes = 3 * sizeof(double) * c.all_parameters(),
            .flops = 5 * c.all_parameters(),
            .restore = {},
            .run = [&context = arrays.context(), a] { add_l2_term(context, a); }};
}

template <Backend B>
Operation add_to_diagonal_operation(Arrays<B>& arrays, const OperationCase& c) {
    DiagonalTerm<B::space> a{};
    a.matrices = arrays.array(c.replicas, c.parameters(), c.parameters());
    a.diagonal = arrays.positive(c.parameters());
    return {.bytes = 2 * sizeof(double) * c.all_parameters(),
            .flops = c.all_parameters(),
            .restore = {},
            .run = [&context = arrays.context(), a] { add_to_diagonal(context, a); }};
}

template <Backend B>
Operation order_examples_operation(Arrays<B>& arrays, const OperationCase& c) {
    ExampleOrder<B::space> a{};
    a.seeds = arrays.template integers<std::uint64_t>(c.replicas);
    a.counter = arrays.counter();
    a.updates_per_epoch = 1;
    a.keys = arrays.template integers<std::uint64_t>(c.replicas, c.examples);
    a.order = arrays.template integers<std::int64_t>(c.replicas, c.examples);
    return {.bytes = bytes_of(a.keys, a.order),
            .flops = 0,
            .restore = {},
            .run = [&context = arrays.context(), a] { order_examples(context, a); }};
}

/// A mini-batch of 32 examples, or of all if there are fewer.
template <Backend B>
Operation gather_examples_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Index inputs = c.network.inputs(), outputs = c.network.outputs(),
                batch = std::min<Index>(32, c.examples);
    ExampleGather<B::space> a{};
    a.order = arrays.template integers<std::int64_t>(c.replicas, c.examples);
    a.counter = arrays.counter();
    a.updates_per_epoch = c.examples / batch;
    a.batch_size = batch;
    a.features = arrays.array(inputs, c.examples);
    a.targets = arrays.array(outputs, c.examples);
    a.batch_features = arrays.array(c.replicas, inputs, batch);
    a.batch_targets = arrays.array(c.replicas, outputs, batch);
    return {.bytes = 2 * bytes_of(a.batch_features, a.batch_targets),
            .flops = 0,
            .restore = {},
            .run = [&context = arrays.context(), a] { gather_examples(context, a); }};
}

}  // namespace espectra
