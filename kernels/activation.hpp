#pragma once

#include "espectra/kernels/math/elementary.hpp"
#include "espectra/kernels/names.hpp"
#include "espectra/runtime/view.hpp"

#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace espectra {

/// The activation family of a stochastic gate s ∈ {0,1} with weight e^{βsh} (arXiv:1805.08786;
/// docs/mathematics.md). With σ the logistic function:
///   linear    φ = β h                          relu      φ = max(h, 0), the limit β → ∞ of esp
///   sigmoid   φ = σ(βh), the gate's mean        tanh      φ = tanh(βh), the mean of a gate s ∈ {−1,1}
///   esp       φ = h σ(βh), the expected signal  softplus  φ = log(1 + e^{βh})/β, the free energy
enum class Activation : std::uint8_t { esp, relu, sigmoid, tanh, linear, softplus };

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
    }
    return {};
}

constexpr std::string_view activation_name(Activation activation) { return names_of(activation).name; }

/// φ(h, β) and its derivatives up to second order.
struct ActivationJet {
    double value;
    double d_h, d_beta;
    double d_hh, d_hbeta, d_betabeta;
};

/// Activations that are made of the exponential e^−|x|, x = gate_argument.
template <Activation A>
inline constexpr bool has_gate = A != Activation::linear&& A != Activation::relu;

template <Activation A>
requires has_gate<A> ESPECTRA_HD inline double gate_argument(double h, double beta) {
    return A == Activation::tanh ? 2.0 * beta * h : beta * h;
}

/// The one table of activations, for host and device. At the kink of relu (h = 0) the derivative is 0.
/// `exponential`: e^−|gate_argument|, of those that have a gate.
template <Activation A>
ESPECTRA_HD inline ActivationJet activation_jet(double h, double beta, double exponential) {
    if constexpr (A == Activation::linear) {
        return {beta * h, beta, h, 0.0, 1.0, 0.0};
    } else if constexpr (A == Activation::relu) {
        return {h <= 0 ? 0.0 : h, h > 0 ? 1.0 : 0.0, 0.0, 0.0, 0.0, 0.0};  // NaN stays NaN
    } else if constexpr (A == Activation::tanh) {
        const double t = hyperbolic_tangent(beta * h);
        const Logistic gate = logistic(gate_argument<A>(h, beta), exponential);
        const double t1 = 4.0 * gate.s * gate.complement;  // 1 − t², to full relative precision
        const double t2 = -2.0 * t * t1;
        return {t, beta * t1, h * t1, beta * beta * t2, t1 + beta * h * t2, h * h * t2};
    } else {
        const double x = gate_argument<A>(h, beta);
        const auto [s, complement] = logistic(x, exponential);
        const double s1 = s * complement;
        const double s2 = s1 * (complement - s);
        if constexpr (A == Activation::sigmoid) {
            return {s, beta * s1, h * s1, beta * beta * s2, s1 + x * s2, h * h * s2};
        } else if constexpr (A == Activation::esp) {
            return {
                h * s,         s + x * s1, h * h * s1, beta * (2.0 * s1 + x * s2), h * (2.0 * s1 + x * s2),
                h * h * h * s2};
        } else {
            static_assert(A == Activation::softplus);
            const double log_z = log_one_plus_exp(x, exponential);
            return {log_z / beta, s,      (h * s - log_z / beta) / beta,
                    beta * s1,    h * s1, (h * h * s1 - 2.0 * (h * s - log_z / beta) / beta) / beta};
        }
    }
}

template <Activation A>
ESPECTRA_HD inline ActivationJet activation_jet(double h, double beta) {
    if constexpr (has_gate<A>)
        return activation_jet<A>(h, beta, exp_nonpositive(-std::fabs(gate_argument<A>(h, beta))));
    else
        return activation_jet<A>(h, beta, 1.0);
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
    }
    __builtin_unreachable();
}

}  // namespace espectra
