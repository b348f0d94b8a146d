#pragma once

// A second implementation of the networks of this project, as simple as possible: one example and one unit at
// a time, for any scalar type. Only the enumerations of activations and losses come from the library.

#include "espectra/kernels/activation.hpp"
#include "espectra/kernels/loss.hpp"

#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <vector>

namespace oracle {

using espectra::Activation;
using espectra::Loss;

/// Numbers a + b ε₁ + c ε₂ + d ε₁ε₂ with ε₁² = ε₂² = 0: f evaluated at x + ε₁ u + ε₂ v has uᵀ∇²f v as its
/// last component, exactly (Fike and Alonso, 2011).
struct HyperDual {
    double value = 0, e1 = 0, e2 = 0, e12 = 0;
    HyperDual(double v = 0) : value(v) {}  // NOLINT: numbers convert
    HyperDual(double v, double a, double b, double c) : value(v), e1(a), e2(b), e12(c) {}
};

inline HyperDual operator+(HyperDual a, HyperDual b) {
    return {a.value + b.value, a.e1 + b.e1, a.e2 + b.e2, a.e12 + b.e12};
}
inline HyperDual operator-(HyperDual a, HyperDual b) {
    return {a.value - b.value, a.e1 - b.e1, a.e2 - b.e2, a.e12 - b.e12};
}
inline HyperDual operator-(HyperDual a) { return HyperDual(0) - a; }
inline HyperDual operator*(HyperDual a, HyperDual b) {
    return {a.value * b.value, a.e1 * b.value + a.value * b.e1, a.e2 * b.value + a.value * b.e2,
            a.e12 * b.value + a.e1 * b.e2 + a.e2 * b.e1 + a.value * b.e12};
}
/// Returns f(a) from f, f′, f″ at a.value.
inline HyperDual chain(HyperDual a, double f, double f1, double f2) {
    return {f, f1 * a.e1, f1 * a.e2, f1 * a.e12 + f2 * a.e1 * a.e2};
}
inline HyperDual exp(HyperDual a) {
    const double e = std::exp(a.value);
    return chain(a, e, e, e);
}
inline HyperDual log(HyperDual a) {
    return chain(a, std::log(a.value), 1 / a.value, -1 / (a.value * a.value));
}
inline HyperDual erfc(HyperDual a) {
    const double slope = -2 / std::sqrt(std::acos(-1.0)) * std::exp(-a.value * a.value);
    return chain(a, std::erfc(a.value), slope, -2 * a.value * slope);
}
inline HyperDual operator/(HyperDual a, HyperDual b) {
    const double v = b.value;
    return a * chain(b, 1 / v, -1 / (v * v), 2 / (v * v * v));
}
inline double value_of(double x) { return x; }
inline double value_of(HyperDual x) { return x.value; }

struct NaiveLayer {
    std::size_t inputs, units;
    Activation activation;
    bool trainable_beta;
    double fixed_beta = 1;
};

struct NaiveNetwork {
    std::vector<NaiveLayer> layers;
    Loss loss;

    std::size_t parameters() const {
        std::size_t count = 0;
        for (const NaiveLayer& layer : layers)
            count += layer.units * (layer.inputs + 1 + (layer.trainable_beta ? 1 : 0));
        return count;
    }
};

template <class T>
T naive_activation(Activation activation, T h, T beta) {
    using std::erfc;
    using std::exp;
    using std::log;
    const T x = beta * h;
    switch (activation) {
        case Activation::esp:
            return h / (T(1) + exp(-x));
        case Activation::relu:
            return value_of(h) > 0 ? h : T(0);
        case Activation::sigmoid:
            return T(1) / (T(1) + exp(-x));
        case Activation::tanh:
            return T(1) - T(2) / (T(1) + exp(x + x));
        case Activation::linear:
            return x;
        case Activation::softplus:
            return log(T(1) + exp(x)) / beta;
        case Activation::gelu:
            return h * erfc(x * T(-1 / std::sqrt(2.0))) * T(0.5);
        case Activation::elu:
            return value_of(h) > 0 ? h : beta * (exp(h) - T(1));
        case Activation::leaky_relu:
            return value_of(h) > 0 ? h : beta * h;
    }
    throw std::invalid_argument("oracle: activation");
}

/// Outputs z of the network for one example with features x.
template <class T>
std::vector<T> naive_logits(const NaiveNetwork& network, const std::vector<T>& theta,
                            const std::vector<double>& x) {
    std::vector<T> a(x.begin(), x.end());
    std::size_t at = 0;
    for (const NaiveLayer& layer : network.layers) {
        std::vector<T> next;
        for (std::size_t i = 0; i < layer.units; ++i) {
            T h = theta[at + layer.units * layer.inputs + i];
            for (std::size_t j = 0; j < layer.inputs; ++j) h = h + theta[at + i * layer.inputs + j] * a[j];
            const T beta =
                layer.trainable_beta ? theta[at + layer.units * (layer.inputs + 1) + i] : T(layer.fixed_beta);
            next.push_back(naive_activation(layer.activation, h, beta));
        }
        at += layer.units * (layer.inputs + 1 + (layer.trainable_beta ? 1 : 0));
        a = next;
    }
    return a;
}

/// Loss of one example with logits z and targets y.
template <class T>
T naive_loss(Loss loss, const std::vector<T>& z, const std::vector<double>& y) {
    using std::exp;
    using std::log;
    T cost = 0, partition = 0;
    for (const T& logit : z) partition = partition + exp(logit);
    const T mean = T(1) / T(static_cast<double>(z.size()));
    for (std::size_t c = 0; c < z.size(); ++c) {
        const T target(y[c]);
        switch (loss) {
            case Loss::sigmoid_cross_entropy:
                cost = cost + (log(T(1) + exp(z[c])) - target * z[c]) * mean;
                break;
            case Loss::softmax_cross_entropy:
                cost = cost + target * (log(partition) - z[c]);
                break;
            case Loss::mean_squared_error:
                cost = cost + (z[c] - target) * (z[c] - target) * mean;
                break;
        }
    }
    return cost;
}

/// Mean loss over examples; x and y have one row per example.
template <class T>
T naive_cost(const NaiveNetwork& network, const std::vector<T>& theta,
             const std::vector<std::vector<double>>& x, const std::vector<std::vector<double>>& y) {
    T cost = 0;
    for (std::size_t e = 0; e < x.size(); ++e)
        cost = cost + naive_loss(network.loss, naive_logits(network, theta, x[e]), y[e]);
    return cost * T(1.0 / static_cast<double>(x.size()));
}

/// The Hessian, row-major P × P, by one evaluation of the whole loss for each pair of parameters.
inline std::vector<double> naive_hessian(const NaiveNetwork& network, const std::vector<double>& theta,
                                         const std::vector<std::vector<double>>& x,
                                         const std::vector<std::vector<double>>& y) {
    const std::size_t p = theta.size();
    std::vector<double> hessian(p * p);
    for (std::size_t i = 0; i < p; ++i)
        for (std::size_t j = i; j < p; ++j) {
            std::vector<HyperDual> point(theta.begin(), theta.end());
            point[i].e1 = 1;
            point[j].e2 = 1;
            hessian[i * p + j] = hessian[j * p + i] = naive_cost(network, point, x, y).e12;
        }
    return hessian;
}

inline std::vector<double> naive_gradient(const NaiveNetwork& network, const std::vector<double>& theta,
                                          const std::vector<std::vector<double>>& x,
                                          const std::vector<std::vector<double>>& y) {
    std::vector<double> gradient(theta.size());
    for (std::size_t i = 0; i < theta.size(); ++i) {
        std::vector<HyperDual> point(theta.begin(), theta.end());
        point[i].e1 = 1;
        gradient[i] = naive_cost(network, point, x, y).e1;
    }
    return gradient;
}

}  // namespace oracle
