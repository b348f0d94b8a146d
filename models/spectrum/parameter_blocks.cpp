#include "espectra/models/spectrum/parameter_blocks.hpp"

#include <numeric>

namespace espectra {

std::vector<ParameterBlock> parameter_blocks(const Network& network) {
    std::vector<ParameterBlock> blocks;
    ParameterBlock weights{"weights", {}}, biases{"biases", {}}, betas{"betas", {}};
    const auto append = [](ParameterBlock& block, Index first, Index count) {
        for (Index i = 0; i < count; ++i) block.parameters.push_back(first + i);
    };
    for (const Layer& layer : network.layers()) {
        const LayerOffsets& offsets = layer.offsets;
        ParameterBlock& whole = blocks.emplace_back("layer_" + std::to_string(blocks.size() + 1));
        append(whole, offsets.weights, layer.parameters());
        append(weights, offsets.weights, layer.units * layer.inputs);
        append(biases, offsets.bias, layer.units);
        if (layer.trainable_beta) append(betas, offsets.beta, layer.units);
    }
    for (ParameterBlock* kind : {&weights, &biases, &betas})
        if (!kind->parameters.empty()) blocks.push_back(std::move(*kind));
    return blocks;
}

}  // namespace espectra
