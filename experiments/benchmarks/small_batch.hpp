#pragma once

#include "espectra/models/network.hpp"
#include "espectra/runtime/random.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <vector>

namespace espectra {

/// A batch of 8 small ESP networks with random θ on 690 random examples, as many as the paper's 2-10-1 runs
/// have.
struct SmallBatch {
    static constexpr Index count = 690, replicas = 8;

    explicit SmallBatch(const std::vector<Index>& widths)
        : network(NetworkShape{widths, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}),
          x(normal_numbers(network.inputs() * count, 1)),
          y(normal_numbers(network.outputs() * count, 2)),
          theta(normal_numbers(replicas * network.parameters(), 3)),
          matrices(static_cast<std::size_t>(replicas * network.parameters() * network.parameters())) {
        for (double& target : y) target = target > 0 ? 1.0 : 0.0;
    }
    Examples<Space::host> examples() const {
        return {make_view(x.data(), network.inputs(), count), make_view(y.data(), network.outputs(), count)};
    }
    View<const double, 2> parameters() const {
        return make_view(theta.data(), replicas, network.parameters());
    }
    View<double, 3> hessians() {
        return make_view(matrices.data(), replicas, network.parameters(), network.parameters());
    }

    Network network;
    std::vector<double> x, y, theta, matrices;

  private:
    static std::vector<double> normal_numbers(Index size, std::uint32_t stream) {
        std::vector<double> numbers(static_cast<std::size_t>(size));
        const RandomStream random(1, stream);
        for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = random.normal(i);
        return numbers;
    }
};

/// Widths of the small networks whose Hessians are measured.
inline const std::vector<std::vector<Index>>& small_widths() {
    static const std::vector<std::vector<Index>> widths = {
        {2, 10, 1}, {2, 8, 2, 1}, {2, 16, 1}, {2, 8, 8, 1}, {2, 30, 1}, {2, 10, 10, 10, 1}, {16, 24, 4}};
    return widths;
}

}  // namespace espectra
