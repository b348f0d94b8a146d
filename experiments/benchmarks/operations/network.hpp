#pragma once

#include "espectra/experiments/benchmarks/operations/arguments.hpp"
#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/fused_spectrum.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/optimizer.hpp"
#include "espectra/kernels/spectrum.hpp"

#include <vector>

// The loss, the optimizer, and the operations on whole Hessians [R, P, P].

namespace espectra {

template <Backend B>
Operation evaluate_loss_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Index outputs = c.network.outputs();
    LossEvaluation<B::space> a{};
    a.loss = c.network.loss();
    a.total_examples = c.examples;
    a.logits = arrays.array(c.replicas, outputs, c.examples);
    a.targets = share<const double, 2, B::space>(arrays.positive(outputs, c.examples), c.replicas);
    a.cost = arrays.array(c.replicas);
    a.delta = arrays.array(c.replicas, outputs, c.examples);
    return {.bytes = bytes_of(a.logits, a.targets, a.cost, a.delta),
            .flops = loss_flops * c.networks_times_examples() * static_cast<double>(outputs),
            .restore = {},
            .run = [&context = arrays.context(), a] { evaluate_loss(context, a); }};
}

template <Backend B>
Operation score_outputs_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Index outputs = c.network.outputs();
    OutputScore<B::space> a{};
    a.loss = c.network.loss();
    a.zero_residual_tolerance = 1e-5;
    a.logits = arrays.array(c.replicas, outputs, c.examples);
    a.targets = share<const double, 2, B::space>(arrays.positive(outputs, c.examples), c.replicas);
    a.accuracy = arrays.array(c.replicas);
    a.zero_residuals = arrays.array(c.replicas);
    return {.bytes = bytes_of(a.logits, a.targets, a.accuracy, a.zero_residuals),
            .flops = activation_flops * c.networks_times_examples() * static_cast<double>(outputs),
            .restore = {},
            .run = [&context = arrays.context(), a] { score_outputs(context, a); }};
}

template <Backend B>
Operation adam_step_operation(Arrays<B>& arrays, const OperationCase& c) {
    AdamStep<B::space> a{};
    a.rates = arrays.values(std::vector<double>(rate_segment, 1e-3), 1, rate_segment);
    a.rates.stride[0] = 0;
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
Operation clear_upper_operation(Arrays<B>& arrays, const OperationCase& c) {
    const auto matrices = arrays.array(c.replicas, c.parameters(), c.parameters());
    return {.bytes = sizeof(double) * c.all_entries() / 2,
            .flops = 0,
            .restore = {},
            .run = [&context = arrays.context(), matrices] { clear_upper(context, {matrices}); }};
}

template <Backend B>
Operation symmetrize_operation(Arrays<B>& arrays, const OperationCase& c) {
    const auto matrices = arrays.array(c.replicas, c.parameters(), c.parameters());
    return {.bytes = sizeof(double) * c.all_entries(),
            .flops = 0,
            .restore = {},
            .run = [&context = arrays.context(), matrices] { symmetrize(context, {matrices}); }};
}

/// Marks of rows [R, P], three quarters of them 1.
template <Backend B>
View<unsigned char, 2, B::space> row_marks(Arrays<B>& arrays, const OperationCase& c) {
    return make_view<B::space>(arrays.mask(c.replicas * c.parameters()).data, c.replicas, c.parameters());
}

template <Backend B>
Operation summarize_operation(Arrays<B>& arrays, const OperationCase& c) {
    MatrixSummary<B::space> a{};
    a.matrices = arrays.array(c.replicas, c.parameters(), c.parameters());
    a.trace = arrays.array(c.replicas);
    a.frobenius = arrays.array(c.replicas);
    a.nonzero_row = row_marks(arrays, c);
    return {.bytes = sizeof(double) * c.all_entries() / 2,
            .flops = c.all_entries(),
            .restore = {},
            .run = [&context = arrays.context(), a] { summarize(context, a); }};
}

template <Backend B>
Operation scaling_residual_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Index directions = c.network.scaling_direction_count();
    ScalingResidual<B::space> a{};
    a.matrices = arrays.array(c.replicas, c.parameters(), c.parameters());
    a.signs = arrays.values(c.network.scaling_directions(), directions, c.parameters());
    a.theta = arrays.array(c.replicas, c.parameters());
    a.gradient = arrays.array(c.replicas, c.parameters());
    a.frobenius = arrays.positive(c.replicas);
    a.residual = arrays.array(c.replicas);
    return {.bytes = sizeof(double) * c.all_entries() / 2 + bytes_of(a.signs, a.theta, a.gradient),
            .flops = 2 * static_cast<double>(directions) * c.all_entries(),
            .restore = {},
            .run = [&context = arrays.context(), a] { scaling_residual(context, a); }};
}

template <Backend B>
Operation compress_rows_operation(Arrays<B>& arrays, const OperationCase& c) {
    const auto matrix = arrays.array(c.parameters(), c.parameters());
    const View<const unsigned char, 1, B::space> keep = arrays.mask(c.parameters());
    const double kept = 0.75 * static_cast<double>(c.parameters());
    return {.bytes = sizeof(double) * kept * kept,  // the upper triangle, read and written
            .flops = 0,
            .restore = {},
            .run = [&context = arrays.context(), matrix, keep] {
                compress_rows(context, {matrix, keep});
            }};
}

/// Counts the values of each feature that are not zero, as the search for dead features does.
template <Backend B>
Operation count_nonzeros_operation(Arrays<B>& arrays, const OperationCase& c) {
    const View<const double, 2, B::space> features = arrays.array(c.network.inputs(), c.examples);
    const auto counts = arrays.counts(c.network.inputs());
    return {.bytes = bytes_of(features, counts),
            .flops = 0,
            .restore = {},
            .run = [&context = arrays.context(), features, counts] {
                count_nonzeros(context, {features, counts});
            }};
}

template <Backend B>
Operation deflate_operation(Arrays<B>& arrays, const OperationCase& c) {
    Deflation<B::space> a{};
    a.matrices = arrays.array(c.replicas, c.parameters(), c.parameters());
    a.keep = row_marks(arrays, c);
    a.frobenius = arrays.positive(c.replicas);
    a.deflated = arrays.array(c.replicas, c.parameters(), c.parameters());
    return {.bytes = sizeof(double) * c.all_entries() + bytes_of(a.keep, a.frobenius),  // two triangles
            .flops = 0,
            .restore = {},
            .run = [&context = arrays.context(), a] { deflate(context, a); }};
}

template <Backend B>
Operation summarize_spectra_operation(Arrays<B>& arrays, const OperationCase& c) {
    SpectrumSummary<B::space> a{};
    a.eigenvalues = arrays.array(c.replicas, c.parameters());
    a.keep = row_marks(arrays, c);
    a.trace = arrays.array(c.replicas);
    a.frobenius = arrays.positive(c.replicas);
    a.tolerance = 1e-6;
    a.trace_error = arrays.array(c.replicas);
    a.largest = arrays.array(c.replicas);
    a.negative = arrays.array(c.replicas);
    a.zero = arrays.array(c.replicas);
    return {.bytes = bytes_of(a.eigenvalues, a.keep, a.trace, a.frobenius, a.trace_error, a.largest,
                              a.negative, a.zero),
            .flops = 6 * c.all_parameters(),
            .restore = {},
            .run = [&context = arrays.context(), a] { summarize_spectra(context, a); }};
}

template <Backend B>
Operation inverse_participation_ratios_operation(Arrays<B>& arrays, const OperationCase& c) {
    const View<const double, 3, B::space> vectors = arrays.array(c.replicas, c.parameters(), c.parameters());
    const auto ratios = arrays.array(c.replicas, c.parameters());
    return {.bytes = bytes_of(vectors, ratios),
            .flops = 3 * c.all_entries(),
            .restore = {},
            .run = [&context = arrays.context(), vectors, ratios] {
                inverse_participation_ratios(context, {vectors, ratios});
            }};
}

template <Backend B>
Operation symmetric_eigenvalues_operation(Arrays<B>& arrays, const OperationCase& c) {
    const auto matrices = arrays.array(c.replicas, c.parameters(), c.parameters());
    const auto original = arrays.array(c.replicas, c.parameters(), c.parameters());
    const auto eigenvalues = arrays.array(c.replicas, c.parameters());
    return {.bytes = 2 * sizeof(double) * c.all_entries(),
            .flops = 4.0 / 3.0 * c.all_entries() * static_cast<double>(c.parameters()),
            .restore = [&context = arrays.context(), matrices,
                        original] { copy(context, original.data, matrices.data, matrices.size()); },
            .run =
                [&context = arrays.context(), matrices, eigenvalues] {
                    symmetric_eigenvalues(context, {matrices, eigenvalues});
                }};
}

/// From θ to eigenvalues in one step. Counted are the products of the upper triangle over the examples and
/// the reduction to tridiagonal form.
template <Backend B>
Operation fused_spectrum_operation(Arrays<B>& arrays, const OperationCase& c) {
    const Index p = c.parameters();
    FusedSpectrum<B::space> a{};
    a.full = true;
    a.features = arrays.array(c.network.inputs(), c.examples);
    a.targets = arrays.positive(c.network.outputs(), c.examples);
    a.signs = arrays.values(c.network.scaling_directions(), c.network.scaling_direction_count(), p);
    a.theta = arrays.array(c.replicas, p);
    a.gradient = arrays.array(c.replicas, p);
    a.trace = arrays.array(c.replicas);
    a.frobenius = arrays.array(c.replicas);
    a.residual = arrays.array(c.replicas);
    a.nonzero_row = row_marks(arrays, c);
    a.eigenvalues = arrays.array(c.replicas, p);
    const auto size = static_cast<double>(p);
    return {.bytes = bytes_of(a.features, a.targets, a.signs, a.theta, a.gradient, a.trace, a.frobenius,
                              a.residual, a.nonzero_row, a.eigenvalues),
            .flops = static_cast<double>(c.replicas) *
                     (static_cast<double>(c.examples) * size * size + 4.0 / 3.0 * size * size * size),
            .restore = {},
            .run = [&context = arrays.context(), a, network = c.network]() mutable {
                a.network = network.view();
                fused_spectrum(context, a);
            }};
}

}  // namespace espectra
