#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <vector>

namespace espectra {

/// Residuals up to this size count as zero (the paper's figure 4).
inline constexpr double zero_residual_tolerance = 1e-5;

/// Cost and gradient of R networks on one set of examples. The context and the examples have to outlive it.
template <Backend B>
class Evaluator {
  public:
    Evaluator(B& context, const Network& network, Examples<B::space> examples, Index replicas)
        : context_(&context), network_(network), examples_(examples), replicas_(replicas) {
        require_equal("network inputs against data features", network.inputs(), examples.features.extent[0]);
        require_equal("network outputs against data targets", network.outputs(), examples.targets.extent[0]);
        const Index m = examples.count();
        for (const Layer& layer : network.layers()) {
            const Index size = replicas * layer.units * m;
            outputs_.emplace_back(context, size);
            d_h_.emplace_back(context, size);
            d_beta_.emplace_back(context, layer.trainable_beta ? size : 0);
            deltas_.emplace_back(context, size);
        }
        cost_ = Buffer<double, B::space>(context, replicas);
        gradient_ = Buffer<double, B::space>(context, replicas * network.parameters());
    }

    /// Cost and gradient at θ [R, P].
    void evaluate(View<const double, 2, B::space> theta) {
        forward(theta, true);
        const std::size_t last = outputs_.size() - 1;
        evaluate_loss(*context_, {.loss = network_.loss(),
                                  .total_examples = examples_.count(),
                                  .logits = output(last),
                                  .targets = share(examples_.targets, replicas_),
                                  .cost = cost_.view(replicas_),
                                  .delta = view(deltas_[last], last),
                                  .curvature = {}});
        const auto gradients = gradient_.view(replicas_, network_.parameters());
        for (std::size_t l = last + 1; l-- > 0;) {
            const Layer& layer = network_.layers()[l];
            const auto parameters = layer_parameters(layer, theta);
            const auto gradient = layer_parameters(layer, gradients);
            dense_backward(*context_, {.weights = parameters.weights,
                                       .input = input(l),
                                       .d_h = view(d_h_[l], l),
                                       .d_beta = layer.trainable_beta ? view(d_beta_[l], l) : empty,
                                       .delta = view(deltas_[l], l),
                                       .weights_gradient = gradient.weights,
                                       .bias_gradient = gradient.bias,
                                       .beta_gradient = gradient.beta,
                                       .input_delta = l > 0 ? view(deltas_[l - 1], l - 1) : empty});
        }
    }

    /// Outputs only.
    void predict(View<const double, 2, B::space> theta) { forward(theta, false); }

    /// Accuracy and fraction of zero residuals [R] of the latest outputs.
    void score(View<double, 1, B::space> accuracy, View<double, 1, B::space> zero_residuals) {
        score_outputs(*context_, {.loss = network_.loss(),
                                  .zero_residual_tolerance = zero_residual_tolerance,
                                  .logits = output(outputs_.size() - 1),
                                  .targets = share(examples_.targets, replicas_),
                                  .accuracy = accuracy,
                                  .zero_residuals = zero_residuals});
    }

    const Network& network() const { return network_; }
    Index replicas() const { return replicas_; }
    View<const double, 1, B::space> cost() const { return cost_.view(replicas_); }
    View<const double, 2, B::space> gradient() const {
        return gradient_.view(replicas_, network_.parameters());
    }
    View<const double, 3, B::space> logits() const { return output(outputs_.size() - 1); }

    /// Memory that an evaluator takes on its device.
    static std::size_t bytes(const Network& network, Index examples, Index replicas) {
        Index per_example = 0, largest_layer = 0;
        for (const Layer& layer : network.layers()) {
            per_example += (layer.trainable_beta ? 4 : 3) * layer.units;
            largest_layer = std::max(largest_layer, layer.units * (layer.inputs + 2));
        }
        // Backpropagation holds a share of one layer's gradient for each block of examples.
        const Index shares = (examples / dense_example_block + 1) * largest_layer;
        return static_cast<std::size_t>(replicas * (per_example * examples + network.parameters() + shares)) *
               sizeof(double);
    }

  private:
    static constexpr View<double, 3, B::space> empty{};

    View<double, 3, B::space> view(Buffer<double, B::space>& buffer, std::size_t l) {
        return buffer.view(replicas_, network_.layers()[l].units, examples_.count());
    }
    View<const double, 3, B::space> output(std::size_t l) const {
        return outputs_[l].view(replicas_, network_.layers()[l].units, examples_.count());
    }
    View<const double, 3, B::space> input(std::size_t l) const {
        return l == 0 ? share(examples_.features, replicas_) : output(l - 1);
    }

    void forward(View<const double, 2, B::space> theta, bool derivatives) {
        for (std::size_t l = 0; l < outputs_.size(); ++l) {
            const Layer& layer = network_.layers()[l];
            const auto parameters = layer_parameters(layer, theta);
            dense_forward(
                *context_,
                {.activation = layer.activation,
                 .weights = parameters.weights,
                 .bias = parameters.bias,
                 .beta = parameters.beta,
                 .fixed_beta = layer.fixed_beta,
                 .input = input(l),
                 .output = view(outputs_[l], l),
                 .derivatives = {.d_h = derivatives ? view(d_h_[l], l) : empty,
                                 .d_beta = derivatives && layer.trainable_beta ? view(d_beta_[l], l) : empty,
                                 .d_hh = {},
                                 .d_hbeta = {},
                                 .d_betabeta = {}}});
        }
    }

    B* context_;
    Network network_;
    Examples<B::space> examples_;
    Index replicas_;
    std::vector<Buffer<double, B::space>> outputs_, d_h_, d_beta_, deltas_;
    Buffer<double, B::space> cost_, gradient_;
};

}  // namespace espectra
