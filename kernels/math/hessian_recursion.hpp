#pragma once

#include "espectra/kernels/hessian.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/network_view.hpp"

namespace espectra {

/// Numbers per example that the recursion holds: layer states, δ^a of two neighbouring layers and δ^h, and
/// the matrices between layers: B, A, M, D; V and U, each with the product that it is moved by; J likewise.
struct HessianSizes {
    Index states = 0, width = 0, square = 0, cross = 0, jacobian = 0;
    ESPECTRA_HD Index total() const { return states + 3 * width + 4 * square + 4 * cross + 2 * jacobian; }
};

ESPECTRA_HD inline Index layer_state_size(const Layer& layer) {
    return (layer.trainable_beta ? 6 : 3) * layer.units;
}

ESPECTRA_HD inline HessianSizes hessian_sizes(const NetworkView& network) {
    const Layer* layers = network.layers;
    const auto largest = [](Index& size, Index other) { size = size < other ? other : size; };
    HessianSizes sizes;
    for (int k = 0; k < network.count; ++k) {
        const Index n = layers[k].units;
        sizes.states += layer_state_size(layers[k]);
        largest(sizes.width, n);
        largest(sizes.square, n * n);
        for (int l = 0; l < k; ++l) largest(sizes.cross, n * layers[l].units);
        for (int l = 0; l + 1 < k; ++l) largest(sizes.jacobian, layers[k - 1].units * layers[l].units);
    }
    return sizes;
}

/// m examples' share of the Hessians of R networks.
template <Space S>
struct HessianChunk {
    NetworkView network;
    Index total_examples;               ///< what the loss is the mean over
    bool full;                          ///< or the Gauss–Newton part
    View<const double, 3, S> features;  ///< [R, n_0, m]
    View<const double, 3, S> targets;   ///< [R, C, m]
    View<const double, 2, S> theta;     ///< [R, P]
    View<double, 3, S> hessian;         ///< [R, P, P] upper triangles, added to
    double* memory;                     ///< scratch, R·m·hessian_sizes().total()
};

/// Adds a chunk's share by the recursion of docs/mathematics.md, from the last layer to the first. It is
/// written once: `context` is a backend, which runs each step as kernels, or a group of threads, which run
/// the steps in shared memory (kernels/group/fused_spectrum.hpp).
template <class C>
ESPECTRA_HD void add_hessian_chunk(C& context, const HessianChunk<C::space>& chunk) {
    constexpr Space S = C::space;
    using Matrix3 = View<double, 3, S>;
    using Matrix4 = View<double, 4, S>;
    const Index replicas = chunk.theta.extent[0], m = chunk.features.extent[2];
    const HessianSizes size = hessian_sizes(chunk.network);
    const Layer* layers = chunk.network.layers;
    Index used = 0;
    const auto take = [&](Index per_example) {
        double* memory = chunk.memory + used;
        used += replicas * per_example * m;
        return memory;
    };
    const auto matrix_at = [&](double* memory, Index rows, Index columns) {
        return make_view<S>(memory, replicas, rows, columns, m);
    };

    // Layer states: the output and the derivatives, one after the other.
    double* states = take(size.states);
    struct State {
        View<const double, 3, S> input;
        Matrix3 output;
        ActivationDerivatives<double, S> derivatives;
    };
    const auto state_of = [&](int wanted) {
        double* memory = states;
        for (int k = 0; k < wanted; ++k) memory += replicas * m * layer_state_size(layers[k]);
        const Layer& layer = layers[wanted];
        const auto vector = [&](int i) {
            return make_view<S>(memory + i * replicas * layer.units * m, replicas, layer.units, m);
        };
        State state;
        state.output = vector(0);
        state.derivatives.d_h = vector(1);
        state.derivatives.d_hh = vector(2);
        if (layer.trainable_beta) {
            state.derivatives.d_beta = vector(3);
            state.derivatives.d_hbeta = vector(4);
            state.derivatives.d_betabeta = vector(5);
        }
        if (wanted == 0)
            state.input = chunk.features;
        else
            state.input = make_view<S>(
                static_cast<const double*>(memory - replicas * m * layer_state_size(layers[wanted - 1])),
                replicas, layer.inputs, m);
        return state;
    };
    for (int k = 0; k < chunk.network.count; ++k) {
        const State state = state_of(k);
        const auto parameters = layer_parameters(layers[k], chunk.theta);
        dense_forward(context, {.activation = layers[k].activation,
                                .weights = parameters.weights,
                                .bias = parameters.bias,
                                .beta = parameters.beta,
                                .fixed_beta = layers[k].fixed_beta,
                                .input = state.input,
                                .output = state.output,
                                .derivatives = state.derivatives});
    }

    double *delta_memory = take(size.width), *other_delta_memory = take(size.width);
    double* delta_h_memory = take(size.width);
    double *b_memory = take(size.square), *a_memory = take(size.square);
    double *mixed_memory = take(size.square), *beta_memory = take(size.square);
    double *v_memory = take(size.cross), *other_v_memory = take(size.cross);
    double *u_memory = take(size.cross), *other_u_memory = take(size.cross);
    double *j_memory = take(size.jacobian), *other_j_memory = take(size.jacobian);

    const Index outputs = layers[chunk.network.count - 1].units;
    Matrix3 delta_a = make_view<S>(delta_memory, replicas, outputs, m);
    evaluate_loss(context, {.loss = chunk.network.loss,
                            .total_examples = chunk.total_examples,
                            .logits = state_of(chunk.network.count - 1).output,
                            .targets = chunk.targets,
                            .cost = {},
                            .delta = delta_a,
                            .curvature = matrix_at(b_memory, outputs, outputs)});

    for (int k = chunk.network.count; k-- > 0;) {
        const Layer& layer = layers[k];
        const State state = state_of(k);
        const auto weights = layer_parameters(layer, chunk.theta).weights;
        const bool beta = layer.trainable_beta;
        const Index n = layer.units;
        const auto a = matrix_at(a_memory, n, n);
        const auto mixed = beta ? matrix_at(mixed_memory, n, n) : Matrix4{};
        const auto beta_curvature = beta ? matrix_at(beta_memory, n, n) : Matrix4{};
        activation_curvature(context, {.output_curvature = matrix_at(b_memory, n, n),
                                       .derivatives = state.derivatives,
                                       .output_delta = chunk.full ? delta_a : Matrix3{},
                                       .curvature = a,
                                       .mixed = mixed,
                                       .beta_curvature = beta_curvature});
        contract_layer_block(context, {.input = state.input,
                                       .curvature = a,
                                       .mixed = mixed,
                                       .beta_curvature = beta_curvature,
                                       .offsets = layer.offsets,
                                       .hessian = chunk.hessian});
        if (k == 0) break;

        // δ^h of this layer, δ^a of the one before.
        const Index inputs = layer.inputs;
        const auto delta_h = make_view<S>(delta_h_memory, replicas, n, m);
        copy(context, delta_a.data, delta_h.data, delta_h.size());
        const auto previous_delta = make_view<S>(
            delta_a.data == delta_memory ? other_delta_memory : delta_memory, replicas, inputs, m);
        dense_backward(context, {.weights = weights,
                                 .input = state.input,
                                 .d_h = state.derivatives.d_h,
                                 .d_beta = {},
                                 .delta = delta_h,
                                 .weights_gradient = {},
                                 .bias_gradient = {},
                                 .beta_gradient = {},
                                 .input_delta = previous_delta});

        auto v = matrix_at(v_memory, n, inputs);
        auto u = beta ? matrix_at(u_memory, n, inputs) : Matrix4{};
        Matrix4 j;  // the identity
        pull_back(context, {.matrix = a, .d_h = {}, .weights = weights, .product = v});
        if (beta) pull_back(context, {.matrix = mixed, .d_h = {}, .weights = weights, .product = u});
        weights_transposed_times(
            context, {.weights = weights, .matrix = v, .product = matrix_at(b_memory, inputs, inputs)});
        for (int l = k; l-- > 0;) {
            const Layer& earlier = layers[l];
            const State earlier_state = state_of(l);
            contract_cross_block(context, {.input = earlier_state.input,
                                           .d_h = earlier_state.derivatives.d_h,
                                           .d_beta = earlier_state.derivatives.d_beta,
                                           .later_input = state.input,
                                           .curvature = v,
                                           .mixed = u,
                                           .later_delta = chunk.full ? delta_h : Matrix3{},
                                           .jacobian = j,
                                           .offsets = earlier.offsets,
                                           .later_offsets = layer.offsets,
                                           .hessian = chunk.hessian});
            if (l == 0) break;
            const auto earlier_weights = layer_parameters(earlier, chunk.theta).weights;
            const View<const double, 3, S> d_h = earlier_state.derivatives.d_h;
            const auto move = [&](Matrix4& matrix, double* memory, double* other) {
                const auto moved =
                    matrix_at(matrix.data == memory ? other : memory, matrix.extent[1], earlier.inputs);
                pull_back(context,
                          {.matrix = matrix, .d_h = d_h, .weights = earlier_weights, .product = moved});
                matrix = moved;
            };
            move(v, v_memory, other_v_memory);
            if (beta) move(u, u_memory, other_u_memory);
            if (j) {
                move(j, j_memory, other_j_memory);
            } else {
                j = matrix_at(j_memory, inputs, earlier.inputs);
                layer_jacobian(context, {.d_h = d_h, .weights = earlier_weights, .jacobian = j});
            }
        }
        delta_a = previous_delta;
    }
}

}  // namespace espectra
