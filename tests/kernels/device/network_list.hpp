#pragma once

// Networks on which whole computations of a device are compared with those of the CPU backend.

#include "espectra/kernels/dense.hpp"

#include "support/network_cases.hpp"
#include <algorithm>
#include <string>
#include <vector>

namespace espectra::test {

/// Networks of one example to several chunks, with layers of few inputs and of tiles, none to three hidden
/// layers, a feature that is always zero and units that are off, one to 130 replicas. With fewer examples
/// Hessians take less time where a device is interpreted.
inline std::vector<NetworkCase> networks(Index most_examples = 690) {
    using enum Activation;
    const auto up_to = [&](Index examples) { return std::min(examples, most_examples); };
    constexpr Loss softmax = Loss::softmax_cross_entropy, squares = Loss::mean_squared_error;
    std::vector<NetworkCase> list = {
        make_case({{1, 1, 1}, {esp}, true, 1.0, {}}, 1),
        make_case({{4, 3}, {}, true, 1.0, softmax}, 1, 2),
        make_case({{3, 1}, {}, true, 1.0, {}}, up_to(257)),
        make_case({{2, 10, 1}, {esp}, true, 1.0, {}}, up_to(690), 3),
        make_case({{1, 2, 1}, {esp}, true, 1.0, {}}, 7, 130),
        make_case({{3, 4, 3, 3, 2}, {esp, relu, tanh}, true, 1.0, softmax}, up_to(130), 2),
        make_case({{3, 5, 2}, {softplus}, true, 1.0, squares}, 33, 2),
        make_case({{3, 5, 4, 3, 2}, {gelu, elu, leaky_relu}, true, 1.0, softmax}, 65, 2),
        make_case({{17, 20, 5}, {sigmoid}, true, 1.0, softmax}, up_to(515), 2),
        make_case({{2, 17, 3}, {esp}, true, 1.0, softmax}, 63, 2),
        make_case({{65, 2, 2}, {tanh}, true, 1.0, {}}, 66, 1, 9),
        make_case({{33, 3, 2}, {esp}, false, 2.0, softmax}, 64, 2, 11)};
    NetworkCase zeros = make_case({{9, 6, 2}, {relu}, true, 1.0, softmax}, 70, 3, 3, 0.4);
    std::fill_n(zeros.features.begin(), 70, 0.0);
    for (std::size_t unit = 0; unit < 3; ++unit) zeros.thetas[1][9 * 6 + unit] = -100;
    list.push_back(zeros);
    return list;
}

/// Returns true if all layers are computed operation by operation, as on the CPU; those with more inputs
/// agree with it within the rounding of their sums.
inline bool has_few_inputs(const Network& network) {
    return std::ranges::all_of(network.layers(),
                               [](const Layer& layer) { return layer.inputs <= few_inputs; });
}

inline std::string name(const NetworkCase& c) {
    return c.network.widths_text() + " " + c.network.activations_text() + " " +
           std::string(loss_name(c.network.loss())) + ", " + std::to_string(c.examples) + " examples, " +
           std::to_string(c.thetas.size()) + " replicas";
}

}  // namespace espectra::test
