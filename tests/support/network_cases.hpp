#pragma once

// Random networks with data, in the form that the library takes and in that of the oracle.

#include "espectra/models/network.hpp"
#include "espectra/runtime/random.hpp"

#include "oracle/naive_network.hpp"
#include <string>
#include <vector>

namespace espectra::test {

struct NetworkCase {
    Network network;
    oracle::NaiveNetwork naive;
    Index examples;
    std::vector<double> features, targets;            ///< [n_0, m], [C, m]
    std::vector<std::vector<double>> rows_x, rows_y;  ///< the same data, one row per example
    std::vector<std::vector<double>> thetas;          ///< one per replica

    Examples<Space::host> view() const {
        return {make_view(features.data(), network.inputs(), examples),
                make_view(targets.data(), network.outputs(), examples)};
    }
    std::vector<double> flat_theta() const {
        std::vector<double> flat;
        for (const auto& theta : thetas) flat.insert(flat.end(), theta.begin(), theta.end());
        return flat;
    }
};

/// A case with normally distributed features and θ; a fraction `zeros` of the features is 0, like pixels.
/// Targets are normally distributed for squared loss, otherwise random classes.
inline NetworkCase make_case(const NetworkShape& shape, Index examples, Index replicas = 1,
                             std::uint64_t seed = 1, double zeros = 0) {
    Network network(shape);
    NetworkCase c{network, {}, examples, {}, {}, {}, {}, {}};
    for (const Layer& layer : network.layers())
        c.naive.layers.push_back({static_cast<std::size_t>(layer.inputs),
                                  static_cast<std::size_t>(layer.units), layer.activation,
                                  layer.trainable_beta, layer.fixed_beta});
    c.naive.loss = network.loss();
    const RandomStream x(seed, 100), y(seed, 101), t(seed, 102), blank(seed, 103);
    const Index inputs = network.inputs(), outputs = network.outputs();
    c.features.resize(static_cast<std::size_t>(inputs * examples));
    c.targets.resize(static_cast<std::size_t>(outputs * examples));
    for (Index e = 0; e < examples; ++e) {
        std::vector<double> row_x, row_y;
        const auto label = static_cast<Index>(y.uniform(static_cast<std::uint64_t>(e)) *
                                              static_cast<double>(std::max<Index>(outputs, 2)));
        for (Index j = 0; j < inputs; ++j) {
            const auto position = static_cast<std::uint64_t>(e * inputs + j);
            row_x.push_back(blank.uniform(position) < zeros ? 0.0 : x.normal(position));
        }
        for (Index k = 0; k < outputs; ++k)
            row_y.push_back(traits_of(network.loss()).targets == LossTargets::numbers
                                ? y.normal(static_cast<std::uint64_t>(1000 + e * outputs + k))
                            : outputs == 1 ? static_cast<double>(label)
                                           : (k == label ? 1.0 : 0.0));
        for (Index j = 0; j < inputs; ++j)
            c.features[static_cast<std::size_t>(j * examples + e)] = row_x[static_cast<std::size_t>(j)];
        for (Index k = 0; k < outputs; ++k)
            c.targets[static_cast<std::size_t>(k * examples + e)] = row_y[static_cast<std::size_t>(k)];
        c.rows_x.push_back(row_x);
        c.rows_y.push_back(row_y);
    }
    for (Index r = 0; r < replicas; ++r) {
        std::vector<double> theta(static_cast<std::size_t>(network.parameters()));
        for (std::size_t p = 0; p < theta.size(); ++p)
            theta[p] = 0.7 * t.normal(static_cast<std::uint64_t>(r) * 100000 + p) + 0.1;
        c.thetas.push_back(theta);
    }
    return c;
}

}  // namespace espectra::test
