#pragma once

#include "espectra/kernels/activation.hpp"
#include "espectra/kernels/math/elementary.hpp"
#include "espectra/runtime/view.hpp"

#include <cmath>

// Values and derivatives of the activations, with the same arithmetic on the host and on a device.
namespace espectra {

/// φ(h, β) and its derivatives up to second order.
struct ActivationJet {
    double value;
    double d_h, d_beta;
    double d_hh, d_hbeta, d_betabeta;
};

/// True for activations that are made of the exponential e^−|x|, x = exponential_argument.
template <Activation A>
inline constexpr bool has_exponential =
    A != Activation::linear&& A != Activation::relu&& A != Activation::leaky_relu;

template <Activation A>
requires has_exponential<A> ESPECTRA_HD inline double exponential_argument(double h, double beta) {
    if constexpr (A == Activation::gelu) return normal_exponent(beta * h);
    if constexpr (A == Activation::elu) return h;
    return A == Activation::tanh ? 2.0 * beta * h : beta * h;
}

/// φ(h, β) and its derivatives (docs/mathematics.md, section 2), for host and device. At h = 0 a derivative
/// that jumps has its value of h < 0. `exponential`: e^−|exponential_argument|, where the activation has one.
template <Activation A>
ESPECTRA_HD inline ActivationJet activation_jet(double h, double beta, double exponential) {
    if constexpr (A == Activation::linear) {
        return {beta * h, beta, h, 0.0, 1.0, 0.0};
    } else if constexpr (A == Activation::relu) {
        return {h <= 0 ? 0.0 : h, h > 0 ? 1.0 : 0.0, 0.0, 0.0, 0.0, 0.0};  // NaN stays NaN
    } else if constexpr (A == Activation::leaky_relu) {
        const bool on = h > 0;
        return {on ? h : beta * h, on ? 1.0 : beta, on ? 0.0 : h, 0.0, on ? 0.0 : 1.0, 0.0};
    } else if constexpr (A == Activation::elu) {
        const bool on = h > 0;
        const double rise = expm1_nonpositive(on ? 0.0 : h), slope = on ? 0.0 : beta * exponential;
        return {on ? h : beta * rise, on ? 1.0 : slope, rise, slope, on ? 0.0 : exponential, 0.0};
    } else if constexpr (A == Activation::gelu) {
        const double x = beta * h;
        const auto [density, cumulative] = standard_normal(x, exponential);
        const double mixed = density * (2.0 - x * x);
        return {h * cumulative, cumulative + x * density,  h * h * density, beta * mixed,
                h * mixed,      h * h * density * (-x * h)};
    } else if constexpr (A == Activation::tanh) {
        const double t = hyperbolic_tangent(beta * h);
        const Logistic gate = logistic(exponential_argument<A>(h, beta), exponential);
        const double t1 = 4.0 * gate.s * gate.complement;  // 1 − t², to full relative precision
        const double t2 = -2.0 * t * t1;
        return {t, beta * t1, h * t1, beta * beta * t2, t1 + beta * h * t2, h * h * t2};
    } else {
        const double x = exponential_argument<A>(h, beta);
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
    if constexpr (has_exponential<A>)
        return activation_jet<A>(h, beta, exp_nonpositive(-std::fabs(exponential_argument<A>(h, beta))));
    else
        return activation_jet<A>(h, beta, 1.0);
}

}  // namespace espectra
