#include "espectra/models/network.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace espectra {

Network::Network(const NetworkShape& shape) : shape_(shape) {
    const std::size_t layers = shape.widths.size() - 1;
    if (shape.widths.size() < 2) throw InputError("network: expected at least an input and an output width");
    for (std::size_t l = 0; l < shape.widths.size(); ++l)
        if (shape.widths[l] < 1)
            throw InputError(
                fmt::format("network: width {} (layer {}): expected at least 1", shape.widths[l], l));
    double parameters = 0;
    for (std::size_t l = 0; l < layers; ++l)
        parameters += (static_cast<double>(shape.widths[l]) + 2) * static_cast<double>(shape.widths[l + 1]);
    if (parameters > 1e15)  // keeps every count from overflowing; far fewer can be computed
        throw InputError(fmt::format("network: widths {}: {:.3g} parameters are too many",
                                     fmt::join(shape.widths, "-"), parameters));
    const auto& activations = shape.hidden_activations;
    if (activations.size() != 1 && activations.size() != layers - 1)
        throw InputError(fmt::format("network: expected 1 or {} hidden activations, got {}", layers - 1,
                                     activations.size()));
    if (shape_.hidden_activations.size() == 1)
        shape_.hidden_activations.assign(layers - 1, activations.front());

    const auto trained = [&](Activation activation) {
        return shape.trainable_beta && traits_of(activation).beta == BetaRole::sharpness;
    };
    const bool output_beta = std::ranges::any_of(shape_.hidden_activations, trained);
    for (std::size_t l = 0; l < layers; ++l) {
        Layer layer;
        layer.inputs = shape.widths[l];
        layer.units = shape.widths[l + 1];
        const bool output = l + 1 == layers;
        layer.activation = output ? Activation::linear : shape_.hidden_activations[l];
        layer.trainable_beta = output ? output_beta : trained(layer.activation);
        switch (traits_of(layer.activation).beta) {
            case BetaRole::one:
                break;
            case BetaRole::sharpness:
                layer.fixed_beta = shape.fixed_beta;
                break;
            case BetaRole::negative_slope:
                layer.fixed_beta = shape.negative_slope;
                break;
        }
        layer.offsets.weights = parameters_;
        layer.offsets.bias = layer.offsets.weights + layer.units * layer.inputs;
        parameters_ = layer.offsets.bias + layer.units;
        if (layer.trainable_beta) {
            layer.offsets.beta = parameters_;
            parameters_ += layer.units;
        }
        layers_.push_back(layer);
    }
}

std::string Network::widths_text() const { return fmt::format("{}", fmt::join(shape_.widths, "-")); }

std::string Network::activations_text() const {
    const auto& hidden = shape_.hidden_activations;
    if (hidden.empty()) return "linear";
    if (std::ranges::count(hidden, hidden.front()) == std::ssize(hidden))
        return std::string(activation_name(hidden.front()));
    std::vector<std::string_view> names;
    for (const Activation activation : hidden) names.push_back(activation_name(activation));
    return fmt::format("{}", fmt::join(names, "-"));
}

int Network::scaling_degree(std::size_t l) const {
    const Layer& layer = layers_[l];
    const ActivationTraits traits = traits_of(layer.activation);
    const int degree = layer.trainable_beta ? traits.degree : traits.homogeneous ? 1 : -1;
    const bool output = l + 1 == layers_.size();
    return output && degree > 0 ? -1 : degree;
}

Index Network::scaling_direction_count() const {
    Index count = 0;
    for (std::size_t l = 0; l < layers_.size(); ++l) count += scaling_degree(l) < 0 ? 0 : layers_[l].units;
    return count;
}

std::vector<double> Network::scaling_directions() const {
    std::vector<double> directions;
    directions.reserve(static_cast<std::size_t>(scaling_direction_count() * parameters_));
    for (std::size_t l = 0; l < layers_.size(); ++l) {
        const Layer& layer = layers_[l];
        const int degree = scaling_degree(l);
        if (degree < 0) continue;
        for (Index i = 0; i < layer.units; ++i) {
            std::vector<double> signs(static_cast<std::size_t>(parameters_), 0.0);
            std::fill_n(signs.begin() + layer.offsets.weights + i * layer.inputs, layer.inputs, 1.0);
            signs[static_cast<std::size_t>(layer.offsets.bias + i)] = 1.0;
            if (layer.trainable_beta) signs[static_cast<std::size_t>(layer.offsets.beta + i)] = -1.0;
            if (degree > 0) {
                const Layer& next = layers_[l + 1];
                for (Index p = 0; p < next.units; ++p)
                    signs[static_cast<std::size_t>(next.offsets.weights + p * next.inputs + i)] = -1.0;
            }
            directions.insert(directions.end(), signs.begin(), signs.end());
        }
    }
    return directions;
}

}  // namespace espectra
