#pragma once

#include "espectra/models/evaluator.hpp"

#include <vector>

namespace espectra {

/// Exact Hessian-vector products of R networks: one forward and one backward pass with tangents (Pearlmutter,
/// 1994). For P where P² numbers do not fit, and to check the assembled Hessian. Context and examples have to
/// outlive it.
template <Backend B>
class HessianVectorProduct {
  public:
    HessianVectorProduct(B& context, const Network& network, Examples<B::space> examples, Index replicas)
        : context_(&context), network_(network), examples_(examples), replicas_(replicas) {
        const Index m = examples.count();
        for (const Layer& layer : network.layers()) {
            for (auto* buffers : {&output_, &d_h_, &d_beta_, &d_hh_, &d_hbeta_, &d_betabeta_,
                                  &output_tangent_, &h_tangent_, &delta_a_, &delta_h_, &delta_tangent_})
                buffers->emplace_back(context, replicas * layer.units * m);
        }
        curvature_ = Buffer<double, B::space>(context, replicas * network.outputs() * network.outputs() * m);
    }

    /// product [R, P] = H(θ)·direction for θ and direction [R, P].
    void apply(View<const double, 2, B::space> theta, View<const double, 2, B::space> direction,
               View<double, 2, B::space> product) {
        const auto& layers = network_.layers();
        for (std::size_t l = 0; l < layers.size(); ++l) {
            const auto parameters = layer_parameters(layers[l], theta);
            const auto tangent = layer_parameters(layers[l], direction);
            const auto derivatives = derivatives_of(l);
            dense_forward(*context_, {.activation = layers[l].activation,
                                      .weights = parameters.weights,
                                      .bias = parameters.bias,
                                      .beta = parameters.beta,
                                      .fixed_beta = layers[l].fixed_beta,
                                      .input = input(l),
                                      .output = view(output_[l], l),
                                      .derivatives = derivatives});
            dense_tangent_forward(*context_, {.weights = parameters.weights,
                                              .weights_tangent = tangent.weights,
                                              .bias_tangent = tangent.bias,
                                              .beta_tangent = tangent.beta,
                                              .input = input(l),
                                              .input_tangent = input_tangent(l),
                                              .derivatives = derivatives,
                                              .preactivation_tangent = view(h_tangent_[l], l),
                                              .output_tangent = view(output_tangent_[l], l)});
        }
        const std::size_t last = layers.size() - 1;
        const Index outputs = network_.outputs(), m = examples_.count();
        const auto curvature = curvature_.view(replicas_, outputs, outputs, m);
        evaluate_loss(*context_, {.loss = network_.loss(),
                                  .total_examples = m,
                                  .logits = view(output_[last], last),
                                  .targets = share(examples_.targets, replicas_),
                                  .cost = {},
                                  .delta = view(delta_a_[last], last),
                                  .curvature = curvature});
        curvature_times_vector(*context_, curvature, view(output_tangent_[last], last),
                               view(delta_tangent_[last], last));
        for (std::size_t l = last + 1; l-- > 0;) {
            const auto parameters = layer_parameters(layers[l], theta);
            const auto tangent = layer_parameters(layers[l], direction);
            const auto gradient = layer_parameters(layers[l], product);
            const auto derivatives = derivatives_of(l);
            copy(*context_, delta_a_[l].data(), delta_h_[l].data(), delta_h_[l].size());
            dense_backward(*context_, {.weights = parameters.weights,
                                       .input = input(l),
                                       .d_h = derivatives.d_h,
                                       .d_beta = {},
                                       .delta = view(delta_h_[l], l),
                                       .weights_gradient = {},
                                       .bias_gradient = {},
                                       .beta_gradient = {},
                                       .input_delta = l > 0 ? view(delta_a_[l - 1], l - 1) : empty});
            dense_tangent_backward(
                *context_, {.weights = parameters.weights,
                            .weights_tangent = tangent.weights,
                            .beta_tangent = tangent.beta,
                            .input = input(l),
                            .input_tangent = input_tangent(l),
                            .preactivation_tangent = view(h_tangent_[l], l),
                            .derivatives = derivatives,
                            .output_delta = view(delta_a_[l], l),
                            .delta = view(delta_h_[l], l),
                            .delta_tangent = view(delta_tangent_[l], l),
                            .weights_gradient = gradient.weights,
                            .bias_gradient = gradient.bias,
                            .beta_gradient = gradient.beta,
                            .input_delta_tangent = l > 0 ? view(delta_tangent_[l - 1], l - 1) : empty});
        }
    }

  private:
    static constexpr View<double, 3, B::space> empty{};

    View<double, 3, B::space> view(Buffer<double, B::space>& buffer, std::size_t l) {
        return buffer.view(replicas_, network_.layers()[l].units, examples_.count());
    }
    View<const double, 3, B::space> input(std::size_t l) {
        return l == 0 ? share(examples_.features, replicas_)
                      : View<const double, 3, B::space>(view(output_[l - 1], l - 1));
    }
    View<const double, 3, B::space> input_tangent(std::size_t l) {
        return l == 0 ? View<const double, 3, B::space>{}
                      : View<const double, 3, B::space>(view(output_tangent_[l - 1], l - 1));
    }
    ActivationDerivatives<double, B::space> derivatives_of(std::size_t l) {
        ActivationDerivatives<double, B::space> d;
        d.d_h = view(d_h_[l], l);
        d.d_hh = view(d_hh_[l], l);
        if (network_.layers()[l].trainable_beta) {
            d.d_beta = view(d_beta_[l], l);
            d.d_hbeta = view(d_hbeta_[l], l);
            d.d_betabeta = view(d_betabeta_[l], l);
        }
        return d;
    }

    B* context_;
    Network network_;
    Examples<B::space> examples_;
    Index replicas_;
    std::vector<Buffer<double, B::space>> output_, d_h_, d_beta_, d_hh_, d_hbeta_, d_betabeta_,
        output_tangent_, h_tangent_, delta_a_, delta_h_, delta_tangent_;
    Buffer<double, B::space> curvature_;
};

}  // namespace espectra
