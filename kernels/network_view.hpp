#pragma once

#include "espectra/kernels/layer.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/runtime/error.hpp"

namespace espectra {

/// A network as operations take it: a few words by value. The layers are stored elsewhere in host memory, in
/// models/network.hpp as a rule, and have to outlive the call.
struct NetworkView {
    const Layer* layers = nullptr;
    int count = 0;  ///< of layers
    Loss loss = Loss::sigmoid_cross_entropy;

    ESPECTRA_HD const Layer& last() const { return layers[count - 1]; }
    ESPECTRA_HD Index inputs() const { return layers[0].inputs; }
    ESPECTRA_HD Index outputs() const { return last().units; }
    ESPECTRA_HD Index parameters() const {
        Index sum = 0;
        for (int l = 0; l < count; ++l) sum += layers[l].parameters();
        return sum;
    }
};

/// A layer in 32-bit integers; `weights` (row-major [n, k]), `bias` and `beta` are positions in θ.
struct FusedLayer {
    int inputs, units;
    Activation activation;
    bool trainable_beta;
    double fixed_beta;
    int weights, bias, beta;
};

/// A network with its layers by value, for kernels that carry it in their arguments.
struct FusedNetwork {
    static constexpr int most_layers = 8;
    static constexpr Index most_parameters = 1 << 20;  ///< far more than fits into any fused kernel

    int count = 0;  ///< of layers
    FusedLayer layers[most_layers] = {};
    int parameters = 0;
    Loss loss = Loss::sigmoid_cross_entropy;

    static bool holds(const NetworkView& network) {
        return network.count <= most_layers && network.parameters() <= most_parameters;
    }
};

/// Throws InputError where FusedNetwork::holds is false.
inline FusedNetwork fused_network(const NetworkView& network) {
    if (!FusedNetwork::holds(network)) throw InputError("fused kernels: the network has too many layers");
    FusedNetwork fused;
    for (int l = 0; l < network.count; ++l) {
        const Layer& layer = network.layers[l];
        fused.layers[fused.count++] = {.inputs = static_cast<int>(layer.inputs),
                                       .units = static_cast<int>(layer.units),
                                       .activation = layer.activation,
                                       .trainable_beta = layer.trainable_beta,
                                       .fixed_beta = layer.fixed_beta,
                                       .weights = static_cast<int>(layer.offsets.weights),
                                       .bias = static_cast<int>(layer.offsets.bias),
                                       .beta = static_cast<int>(layer.offsets.beta)};
    }
    fused.parameters = static_cast<int>(network.parameters());
    fused.loss = network.loss;
    return fused;
}

}  // namespace espectra
