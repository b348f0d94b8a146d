#pragma once

#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/math/elementary.hpp"
#include "espectra/runtime/view.hpp"

#include <algorithm>
#include <cmath>

// Terms of one example in a loss, with the same arithmetic on the host and on a device.

namespace espectra {

/// Term of one logit z in ℓ, and its derivatives ∂ℓ/∂z and ∂²ℓ/∂z², without the weight of the mean.
struct LossJet {
    double value, first, second;
};

/// Term of one output of an elementwise loss; `exponential`: e^−|z|, where the loss has one.
template <Loss L>
requires(traits_of(L).elementwise) [[gnu::always_inline]] ESPECTRA_HD inline LossJet
    elementwise_loss(double z, double y, double exponential) {
    if constexpr (L == Loss::mean_squared_error) {
        return {(z - y) * (z - y), 2.0 * (z - y), 2.0};
    } else {
        static_assert(L == Loss::sigmoid_cross_entropy);
        const double large = 1.0 / (1.0 + exponential), small = exponential * large;
        const double s = z >= 0 ? large : small, complement = z >= 0 ? small : large;
        // σ(z) − y, without cancellation where y is 0 or 1.
        return {(z > 0 ? z : 0.0) - y * z + log1p_unit(exponential), (1.0 - y) * s - y * complement,
                s * complement};
    }
}

template <Loss L>
[[gnu::always_inline]] ESPECTRA_HD inline LossJet elementwise_loss(double z, double y) {
    return elementwise_loss<L>(z, y, traits_of(L).exponential ? exp_nonpositive(-std::fabs(z)) : 1.0);
}

/// elementwise_loss of a loss that is known at run time.
ESPECTRA_HD inline LossJet elementwise_loss(Loss loss, double z, double y) {
    return visit_loss(loss, [&](auto known) -> LossJet {
        if constexpr (traits_of(known).elementwise) return elementwise_loss<known.value>(z, y);
        __builtin_unreachable();
    });
}

/// Prediction ŷ of one output of an elementwise loss.
template <Loss L>
requires(traits_of(L).elementwise) ESPECTRA_HD inline double elementwise_prediction(double z) {
    if constexpr (L == Loss::mean_squared_error) {
        return z;
    } else {
        static_assert(L == Loss::sigmoid_cross_entropy);
        return logistic(z).s;
    }
}

// Every loss that is not elementwise is computed by softmax().
static_assert(std::ranges::all_of(all_values<Loss>, [](Loss loss) {
    return traits_of(loss).elementwise || loss == Loss::softmax_cross_entropy;
}));

/// p = softmax(z) of one example, with 1 − p and log p to full relative precision where p is close to 1. The
/// example's cost is the sum of value() over the outputs, in their order and from 0.
struct Softmax {
    Index top;       ///< the largest logit, the first of equals
    double rest;     ///< 1 − p of it
    double largest;  ///< its value
    double log_sum;  ///< log Σ e^(z − largest)

    /// −y log p of an output with logit z.
    ESPECTRA_HD double value(double z, double y) const {
        return y != 0 ? y * ((largest - z) + log_sum) : 0.0;
    }
    /// 1 − p of output c.
    ESPECTRA_HD double complement(Index c, double p) const { return c == top ? rest : 1.0 - p; }
    /// ∂ℓ/∂z = p − y of output c, without cancellation where y is 0 or 1.
    ESPECTRA_HD double first(Index c, double p, double y) const {
        return (1.0 - y) * p - y * complement(c, p);
    }
};

/// Reads logit(c) and writes probability(c) for c in [0, outputs); these must not be the same memory.
template <class Logit, class Probability>
ESPECTRA_HD Softmax softmax(Index outputs, Logit&& logit, Probability&& probability) {
    Index top = 0;
    for (Index c = 1; c < outputs; ++c)
        if (logit(c) > logit(top)) top = c;
    const double largest = logit(top);
    double others = 0;
    for (Index c = 0; c < outputs; ++c) {
        const double e = exp_nonpositive(logit(c) - largest);
        probability(c) = e;
        if (c != top) others += e;
    }
    for (Index c = 0; c < outputs; ++c) probability(c) /= 1.0 + others;
    return {top, others / (1.0 + others), largest, log1p_nonnegative(others)};
}

}  // namespace espectra
