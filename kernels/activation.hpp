#pragma once

#include "espectra/kernels/names.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace espectra {

/// Activations φ(h, β) of a pre-activation h. The first six are the family of a stochastic gate s ∈ {0, 1}
/// with weight e^{βsh} (arXiv:1805.08786; docs/mathematics.md). With σ the logistic function, and Φ the
/// distribution function of the standard normal distribution:
///   esp       φ = h σ(βh), the expected signal  relu      φ = max(h, 0), the limit β → ∞ of esp
///   sigmoid   φ = σ(βh), the gate's mean        tanh      φ = tanh(βh), the mean of a gate s ∈ {−1, 1}
///   linear    φ = β h                           softplus  φ = log(1 + e^{βh})/β, the free energy
///   gelu      φ = h Φ(βh)                       elu       φ = h for h > 0, else β (e^h − 1)
///   leaky_relu  φ = h for h > 0, else β h
enum class Activation : std::uint8_t { esp, relu, sigmoid, tanh, linear, softplus, gelu, elu, leaky_relu };

/// Aliases are those of PyTorch and Keras. There silu and swish have β = 1; here β is the recipe's.
constexpr Names names_of(Activation activation) {
    switch (activation) {
        case Activation::esp:
            return {"esp", {"silu", "swish"}};
        case Activation::relu:
            return {"relu"};
        case Activation::sigmoid:
            return {"sigmoid", {"logistic"}};
        case Activation::tanh:
            return {"tanh"};
        case Activation::linear:
            return {"linear", {"identity"}};
        case Activation::softplus:
            return {"softplus"};
        case Activation::gelu:
            return {"gelu"};
        case Activation::elu:
            return {"elu"};
        case Activation::leaky_relu:
            return {"leaky_relu"};
    }
    return {};
}

constexpr std::string_view activation_name(Activation activation) { return names_of(activation).name; }

/// Meaning of β in a hidden layer.
enum class BetaRole : std::uint8_t {
    one,             ///< 1
    sharpness,       ///< trained, or one number for the network (NetworkShape::fixed_beta)
    negative_slope,  ///< one number for the network (NetworkShape::negative_slope)
};

struct ActivationTraits {
    BetaRole beta;
    int degree;        ///< d such that φ(c·h, β/c) = c^d φ(h, β) for all c > 0, or −1
    bool homogeneous;  ///< φ(c·h, β) = c φ(h, β) for all c > 0
    bool kink;         ///< φ_h jumps at h = 0
};

constexpr ActivationTraits traits_of(Activation activation) {
    switch (activation) {
        case Activation::esp:
            return {.beta = BetaRole::sharpness, .degree = 1, .homogeneous = false, .kink = false};
        case Activation::relu:
            return {.beta = BetaRole::one, .degree = 1, .homogeneous = true, .kink = true};
        case Activation::sigmoid:
        case Activation::tanh:
            return {.beta = BetaRole::one, .degree = 0, .homogeneous = false, .kink = false};
        case Activation::linear:
            return {.beta = BetaRole::one, .degree = 0, .homogeneous = true, .kink = false};
        case Activation::softplus:
        case Activation::gelu:
            return {.beta = BetaRole::one, .degree = 1, .homogeneous = false, .kink = false};
        case Activation::elu:
            return {.beta = BetaRole::one, .degree = -1, .homogeneous = false, .kink = false};
        case Activation::leaky_relu:
            return {.beta = BetaRole::negative_slope, .degree = -1, .homogeneous = true, .kink = true};
    }
    __builtin_unreachable();
}

/// Returns visit(std::integral_constant<Activation, …>) of the activation: a compile-time constant.
template <class Visitor>
ESPECTRA_HD decltype(auto) visit_activation(Activation activation, Visitor&& visit) {
    using enum Activation;
    switch (activation) {
        case esp:
            return visit(std::integral_constant<Activation, esp>{});
        case relu:
            return visit(std::integral_constant<Activation, relu>{});
        case sigmoid:
            return visit(std::integral_constant<Activation, sigmoid>{});
        case tanh:
            return visit(std::integral_constant<Activation, tanh>{});
        case linear:
            return visit(std::integral_constant<Activation, linear>{});
        case softplus:
            return visit(std::integral_constant<Activation, softplus>{});
        case gelu:
            return visit(std::integral_constant<Activation, gelu>{});
        case elu:
            return visit(std::integral_constant<Activation, elu>{});
        case leaky_relu:
            return visit(std::integral_constant<Activation, leaky_relu>{});
    }
    __builtin_unreachable();
}

}  // namespace espectra
