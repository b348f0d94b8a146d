#pragma once

#include "espectra/kernels/hessian.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/network_view.hpp"

namespace espectra {

/// Numbers per example that the recursion stores: layer states, δ^a of two neighbouring layers and δ^h, and
/// the matrices between layers: B, A, M and D; V, U and J, each twice, before and after a layer.
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

/// Arguments of add_hessian_chunk: R networks and m of their examples.
template <Space S>
struct HessianChunk {
    NetworkView network;
    Index total_examples;               ///< that the loss is the mean over
    bool full;                          ///< or the Gauss–Newton part
    View<const double, 3, S> features;  ///< [R, n_0, m]
    View<const double, 3, S> targets;   ///< [R, C, m]
    View<const double, 2, S> theta;     ///< [R, P]
    View<double, 3, S> hessian;         ///< [R, P, P] upper triangles, added to
    double* memory;                     ///< scratch, R·m·hessian_sizes().total()
};

/// The recursion for one chunk: add_hessian_chunk.
template <class C>
class HessianRecursion {
    static constexpr Space S = C::space;
    using Vectors = View<double, 3, S>;   // [R, units, m]
    using Matrices = View<double, 4, S>;  // [R, rows, columns, m]

  public:
    ESPECTRA_HD HessianRecursion(C& context, const HessianChunk<S>& chunk)
        : context_(context),
          chunk_(chunk),
          layers_(chunk.network.layers),
          count_(chunk.network.count),
          replicas_(chunk.theta.extent[0]),
          examples_(chunk.features.extent[2]),
          next_(chunk.memory) {
        const HessianSizes size = hessian_sizes(chunk.network);
        states_ = take(size.states);
        delta_ = take(size.width);
        other_delta_ = take(size.width);
        delta_h_ = take(size.width);
        b_ = take(size.square);
        a_ = take(size.square);
        mixed_ = take(size.square);
        beta_ = take(size.square);
        v_ = take(size.cross);
        other_v_ = take(size.cross);
        u_ = take(size.cross);
        other_u_ = take(size.cross);
        j_ = take(size.jacobian);
        other_j_ = take(size.jacobian);
    }

    /// The Hessian is the only result that is not visible to a whole group of threads at the end.
    ESPECTRA_HD void add() {
        for (int k = 0; k < count_; ++k) {
            forward(k);
            publish();
        }
        Vectors delta = vectors(delta_, chunk_.network.outputs());
        evaluate_outputs(delta);
        publish();
        for (int k = count_; k-- > 0;) {
            add_layer_block(k, delta);
            if (k == 0) break;
            const Vectors previous_delta =
                vectors(delta.data == delta_ ? other_delta_ : delta_, layers_[k].inputs);
            pass_delta(k, delta, previous_delta);
            add_cross_blocks(k);
            delta = previous_delta;
        }
    }

  private:
    struct State {
        View<const double, 3, S> input;
        Vectors output;
        ActivationDerivatives<double, S> derivatives;
    };

    ESPECTRA_HD double* take(Index per_example) {
        double* memory = next_;
        next_ += replicas_ * per_example * examples_;
        return memory;
    }
    ESPECTRA_HD Vectors vectors(double* memory, Index units) const {
        return make_view<S>(memory, replicas_, units, examples_);
    }
    ESPECTRA_HD Matrices matrices(double* memory, Index rows, Index columns) const {
        return make_view<S>(memory, replicas_, rows, columns, examples_);
    }
    /// M and D of layer k, empty where its β is not trainable.
    ESPECTRA_HD Matrices of_beta(int k, double* memory) const {
        return layers_[k].trainable_beta ? matrices(memory, layers_[k].units, layers_[k].units) : Matrices{};
    }
    ESPECTRA_HD auto parameters(int k) const { return layer_parameters(layers_[k], chunk_.theta); }

    /// Lets all threads of a group see the results of the steps before, where the next step needs those of
    /// other threads. The steps of a backend see them anyway.
    ESPECTRA_HD void publish() const {
        if constexpr (requires { context_.group; }) context_.group.sync();
    }

    /// The output and the derivatives of a layer are stored in this order, layer after layer.
    ESPECTRA_HD State state(int k) const {
        double* memory = states_;
        for (int l = 0; l < k; ++l) memory += replicas_ * examples_ * layer_state_size(layers_[l]);
        const Layer& layer = layers_[k];
        const auto vector = [&](int i) {
            return vectors(memory + i * replicas_ * layer.units * examples_, layer.units);
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
        if (k == 0)
            state.input = chunk_.features;
        else
            state.input =
                vectors(memory - replicas_ * examples_ * layer_state_size(layers_[k - 1]), layer.inputs);
        return state;
    }

    ESPECTRA_HD void forward(int k) const {
        const State s = state(k);
        const auto theta = parameters(k);
        dense_forward(context_, {.activation = layers_[k].activation,
                                 .weights = theta.weights,
                                 .bias = theta.bias,
                                 .beta = theta.beta,
                                 .fixed_beta = layers_[k].fixed_beta,
                                 .input = s.input,
                                 .output = s.output,
                                 .derivatives = s.derivatives});
    }

    /// δ^a and B of the outputs.
    ESPECTRA_HD void evaluate_outputs(const Vectors& delta) const {
        const Index outputs = chunk_.network.outputs();
        evaluate_loss(context_, {.loss = chunk_.network.loss,
                                 .total_examples = chunk_.total_examples,
                                 .logits = state(count_ - 1).output,
                                 .targets = chunk_.targets,
                                 .cost = {},
                                 .delta = delta,
                                 .curvature = matrices(b_, outputs, outputs)});
    }

    /// A, M and D of layer k, and its block with itself.
    ESPECTRA_HD void add_layer_block(int k, const Vectors& delta) const {
        const State s = state(k);
        const Index n = layers_[k].units;
        const Matrices a = matrices(a_, n, n), mixed = of_beta(k, mixed_), beta = of_beta(k, beta_);
        activation_curvature(context_, {.output_curvature = matrices(b_, n, n),
                                        .derivatives = s.derivatives,
                                        .output_delta = chunk_.full ? delta : Vectors{},
                                        .curvature = a,
                                        .mixed = mixed,
                                        .beta_curvature = beta});
        publish();
        contract_layer_block(context_, {.input = s.input,
                                        .curvature = a,
                                        .mixed = mixed,
                                        .beta_curvature = beta,
                                        .offsets = layers_[k].offsets,
                                        .hessian = chunk_.hessian});
    }

    /// δ^h of layer k and δ^a of the layer before, which is read after the cross blocks.
    ESPECTRA_HD void pass_delta(int k, const Vectors& delta, const Vectors& previous_delta) const {
        const State s = state(k);
        const Vectors delta_h = vectors(delta_h_, layers_[k].units);
        copy(context_, delta.data, delta_h.data, delta_h.size());
        publish();
        dense_backward(context_, {.weights = parameters(k).weights,
                                  .input = s.input,
                                  .d_h = s.derivatives.d_h,
                                  .d_beta = {},
                                  .delta = delta_h,
                                  .weights_gradient = {},
                                  .bias_gradient = {},
                                  .beta_gradient = {},
                                  .input_delta = previous_delta});
    }

    /// The blocks of layer k with all layers before it, and B of layer k − 1, whose entries the same threads
    /// of a group read next.
    ESPECTRA_HD void add_cross_blocks(int k) const {
        const Layer& layer = layers_[k];
        const Index n = layer.units, inputs = layer.inputs;
        const State s = state(k);
        const auto weights = parameters(k).weights;
        Matrices v = matrices(v_, n, inputs);
        Matrices u = layer.trainable_beta ? matrices(u_, n, inputs) : Matrices{};
        Matrices j;  // the identity
        pull_back(context_, {.matrix = matrices(a_, n, n), .d_h = {}, .weights = weights, .product = v});
        if (u)
            pull_back(context_, {.matrix = of_beta(k, mixed_), .d_h = {}, .weights = weights, .product = u});
        publish();
        weights_transposed_times(context_,
                                 {.weights = weights, .matrix = v, .product = matrices(b_, inputs, inputs)});
        for (int l = k; l-- > 0;) {
            const State earlier = state(l);
            contract_cross_block(context_, {.input = earlier.input,
                                            .d_h = earlier.derivatives.d_h,
                                            .d_beta = earlier.derivatives.d_beta,
                                            .later_input = s.input,
                                            .curvature = v,
                                            .mixed = u,
                                            .later_delta = chunk_.full ? vectors(delta_h_, n) : Vectors{},
                                            .jacobian = j,
                                            .offsets = layers_[l].offsets,
                                            .later_offsets = layer.offsets,
                                            .hessian = chunk_.hessian});
            if (l == 0) break;
            move(l, v, v_, other_v_);
            if (u) move(l, u, u_, other_u_);
            if (j) {
                move(l, j, j_, other_j_);
            } else {
                j = matrices(j_, inputs, layers_[l].inputs);
                layer_jacobian(
                    context_,
                    {.d_h = earlier.derivatives.d_h, .weights = parameters(l).weights, .jacobian = j});
            }
            publish();
        }
    }

    /// Passes V, U or J, stored in `memory` or `other`, through layer l.
    ESPECTRA_HD void move(int l, Matrices& matrix, double* memory, double* other) const {
        const Matrices moved =
            matrices(matrix.data == memory ? other : memory, matrix.extent[1], layers_[l].inputs);
        pull_back(context_, {.matrix = matrix,
                             .d_h = state(l).derivatives.d_h,
                             .weights = parameters(l).weights,
                             .product = moved});
        matrix = moved;
    }

    C& context_;
    const HessianChunk<S>& chunk_;
    const Layer* layers_;
    int count_;
    Index replicas_, examples_;
    double* next_;  // of the scratch not yet taken
    double *states_, *delta_, *other_delta_, *delta_h_, *b_, *a_, *mixed_, *beta_, *v_, *other_v_, *u_,
        *other_u_, *j_, *other_j_;
};

/// Adds a chunk's share by the recursion of docs/mathematics.md, from the last layer to the first. It is
/// written once: `context` is a backend, which runs each step as kernels, or a group of threads, which run
/// the steps in shared memory (kernels/group/fused_spectrum.hpp).
template <class C>
ESPECTRA_HD void add_hessian_chunk(C& context, const HessianChunk<C::space>& chunk) {
    HessianRecursion<C>(context, chunk).add();
}

}  // namespace espectra
