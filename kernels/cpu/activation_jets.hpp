#pragma once

#include "espectra/kernels/math/activation_jet.hpp"

namespace espectra {

/// Derivatives of an activation that are stored together.
enum class Order { value, first, second };

/// Evaluates the activation of one unit at example e and stores φ(h, β) and its derivatives up to order O in
/// rows over the examples; those by β only with Beta. `exponential` is the row e^−|exponential_argument|, not
/// read where the activation has none; rows that are not stored may be nullptr.
template <Activation A, Order O, bool Beta, class Integer>
[[gnu::always_inline]] inline void store_jet(Integer e, double h, double beta, const double* exponential,
                                             double* value, double* d_h, double* d_beta,
                                             double* d_hh = nullptr, double* d_hbeta = nullptr,
                                             double* d_betabeta = nullptr) {
    const ActivationJet jet = activation_jet<A>(h, beta, has_exponential<A> ? exponential[e] : 1.0);
    value[e] = jet.value;
    if constexpr (O != Order::value) {
        d_h[e] = jet.d_h;
        if constexpr (Beta) d_beta[e] = jet.d_beta;
    }
    if constexpr (O == Order::second) {
        d_hh[e] = jet.d_hh;
        if constexpr (Beta) {
            d_hbeta[e] = jet.d_hbeta;
            d_betabeta[e] = jet.d_betabeta;
        }
    }
}

}  // namespace espectra
