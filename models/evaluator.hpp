#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/models/forward_pass.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace espectra {

/// Residuals up to this size count as zero (the paper's figure 4).
inline constexpr double zero_residual_tolerance = 1e-5;

/// Cost and gradient of R networks on one set of examples. The context and the examples have to outlive it.
template <Backend B>
class Evaluator {
  public:
    Evaluator(B& context, const Network& network, Examples<B::space> examples, Index replicas)
        : context_(&context),
          forward_(context, network, examples, replicas, ActivationOrder::first),
          cost_(context, replicas),
          gradient_(context, replicas * network.parameters()) {
        for (std::size_t l = 0; l < forward_.layers(); ++l) deltas_.push_back(forward_.per_unit(l));
    }

    /// Computes cost and gradient at θ [R, P].
    void evaluate(View<const double, 2, B::space> theta) {
        forward_.run(theta);
        const std::size_t last = forward_.layers() - 1;
        evaluate_loss(*context_, {.loss = network().loss(),
                                  .total_examples = forward_.examples().count(),
                                  .logits = forward_.logits(),
                                  .targets = targets(),
                                  .cost = cost_.view(replicas()),
                                  .delta = delta(last),
                                  .curvature = {}});
        const auto gradients = gradient_.view(replicas(), network().parameters());
        for (std::size_t l = last + 1; l-- > 0;) {
            const Layer& layer = network().layers()[l];
            const auto derivatives = forward_.derivatives(l);
            const auto gradient = layer_parameters(layer, gradients);
            dense_backward(*context_, {.weights = layer_parameters(layer, theta).weights,
                                       .input = forward_.input(l),
                                       .d_h = derivatives.d_h,
                                       .d_beta = derivatives.d_beta,
                                       .delta = delta(l),
                                       .weights_gradient = gradient.weights,
                                       .bias_gradient = gradient.bias,
                                       .beta_gradient = gradient.beta,
                                       .input_delta = l > 0 ? delta(l - 1) : View<double, 3, B::space>{}});
        }
    }

    /// Computes outputs only.
    void predict(View<const double, 2, B::space> theta) { forward_.run(theta, false); }

    /// Accuracy and fraction of zero residuals [R] of the latest outputs.
    void score(View<double, 1, B::space> accuracy, View<double, 1, B::space> zero_residuals) {
        score_outputs(*context_, {.loss = network().loss(),
                                  .zero_residual_tolerance = zero_residual_tolerance,
                                  .logits = logits(),
                                  .targets = targets(),
                                  .accuracy = accuracy,
                                  .zero_residuals = zero_residuals});
    }

    const Network& network() const { return forward_.network(); }
    Index replicas() const { return forward_.replicas(); }
    View<const double, 1, B::space> cost() const { return cost_.view(replicas()); }
    View<const double, 2, B::space> gradient() const {
        return gradient_.view(replicas(), network().parameters());
    }
    View<const double, 3, B::space> logits() const { return forward_.logits(); }

    /// Bytes that an evaluator takes on its device.
    static std::size_t bytes(const Network& network, Index examples, Index replicas) {
        Index per_example = 0;
        for (const Layer& layer : network.layers())
            per_example += (layer.trainable_beta ? 4 : 3) * layer.units;
        return static_cast<std::size_t>(replicas * (per_example * examples + network.parameters() + 1)) *
                   sizeof(double) +
               scratch_bytes(network, examples, replicas);
    }

    /// Of these, the bytes that its operations take for a while each.
    static std::size_t scratch_bytes(const Network& network, Index examples, Index replicas) {
        Index gradients = 0;
        for (const Layer& layer : network.layers())
            gradients = std::max(
                gradients, dense_backward_scratch<B::space>(replicas, layer.units, layer.inputs, examples));
        const Index outputs = network.outputs();
        return static_cast<std::size_t>(
                   gradients + evaluate_loss_scratch<B::space>(network.loss(), replicas, outputs, examples) +
                   score_outputs_scratch<B::space>(replicas, outputs, examples)) *
               sizeof(double);
    }

  private:
    View<const double, 3, B::space> targets() const { return share(forward_.examples().targets, replicas()); }
    View<double, 3, B::space> delta(std::size_t l) { return forward_.view(deltas_[l], l); }

    B* context_;
    ForwardPass<B> forward_;
    std::vector<Buffer<double, B::space>> deltas_;
    Buffer<double, B::space> cost_, gradient_;
};

}  // namespace espectra
