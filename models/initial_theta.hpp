#pragma once

#include "espectra/kernels/names.hpp"
#include "espectra/models/network.hpp"

#include <cstdint>
#include <vector>

namespace espectra {

/// Distributions of the initial weights of a layer with k inputs and n units. Names of Keras and PyTorch are
/// aliases; all of them are for weights as independent numbers, except orthogonal.
enum class WeightDistribution : std::uint8_t {
    xavier_uniform,  ///< variance 2/(k + n) (Glorot and Bengio, 2010)
    xavier_normal,
    he_uniform,  ///< variance 2/k (He et al., 2015)
    he_normal,
    lecun_uniform,  ///< variance 1/k (LeCun et al., 1998)
    lecun_normal,
    gaussian,    ///< variance σ_w²/k, and biases of variance σ_b², as in mean field theory
    orthogonal,  ///< σ_w times a matrix whose shorter side is orthonormal (Saxe et al., 2014); biases alike
};

constexpr Names names_of(WeightDistribution distribution) {
    switch (distribution) {
        case WeightDistribution::xavier_uniform:
            return {"xavier_uniform", {"xavier", "glorot", "glorot_uniform"}};
        case WeightDistribution::xavier_normal:
            return {"xavier_normal", {"glorot_normal"}};
        case WeightDistribution::he_uniform:
            return {"he_uniform", {"kaiming_uniform"}};
        case WeightDistribution::he_normal:
            return {"he_normal", {"he", "kaiming", "kaiming_normal"}};
        case WeightDistribution::lecun_uniform:
            return {"lecun_uniform"};
        case WeightDistribution::lecun_normal:
            return {"lecun_normal", {"lecun"}};
        case WeightDistribution::gaussian:
            return {"gaussian", {"normal"}};
        case WeightDistribution::orthogonal:
            return {"orthogonal"};
    }
    return {};
}

/// Returns true if σ_w and σ_b have a meaning.
constexpr bool has_sigmas(WeightDistribution distribution) {
    return distribution == WeightDistribution::gaussian || distribution == WeightDistribution::orthogonal;
}

/// Distribution of the initial weights and biases. Biases are 0 unless the distribution has σ_b.
struct InitialWeights {
    WeightDistribution distribution = WeightDistribution::xavier_uniform;
    double sigma_w = 1.0, sigma_b = 0.0;

    bool operator==(const InitialWeights&) const = default;
};

/// Distribution of the initial β of layers that train it.
struct InitialBeta {
    double mean = 0.0, standard_deviation = 0.004;

    bool operator==(const InitialBeta&) const = default;
};

/// Returns the initial θ [P], a pure function of its arguments: weights and biases as in InitialWeights, β ~
/// N(mean, standard_deviation²).
std::vector<double> initial_theta(const Network& network, const InitialBeta& beta, std::uint64_t seed,
                                  const InitialWeights& weights = {});

}  // namespace espectra
