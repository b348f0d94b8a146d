#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/hessian.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/models/forward_pass.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"

#include <cstddef>
#include <vector>

namespace espectra {

/// Exact Hessian-vector products of R networks: one forward and one backward pass with tangents (Pearlmutter,
/// 1994). For P where P² numbers do not fit, and to check the assembled Hessian. Context and examples have to
/// outlive it.
template <Backend B>
class HessianVectorProduct {
    using Matrices = View<double, 3, B::space>;

  public:
    HessianVectorProduct(B& context, const Network& network, Examples<B::space> examples, Index replicas)
        : context_(&context),
          forward_(context, network, examples, replicas, ActivationOrder::second),
          curvature_(context, replicas * network.outputs() * network.outputs() * examples.count()) {
        for (std::size_t l = 0; l < forward_.layers(); ++l)
            for (auto* buffers : {&output_tangent_, &h_tangent_, &delta_a_, &delta_h_, &delta_tangent_})
                buffers->push_back(forward_.per_unit(l));
    }

    /// Computes product [R, P] = H(θ)·direction for θ and direction [R, P].
    void apply(View<const double, 2, B::space> theta, View<const double, 2, B::space> direction,
               View<double, 2, B::space> product) {
        for (std::size_t l = 0; l < forward_.layers(); ++l) forward_layer(l, theta, direction);
        evaluate_output();
        for (std::size_t l = forward_.layers(); l-- > 0;) backward_layer(l, theta, direction, product);
    }

  private:
    Matrices view(std::vector<Buffer<double, B::space>>& buffers, std::size_t l) {
        return forward_.view(buffers[l], l);
    }
    Matrices view_before(std::vector<Buffer<double, B::space>>& buffers, std::size_t l) {
        return l > 0 ? view(buffers, l - 1) : Matrices{};
    }

    void forward_layer(std::size_t l, View<const double, 2, B::space> theta,
                       View<const double, 2, B::space> direction) {
        const Layer& layer = forward_.network().layers()[l];
        const auto tangent = layer_parameters(layer, direction);
        forward_.run_layer(l, theta);
        dense_tangent_forward(*context_, {.weights = layer_parameters(layer, theta).weights,
                                          .weights_tangent = tangent.weights,
                                          .bias_tangent = tangent.bias,
                                          .beta_tangent = tangent.beta,
                                          .input = forward_.input(l),
                                          .input_tangent = view_before(output_tangent_, l),
                                          .derivatives = forward_.derivatives(l),
                                          .preactivation_tangent = view(h_tangent_, l),
                                          .output_tangent = view(output_tangent_, l)});
    }

    /// Computes δ^a of the outputs and its tangent.
    void evaluate_output() {
        const std::size_t last = forward_.layers() - 1;
        const Index replicas = forward_.replicas(), outputs = forward_.network().outputs();
        const auto examples = forward_.examples();
        const auto curvature = curvature_.view(replicas, outputs, outputs, examples.count());
        evaluate_loss(*context_, {.loss = forward_.network().loss(),
                                  .total_examples = examples.count(),
                                  .logits = forward_.logits(),
                                  .targets = share(examples.targets, replicas),
                                  .cost = {},
                                  .delta = view(delta_a_, last),
                                  .curvature = curvature});
        curvature_times_vector(*context_,
                               {curvature, view(output_tangent_, last), view(delta_tangent_, last)});
    }

    void backward_layer(std::size_t l, View<const double, 2, B::space> theta,
                        View<const double, 2, B::space> direction, View<double, 2, B::space> product) {
        const Layer& layer = forward_.network().layers()[l];
        const auto weights = layer_parameters(layer, theta).weights;
        const auto tangent = layer_parameters(layer, direction);
        const auto gradient = layer_parameters(layer, product);
        const auto derivatives = forward_.derivatives(l);
        copy(*context_, delta_a_[l].data(), delta_h_[l].data(), delta_h_[l].size());
        dense_backward(*context_, {.weights = weights,
                                   .input = forward_.input(l),
                                   .d_h = derivatives.d_h,
                                   .d_beta = {},
                                   .delta = view(delta_h_, l),
                                   .weights_gradient = {},
                                   .bias_gradient = {},
                                   .beta_gradient = {},
                                   .input_delta = view_before(delta_a_, l)});
        dense_tangent_backward(*context_, {.weights = weights,
                                           .weights_tangent = tangent.weights,
                                           .beta_tangent = tangent.beta,
                                           .input = forward_.input(l),
                                           .input_tangent = view_before(output_tangent_, l),
                                           .preactivation_tangent = view(h_tangent_, l),
                                           .derivatives = derivatives,
                                           .output_delta = view(delta_a_, l),
                                           .delta = view(delta_h_, l),
                                           .delta_tangent = view(delta_tangent_, l),
                                           .weights_gradient = gradient.weights,
                                           .bias_gradient = gradient.bias,
                                           .beta_gradient = gradient.beta,
                                           .input_delta_tangent = view_before(delta_tangent_, l)});
    }

    B* context_;
    ForwardPass<B> forward_;
    std::vector<Buffer<double, B::space>> output_tangent_, h_tangent_, delta_a_, delta_h_, delta_tangent_;
    Buffer<double, B::space> curvature_;
};

}  // namespace espectra
