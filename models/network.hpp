#pragma once

#include "espectra/kernels/activation.hpp"
#include "espectra/kernels/hessian.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace espectra {

/// One dense layer a = φ(W·input + b, β) and where its parameters stand in θ.
struct Layer {
    Index inputs = 0, units = 0;
    Activation activation = Activation::linear;
    bool trainable_beta = false;
    double fixed_beta = 1.0;  ///< β of all units where it is not trainable
    LayerOffsets offsets;
};

/// What a network is made of, as a user states it.
struct NetworkShape {
    std::vector<Index> widths;                   ///< n_0, …, n_L
    std::vector<Activation> hidden_activations;  ///< one per hidden layer, or one for all
    bool trainable_beta = true;  ///< in esp layers, and at the output of networks that have one: z = βh
    double fixed_beta = 1.0;     ///< of esp layers where β is not trainable
    Loss loss = Loss::sigmoid_cross_entropy;
};

/// Layers, loss and the layout of θ: for l = 1 … L, W_l row-major [n_l, n_{l−1}], b_l, then β_l where
/// trainable.
class Network {
  public:
    /// Throws InputError for fewer than two widths, a width below 1 or a wrong number of activations.
    explicit Network(const NetworkShape& shape);

    const NetworkShape& shape() const { return shape_; }
    const std::vector<Layer>& layers() const { return layers_; }
    Loss loss() const { return shape_.loss; }
    Index parameters() const { return parameters_; }
    Index inputs() const { return layers_.front().inputs; }
    Index outputs() const { return layers_.back().units; }

    std::string widths_text() const;       ///< "64-25-10"
    std::string activations_text() const;  ///< "esp", or "esp-relu" for a mixture

    /// Directions T (rows, entries −1, 0, 1, each of length P) with loss(θ + ε T∘θ) = loss(θ) + O(ε²): one
    /// for each unit whose input can be rescaled against its β or its outgoing weights. Row-major; empty if
    /// there are none.
    std::vector<double> scaling_directions() const;
    Index scaling_direction_count() const;

  private:
    /// c·φ(h, β) against φ(c·h, β/c) in layer l: the power of c that comes out and the next weights take
    /// back; −1 where it does not scale.
    int scaling_degree(std::size_t l) const;

    NetworkShape shape_;
    std::vector<Layer> layers_;
    Index parameters_ = 0;
};

/// Distribution of the initial β of layers that train it.
struct InitialBeta {
    double mean = 0.0, standard_deviation = 0.004;
};

/// Initial θ: Xavier-uniform weights (Glorot and Bengio, 2010), zero biases, β ~ N(mean,
/// standard_deviation²).
std::vector<double> initial_theta(const Network& network, const InitialBeta& beta, std::uint64_t seed);

/// Views of one layer's part of R parameter vectors [R, P].
template <class T, Space S>
struct LayerParameters {
    View<T, 3, S> weights;  ///< [R, n, k]
    View<T, 2, S> bias;     ///< [R, n]
    View<T, 2, S> beta;     ///< [R, n], empty where not trainable
};

template <class T, Space S>
LayerParameters<T, S> layer_parameters(const Layer& layer, View<T, 2, S> theta) {
    const auto vector = [&](Index offset) {
        View<T, 2, S> view = theta.slice(1, offset, layer.units);
        return view;
    };
    LayerParameters<T, S> parameters;
    parameters.weights.data = theta.data + layer.offsets.weights;
    const Index extents[] = {theta.extent[0], layer.units, layer.inputs};
    const Index strides[] = {theta.stride[0], layer.inputs, 1};
    for (int axis = 0; axis < 3; ++axis) {
        parameters.weights.extent[axis] = extents[axis];
        parameters.weights.stride[axis] = strides[axis];
    }
    parameters.bias = vector(layer.offsets.bias);
    if (layer.trainable_beta) parameters.beta = vector(layer.offsets.beta);
    return parameters;
}

/// Features and targets of m examples.
template <Space S>
struct Examples {
    View<const double, 2, S> features;  ///< [n_0, m]
    View<const double, 2, S> targets;   ///< [C, m]
    Index count() const { return features.extent[1]; }
};

}  // namespace espectra
