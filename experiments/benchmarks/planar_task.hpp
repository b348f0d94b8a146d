#pragma once

#include "espectra/models/network.hpp"
#include "espectra/runtime/view.hpp"

#include <vector>

namespace espectra {

/// Eight networks 2-10-1 with ESP on 690 examples, the size of the paper's planar experiments. Examples and
/// initial θ follow formulas that training_numpy.py repeats, so that both do the same work.
struct PlanarTask {
    static constexpr Index examples = 690, replicas = 8;

    Network network{NetworkShape{{2, 10, 1}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}};
    std::vector<double> features, targets, theta;

    PlanarTask() : features(2 * examples), targets(examples) {
        // A grid of points, folded; inside or outside an ellipse, with one label in eleven exchanged.
        for (Index e = 0; e < examples; ++e) {
            const double x = (static_cast<double>(e * 37 % 101) - 50) / 50;
            const double y = (static_cast<double>(e * 53 % 89) - 44) / 44;
            const bool inside = x * x + 2 * y * y < 0.75;
            features[static_cast<std::size_t>(e)] = x;
            features[static_cast<std::size_t>(examples + e)] = y;
            targets[static_cast<std::size_t>(e)] = inside != (e % 11 == 0) ? 1 : 0;
        }
        for (Index i = 0; i < replicas * network.parameters(); ++i)
            theta.push_back((static_cast<double>((i + 1) * 7919 % 1009) - 504) / 504);
    }
    Examples<Space::host> train() const {
        return {make_view(features.data(), 2, examples), make_view(targets.data(), 1, examples)};
    }
};

}  // namespace espectra
