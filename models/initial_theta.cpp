#include "espectra/models/initial_theta.hpp"

#include "espectra/runtime/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace espectra {

namespace {

/// A vector within a weight matrix: `length` numbers, `stride` apart.
struct Strided {
    double* data;
    Index length, stride;

    double& operator[](Index i) const { return data[i * stride]; }
};

double dot(const Strided& x, const Strided& y) {
    double sum = 0;
    for (Index i = 0; i < x.length; ++i) sum += x[i] * y[i];
    return sum;
}

/// Makes the rows of a matrix [n, k] orthonormal, or its columns where these are fewer, by the Gram–Schmidt
/// process. It removes the components along the vectors before twice, which keeps them orthogonal to rounding
/// (Giraud et al., 2005). Independent normal entries become uniformly distributed among such matrices.
void orthonormalize(double* matrix, Index n, Index k) {
    const bool rows = n <= k;
    const auto vector = [&](Index i) {
        return rows ? Strided{matrix + i * k, k, 1} : Strided{matrix + i, n, k};
    };
    for (Index i = 0; i < std::min(n, k); ++i) {
        const Strided own = vector(i);
        for (int pass = 0; pass < 2; ++pass)
            for (Index j = 0; j < i; ++j) {
                const Strided before = vector(j);
                const double along = dot(before, own);
                for (Index e = 0; e < own.length; ++e) own[e] -= along * before[e];
            }
        const double norm = std::sqrt(dot(own, own));
        for (Index e = 0; e < own.length; ++e) own[e] /= norm;
    }
}

/// Draws weights [n, k]; the random number of each is that of its position in θ.
void draw_weights(const Layer& layer, const InitialWeights& initial, const RandomStream& random,
                  double* theta) {
    const auto k = static_cast<double>(layer.inputs), n = static_cast<double>(layer.units);
    const Index begin = layer.offsets.weights, end = layer.offsets.bias;
    const auto uniform = [&](double three_variances) {
        const double limit = std::sqrt(three_variances);
        for (Index p = begin; p < end; ++p)
            theta[p] = limit * (2.0 * random.uniform(static_cast<std::uint64_t>(p)) - 1.0);
    };
    const auto normal = [&](double deviation) {
        for (Index p = begin; p < end; ++p)
            theta[p] = deviation * random.normal(static_cast<std::uint64_t>(p));
    };
    using enum WeightDistribution;
    switch (initial.distribution) {
        case xavier_uniform:
            return uniform(6.0 / (k + n));
        case xavier_normal:
            return normal(std::sqrt(2.0 / (k + n)));
        case he_uniform:
            return uniform(6.0 / k);
        case he_normal:
            return normal(std::sqrt(2.0 / k));
        case lecun_uniform:
            return uniform(3.0 / k);
        case lecun_normal:
            return normal(std::sqrt(1.0 / k));
        case gaussian:
            return normal(initial.sigma_w / std::sqrt(k));
        case orthogonal:
            normal(1.0);
            orthonormalize(theta + begin, layer.units, layer.inputs);
            for (Index p = begin; p < end; ++p) theta[p] *= initial.sigma_w;
            return;
    }
}

/// Draws `count` numbers of N(mean, deviation²) at `begin`.
void draw_normal(Index begin, Index count, double mean, double deviation, const RandomStream& random,
                 double* theta) {
    for (Index p = begin; p < begin + count; ++p)
        theta[p] = mean + deviation * random.normal(static_cast<std::uint64_t>(p));
}

}  // namespace

std::vector<double> initial_theta(const Network& network, const InitialBeta& beta, std::uint64_t seed,
                                  const InitialWeights& weights) {
    std::vector<double> theta(static_cast<std::size_t>(network.parameters()), 0.0);
    for (const Layer& layer : network.layers()) {
        draw_weights(layer, weights, RandomStream(seed, weights_stream), theta.data());
        if (has_sigmas(weights.distribution))
            draw_normal(layer.offsets.bias, layer.units, 0, weights.sigma_b, RandomStream(seed, bias_stream),
                        theta.data());
        if (layer.trainable_beta)
            draw_normal(layer.offsets.beta, layer.units, beta.mean, beta.standard_deviation,
                        RandomStream(seed, beta_stream), theta.data());
    }
    return theta;
}

}  // namespace espectra
