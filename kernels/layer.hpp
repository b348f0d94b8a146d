#pragma once

#include "espectra/kernels/activation.hpp"
#include "espectra/runtime/view.hpp"

namespace espectra {

/// Positions of a layer's parameters in θ: weights row-major [n, k], then n biases, then n β if trainable.
struct LayerOffsets {
    Index weights = 0, bias = 0;
    Index beta = -1;  ///< −1: β is not trainable

    /// Position of the weight of unit i and input j < `inputs`, or of the bias of unit i for j = `inputs`.
    ESPECTRA_HD constexpr Index position(Index inputs, Index i, Index j) const {
        return j < inputs ? weights + i * inputs + j : bias + i;
    }
};

/// One dense layer a = φ(W·input + b, β) and the positions of its parameters in θ.
struct Layer {
    Index inputs = 0, units = 0;
    Activation activation = Activation::linear;
    bool trainable_beta = false;
    double fixed_beta = 1.0;  ///< β of all units where it is not trainable
    LayerOffsets offsets;

    /// Position in θ of the weight of unit i and input j, or of the bias of unit i for j = inputs.
    ESPECTRA_HD Index position(Index i, Index j) const { return offsets.position(inputs, i, j); }
    ESPECTRA_HD Index parameters() const { return units * (inputs + (trainable_beta ? 2 : 1)); }
};

/// Views of one layer's part of R parameter vectors [R, P].
template <class T, Space S>
struct LayerParameters {
    View<T, 3, S> weights;  ///< [R, n, k]
    View<T, 2, S> bias;     ///< [R, n]
    View<T, 2, S> beta;     ///< [R, n], empty where not trainable
};

template <class T, Space S>
ESPECTRA_HD LayerParameters<T, S> layer_parameters(const Layer& layer, View<T, 2, S> theta) {
    LayerParameters<T, S> parameters;
    parameters.weights.data = theta.data + layer.offsets.weights;
    const Index extents[] = {theta.extent[0], layer.units, layer.inputs};
    const Index strides[] = {theta.stride[0], layer.inputs, 1};
    for (int axis = 0; axis < 3; ++axis) {
        parameters.weights.extent[axis] = extents[axis];
        parameters.weights.stride[axis] = strides[axis];
    }
    parameters.bias = theta.slice(1, layer.offsets.bias, layer.units);
    if (layer.trainable_beta) parameters.beta = theta.slice(1, layer.offsets.beta, layer.units);
    return parameters;
}

}  // namespace espectra
