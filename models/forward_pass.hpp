#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <cstddef>
#include <vector>

namespace espectra {

/// Derivatives of the activations that a forward pass stores.
enum class ActivationOrder {
    first,   ///< φ_h, φ_β
    second,  ///< in addition φ_hh, φ_hβ, φ_ββ
};

/// Outputs of all layers of R networks on m examples, and the derivatives of their activations. Layers count
/// from 0. The context and the examples have to outlive it.
template <Backend B>
class ForwardPass {
    using ConstMatrices = View<const double, 3, B::space>;

  public:
    /// Throws InputError where the data do not fit the network.
    ForwardPass(B& context, const Network& network, Examples<B::space> examples, Index replicas,
                ActivationOrder order)
        : context_(&context), network_(network), examples_(examples), replicas_(replicas), order_(order) {
        require_equal("network inputs against data features", network.inputs(), examples.features.extent[0]);
        require_equal("network outputs against data targets", network.outputs(), examples.targets.extent[0]);
        const bool second = order == ActivationOrder::second;
        for (std::size_t l = 0; l < network.layers().size(); ++l) {
            const bool beta = network.layers()[l].trainable_beta;
            outputs_.push_back(per_unit(l));
            d_h_.push_back(per_unit(l));
            d_beta_.push_back(per_unit(l, beta));
            d_hh_.push_back(per_unit(l, second));
            d_hbeta_.push_back(per_unit(l, second && beta));
            d_betabeta_.push_back(per_unit(l, second && beta));
        }
    }

    const Network& network() const { return network_; }
    Examples<B::space> examples() const { return examples_; }
    Index replicas() const { return replicas_; }
    std::size_t layers() const { return outputs_.size(); }

    /// A buffer for one number per replica, unit of layer l and example; without elements if not `wanted`.
    Buffer<double, B::space> per_unit(std::size_t l, bool wanted = true) {
        const Index size = replicas_ * network_.layers()[l].units * examples_.count();
        return Buffer<double, B::space>(*context_, wanted ? size : 0);
    }

    /// A buffer of per_unit() as [R, n_l, m].
    View<double, 3, B::space> view(Buffer<double, B::space>& buffer, std::size_t l) const {
        return buffer.view(replicas_, network_.layers()[l].units, examples_.count());
    }

    /// Computes the outputs of layer l at θ [R, P] from those of the layer before, with derivatives or
    /// without.
    void run_layer(std::size_t l, View<const double, 2, B::space> theta, bool derivatives = true) {
        const Layer& layer = network_.layers()[l];
        const auto parameters = layer_parameters(layer, theta);
        dense_forward(*context_, {.activation = layer.activation,
                                  .weights = parameters.weights,
                                  .bias = parameters.bias,
                                  .beta = parameters.beta,
                                  .fixed_beta = layer.fixed_beta,
                                  .input = input(l),
                                  .output = view(outputs_[l], l),
                                  .derivatives = derivatives ? this->derivatives(l)
                                                             : ActivationDerivatives<double, B::space>{}});
    }

    /// Computes the outputs of all layers.
    void run(View<const double, 2, B::space> theta, bool derivatives = true) {
        for (std::size_t l = 0; l < layers(); ++l) run_layer(l, theta, derivatives);
    }

    ConstMatrices output(std::size_t l) const {
        return outputs_[l].view(replicas_, network_.layers()[l].units, examples_.count());
    }
    /// Outputs of the layer before, or the features.
    ConstMatrices input(std::size_t l) const {
        return l == 0 ? share(examples_.features, replicas_) : output(l - 1);
    }
    ConstMatrices logits() const { return output(layers() - 1); }

    ActivationDerivatives<double, B::space> derivatives(std::size_t l) {
        const bool beta = network_.layers()[l].trainable_beta, second = order_ == ActivationOrder::second;
        ActivationDerivatives<double, B::space> stored;
        stored.d_h = view(d_h_[l], l);
        if (beta) stored.d_beta = view(d_beta_[l], l);
        if (second) stored.d_hh = view(d_hh_[l], l);
        if (second && beta) {
            stored.d_hbeta = view(d_hbeta_[l], l);
            stored.d_betabeta = view(d_betabeta_[l], l);
        }
        return stored;
    }

  private:
    B* context_;
    Network network_;
    Examples<B::space> examples_;
    Index replicas_;
    ActivationOrder order_;
    std::vector<Buffer<double, B::space>> outputs_, d_h_, d_beta_, d_hh_, d_hbeta_, d_betabeta_;
};

}  // namespace espectra
