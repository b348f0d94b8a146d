#pragma once

#include "espectra/kernels/activation.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/network_view.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace espectra {

/// The shape of a network as a user states it.
struct NetworkShape {
    std::vector<Index> widths;                   ///< n_0, …, n_L
    std::vector<Activation> hidden_activations;  ///< one per hidden layer, or one for all
    bool trainable_beta = true;  ///< in esp layers, and in the output z = βh of networks with an esp layer
    double fixed_beta = 1.0;     ///< β of esp layers if it is not trainable
    Loss loss = Loss::sigmoid_cross_entropy;
    double negative_slope = 0.01;  ///< of leaky_relu layers

    bool operator==(const NetworkShape&) const = default;
};

/// Layers, loss and the layout of θ: for l = 1 … L, W_l row-major [n_l, n_{l−1}], b_l, then β_l if
/// trainable.
class Network {
  public:
    /// Throws InputError for fewer than two widths, a width below 1 or a wrong number of activations.
    explicit Network(const NetworkShape& shape);

    const NetworkShape& shape() const { return shape_; }
    const std::vector<Layer>& layers() const { return layers_; }
    Loss loss() const { return shape_.loss; }
    /// The network in the form that kernels take; valid as long as this network.
    NetworkView view() const { return {layers_.data(), static_cast<int>(layers_.size()), shape_.loss}; }
    Index parameters() const { return parameters_; }
    Index inputs() const { return layers_.front().inputs; }
    Index outputs() const { return layers_.back().units; }

    std::string widths_text() const;       ///< "64-25-10"
    std::string activations_text() const;  ///< "esp", or "esp-relu" for a mixture

    /// Directions T (rows, entries −1, 0, 1, each of length P) with loss(θ + ε T∘θ) = loss(θ) + O(ε²): one
    /// for each unit whose input can be rescaled against its β or its outgoing weights. Row-major; empty if
    /// no unit can.
    std::vector<double> scaling_directions() const;
    Index scaling_direction_count() const;

  private:
    /// The power p with φ(c·h, β/c) = c^p φ(h, β) in layer l, which the next layer's weights compensate; −1
    /// if there is none.
    int scaling_degree(std::size_t l) const;

    NetworkShape shape_;
    std::vector<Layer> layers_;
    Index parameters_ = 0;
};

/// Features and targets of m examples.
template <Space S>
struct Examples {
    View<const double, 2, S> features;  ///< [n_0, m]
    View<const double, 2, S> targets;   ///< [C, m]
    Index count() const { return features.extent[1]; }
};

}  // namespace espectra
