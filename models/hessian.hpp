#pragma once

#include "espectra/kernels/hessian.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <vector>

namespace espectra {

enum class HessianPart {
    full,          ///< ∇²ℓ
    gauss_newton,  ///< Jᵀ (∂²ℓ/∂z∂z) J: the part without second derivatives of the network
};

/// Exact Hessians of R networks by structure: nothing but matrix products over chunks of examples
/// (docs/mathematics.md). The context and the examples have to outlive it.
template <Backend B>
class HessianAssembler {
    using Matrix3 = View<double, 3, B::space>;
    using Matrix4 = View<double, 4, B::space>;

  public:
    /// Per-example quantities are held for as many examples at a time as fit into `chunk_bytes`.
    HessianAssembler(B& context, const Network& network, Examples<B::space> examples, Index replicas,
                     std::size_t chunk_bytes = default_chunk_bytes)
        : context_(&context), network_(network), examples_(examples), replicas_(replicas) {
        require_equal("network inputs against data features", network.inputs(), examples.features.extent[0]);
        require_equal("network outputs against data targets", network.outputs(), examples.targets.extent[0]);
        chunk_ = chunk_examples(network, examples.count(), replicas, chunk_bytes);
        buffer_ = Buffer<double, B::space>(context, replicas * chunk_ * doubles_per_example(network));
    }

    static constexpr std::size_t default_chunk_bytes = std::size_t{48} << 20;

    /// Memory of the per-example quantities.
    static std::size_t bytes(const Network& network, Index examples, Index replicas,
                             std::size_t chunk_bytes = default_chunk_bytes) {
        const Index chunk = chunk_examples(network, examples, replicas, chunk_bytes);
        return static_cast<std::size_t>(replicas * chunk * doubles_per_example(network)) * sizeof(double);
    }

    /// Upper triangles of the Hessians [R, P, P] at θ [R, P]; the strict lower triangles are left as they
    /// are.
    void assemble(View<const double, 2, B::space> theta, Matrix3 hessian,
                  HessianPart part = HessianPart::full) {
        require_equal("Hessian rows", network_.parameters(), hessian.extent[1]);
        clear_upper(*context_, hessian);
        for (Index begin = 0; begin < examples_.count(); begin += chunk_)
            add_chunk(theta, begin, std::min(chunk_, examples_.count() - begin), hessian, part);
    }

  private:
    /// Quantities of one layer that the whole chunk keeps.
    struct LayerState {
        View<const double, 3, B::space> input;
        Matrix3 output;
        ActivationDerivatives<double, B::space> derivatives;
    };

    /// Numbers per example: layer states, δ^a of two neighbouring layers and δ^h, and the matrices between
    /// layers: B, A, M, D; V and U, each with the product that it is moved by; J likewise.
    struct Sizes {
        Index states = 0, width = 0, square = 0, cross = 0, jacobian = 0;
        Index total() const { return states + 3 * width + 4 * square + 4 * cross + 2 * jacobian; }
    };

    static Sizes sizes(const Network& network) {
        Sizes sizes;
        const auto& layers = network.layers();
        for (std::size_t k = 0; k < layers.size(); ++k) {
            const Index n = layers[k].units;
            sizes.states += (layers[k].trainable_beta ? 6 : 3) * n;
            sizes.width = std::max(sizes.width, n);
            sizes.square = std::max(sizes.square, n * n);
            for (std::size_t l = 0; l < k; ++l) sizes.cross = std::max(sizes.cross, n * layers[l].units);
            for (std::size_t l = 0; l + 1 < k; ++l)
                sizes.jacobian = std::max(sizes.jacobian, layers[k - 1].units * layers[l].units);
        }
        return sizes;
    }

    static Index doubles_per_example(const Network& network) { return sizes(network).total(); }

    static Index chunk_examples(const Network& network, Index examples, Index replicas,
                                std::size_t chunk_bytes) {
        const auto fitting =
            static_cast<Index>(chunk_bytes / sizeof(double)) / (replicas * doubles_per_example(network));
        return std::clamp<Index>(fitting, 1, std::max<Index>(examples, 1));
    }

    void add_chunk(View<const double, 2, B::space> theta, Index begin, Index m, Matrix3 hessian,
                   HessianPart part) {
        Index used = 0;
        const auto take = [&](Index size) {
            double* memory = buffer_.data() + used;
            used += size;
            return memory;
        };
        const auto vector = [&](Index units) {
            return make_view<B::space>(take(replicas_ * units * m), replicas_, units, m);
        };
        const auto matrix_at = [&](double* memory, Index rows, Index columns) {
            return make_view<B::space>(memory, replicas_, rows, columns, m);
        };
        const auto& layers = network_.layers();
        const bool full = part == HessianPart::full;

        std::vector<LayerState> states;
        auto input = share(examples_.features.slice(1, begin, m), replicas_);
        for (const Layer& layer : layers) {
            LayerState state;
            state.input = input;
            state.output = vector(layer.units);
            auto& d = state.derivatives;
            d.d_h = vector(layer.units);
            d.d_hh = vector(layer.units);
            if (layer.trainable_beta) {
                d.d_beta = vector(layer.units);
                d.d_hbeta = vector(layer.units);
                d.d_betabeta = vector(layer.units);
            }
            const auto parameters = layer_parameters(layer, theta);
            dense_forward(*context_, {.activation = layer.activation,
                                      .weights = parameters.weights,
                                      .bias = parameters.bias,
                                      .beta = parameters.beta,
                                      .fixed_beta = layer.fixed_beta,
                                      .input = input,
                                      .output = state.output,
                                      .derivatives = d});
            input = state.output;
            states.push_back(state);
        }

        const Sizes size = sizes(network_);
        const auto take_per_example = [&](Index count) { return take(replicas_ * count * m); };
        double* delta_memory[] = {take_per_example(size.width), take_per_example(size.width)};
        double* delta_h_memory = take_per_example(size.width);
        double *b_memory = take_per_example(size.square), *a_memory = take_per_example(size.square);
        double *mixed_memory = take_per_example(size.square), *beta_memory = take_per_example(size.square);
        double* v_memory[] = {take_per_example(size.cross), take_per_example(size.cross)};
        double* u_memory[] = {take_per_example(size.cross), take_per_example(size.cross)};
        double* j_memory[] = {take_per_example(size.jacobian), take_per_example(size.jacobian)};

        Matrix3 delta_a = make_view<B::space>(delta_memory[0], replicas_, network_.outputs(), m);
        evaluate_loss(*context_, {.loss = network_.loss(),
                                  .total_examples = examples_.count(),
                                  .logits = states.back().output,
                                  .targets = share(examples_.targets.slice(1, begin, m), replicas_),
                                  .cost = {},
                                  .delta = delta_a,
                                  .curvature = matrix_at(b_memory, network_.outputs(), network_.outputs())});

        for (std::size_t k = layers.size(); k-- > 0;) {
            const Layer& layer = layers[k];
            const LayerState& state = states[k];
            const auto parameters = layer_parameters(layer, theta);
            const bool beta = layer.trainable_beta;
            const Index n = layer.units;
            const auto a = matrix_at(a_memory, n, n);
            const auto mixed = beta ? matrix_at(mixed_memory, n, n) : Matrix4{};
            const auto beta_curvature = beta ? matrix_at(beta_memory, n, n) : Matrix4{};
            activation_curvature(*context_, {.output_curvature = matrix_at(b_memory, n, n),
                                             .derivatives = state.derivatives,
                                             .output_delta = full ? delta_a : Matrix3{},
                                             .curvature = a,
                                             .mixed = mixed,
                                             .beta_curvature = beta_curvature});
            contract_layer_block(*context_, {.input = state.input,
                                             .curvature = a,
                                             .mixed = mixed,
                                             .beta_curvature = beta_curvature,
                                             .offsets = layer.offsets,
                                             .hessian = hessian});
            if (k == 0) break;

            // δ^h of this layer, δ^a of the one before.
            const Index inputs = layer.inputs;
            const auto delta_h = make_view<B::space>(delta_h_memory, replicas_, n, m);
            copy(*context_, delta_a.data, delta_h.data, delta_h.size());
            const auto previous_delta =
                make_view<B::space>(delta_memory[delta_a.data == delta_memory[0]], replicas_, inputs, m);
            dense_backward(*context_, {.weights = parameters.weights,
                                       .input = state.input,
                                       .d_h = state.derivatives.d_h,
                                       .d_beta = {},
                                       .delta = delta_h,
                                       .weights_gradient = {},
                                       .bias_gradient = {},
                                       .beta_gradient = {},
                                       .input_delta = previous_delta});

            auto v = matrix_at(v_memory[0], n, inputs);
            auto u = beta ? matrix_at(u_memory[0], n, inputs) : Matrix4{};
            Matrix4 j;  // the identity
            pull_back(*context_, {.matrix = a, .d_h = {}, .weights = parameters.weights, .product = v});
            if (beta)
                pull_back(*context_,
                          {.matrix = mixed, .d_h = {}, .weights = parameters.weights, .product = u});
            weights_transposed_times(
                *context_,
                {.weights = parameters.weights, .matrix = v, .product = matrix_at(b_memory, inputs, inputs)});
            for (std::size_t l = k; l-- > 0;) {
                const Layer& earlier = layers[l];
                const LayerState& earlier_state = states[l];
                contract_cross_block(*context_, {.input = earlier_state.input,
                                                 .d_h = earlier_state.derivatives.d_h,
                                                 .d_beta = earlier_state.derivatives.d_beta,
                                                 .later_input = state.input,
                                                 .curvature = v,
                                                 .mixed = u,
                                                 .later_delta = full ? delta_h : Matrix3{},
                                                 .jacobian = j,
                                                 .offsets = earlier.offsets,
                                                 .later_offsets = layer.offsets,
                                                 .hessian = hessian});
                if (l == 0) break;
                const auto weights = layer_parameters(earlier, theta).weights;
                const View<const double, 3, B::space> d_h = earlier_state.derivatives.d_h;
                const auto move = [&](Matrix4& matrix, double** memory) {
                    const auto moved =
                        matrix_at(memory[matrix.data == memory[0]], matrix.extent[1], earlier.inputs);
                    pull_back(*context_,
                              {.matrix = matrix, .d_h = d_h, .weights = weights, .product = moved});
                    matrix = moved;
                };
                move(v, v_memory);
                if (beta) move(u, u_memory);
                if (j) {
                    move(j, j_memory);
                } else {
                    j = matrix_at(j_memory[0], inputs, earlier.inputs);
                    layer_jacobian(*context_, {.d_h = d_h, .weights = weights, .jacobian = j});
                }
            }
            delta_a = previous_delta;
        }
    }

    B* context_;
    Network network_;
    Examples<B::space> examples_;
    Index replicas_, chunk_ = 1;
    Buffer<double, B::space> buffer_;
};

}  // namespace espectra
