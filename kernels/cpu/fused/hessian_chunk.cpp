#include "espectra/kernels/cpu/fused/hessian_chunk.hpp"

#include "espectra/kernels/cpu/activation_jets.hpp"
#include "espectra/kernels/cpu/exponentials.hpp"
#include "espectra/kernels/math/activation_jet.hpp"
#include "espectra/kernels/math/loss_terms.hpp"
#include "espectra/kernels/math/preactivation.hpp"

#include <algorithm>

namespace espectra {

namespace {

constexpr Index most_examples = 176;  // of a chunk: the fastest of 64 … 352 for 2-10-1 and 2-30-1

Index widest(const NetworkView& network) {
    Index width = 0;
    for (int l = 0; l < network.count; ++l)
        width = std::max({width, network.layers[l].units, network.layers[l].inputs});
    return width;
}

Index state_rows(const Layer& layer) { return (layer.trainable_beta ? 6 : 3) * layer.units; }

// Loops are functions of their own, with all calls in them inlined; GCC vectorises them only so.

constexpr Index units_at_once = 4;  // whose exponentials are evaluated together

/// Scratch rows of the exponentials, stored after those of the arguments.
ExponentialRows exponential_rows(double* scratch, Index length) {
    return {scratch + units_at_once * length, units_at_once * length};
}

template <Activation A>
[[gnu::flatten, gnu::noinline]] void exponential_arguments(Index length, double beta,
                                                           const double* __restrict h,
                                                           double* __restrict argument) {
    for (Index e = 0; e < length; ++e) argument[e] = exponential_argument<A>(h[e], beta);
}

/// Writes φ and its derivatives; φ replaces h in its row.
template <Activation A, bool Beta>
[[gnu::flatten, gnu::noinline]] void activate(Index length, double beta, const double* __restrict exponential,
                                              double* __restrict output, double* __restrict d_h,
                                              double* __restrict d_hh, double* __restrict d_beta,
                                              double* __restrict d_hbeta, double* __restrict d_betabeta) {
    for (Index e = 0; e < length; ++e)
        store_jet<A, Order::second, Beta>(e, output[e], beta, exponential, output, d_h, d_beta, d_hh, d_hbeta,
                                          d_betabeta);
}

/// Writes δ and ∂²ℓ/∂z² of one output.
template <Loss L>
[[gnu::flatten, gnu::noinline]] void separate_loss(Index length, const double* __restrict z,
                                                   const double* __restrict y,
                                                   const double* __restrict exponential, double weight,
                                                   double* __restrict delta, double* __restrict second) {
    for (Index e = 0; e < length; ++e) {
        const LossJet jet = elementwise_loss<L>(z[e], y[e], traits_of(L).exponential ? exponential[e] : 1.0);
        delta[e] = weight * jet.first;
        second[e] = weight * jet.second;
    }
}

}  // namespace

Index chunk_length(Index examples) {
    const Index chunks = std::max<Index>(1, (examples + most_examples - 1) / most_examples);
    const Index share = std::max<Index>(1, (examples + chunks - 1) / chunks);
    return simd::padded(share);
}

Index ChunkStates::row_count(const NetworkView& network) {
    Index states = 0;
    for (int l = 0; l < network.count; ++l) states += state_rows(network.layers[l]);
    return 1 + network.inputs() + states + 3 * network.outputs() + widest(network) + 4 * units_at_once;
}

ChunkStates::ChunkStates(const FusedHessian& arguments, Index replica, Arena& arena)
    : a_(arguments),
      theta_(&arguments.theta(replica, 0)),
      hessian_(arguments.hessian[replica]),
      examples_(arguments.features.extent[1]),
      length_(chunk_length(examples_)),
      arena_(arena) {
    ones_ = take(1);
    std::fill_n(ones_, length_, 1.0);
    features_ = take(layer(0).inputs);
    targets_ = take(last().units);
    Index states = 0;
    for (int l = 0; l < a_.network.count; ++l) states += state_rows(layer(l));
    states_ = take(states);
    delta_ = take(widest(a_.network));
    second_ = take(last().units);
    probabilities_ = take(last().units);
    scratch_ = take(4 * units_at_once);
}

ChunkStates::State ChunkStates::state(Index l) const {
    double* memory = states_;
    for (Index k = 0; k < l; ++k) memory += state_rows(layer(k)) * length_;
    const Index step = layer(l).units * length_;
    return {memory,           memory + step, memory + 2 * step, memory + 3 * step, memory + 4 * step,
            memory + 5 * step};
}

void ChunkStates::load(View<const double, 2> values, Index begin, Index count, double* out) const {
    for (Index j = 0; j < values.extent[0]; ++j, out += length_) {
        std::copy_n(&values(j, begin), count, out);
        std::fill_n(out + count, length_ - count, out[count - 1]);
    }
}

void ChunkStates::preactivations(const double* w, double bias, const double* in, Index inputs,
                                 double* h) const {
    using simd::at;
    for (Index e = 0; e < length_; e += simd::lanes)
        at(h, e) = preactivation<simd::Vector>(
            inputs, [&](Index j) { return w[j]; }, [&](Index j) { return at(in + j * length_, e); }, bias);
}

void ChunkStates::forward(Index l) const {
    const Layer& dense = layer(l);
    const State s = state(l);
    for (Index i = 0; i < dense.units; ++i)
        preactivations(weights(l) + i * dense.inputs, theta_[dense.offsets.bias + i], input(l), dense.inputs,
                       s.output + i * length_);
    const auto beta = [&](Index i) {
        return dense.trainable_beta ? theta_[dense.offsets.beta + i] : dense.fixed_beta;
    };
    double* arguments = scratch_;
    const ExponentialRows scratch = exponential_rows(scratch_, length_);
    visit_activation(dense.activation, [&](auto activation) {
        for (Index begin = 0; begin < dense.units; begin += units_at_once) {
            const Index end = std::min(begin + units_at_once, dense.units);
            if constexpr (has_exponential<activation.value>) {
                for (Index i = begin; i < end; ++i)
                    exponential_arguments<activation.value>(length_, beta(i), s.output + i * length_,
                                                            arguments + (i - begin) * length_);
                exponentials(arguments, scratch, (end - begin) * length_);
            }
            for (Index i = begin; i < end; ++i) {
                const double* exponential = scratch.exponential + (i - begin) * length_;
                const Index row = i * length_;
                if (dense.trainable_beta)
                    activate<activation.value, true>(length_, beta(i), exponential, s.output + row,
                                                     s.d_h + row, s.d_hh + row, s.d_beta + row,
                                                     s.d_hbeta + row, s.d_betabeta + row);
                else
                    activate<activation.value, false>(length_, beta(i), exponential, s.output + row,
                                                      s.d_h + row, s.d_hh + row, nullptr, nullptr, nullptr);
            }
        }
    });
}

void ChunkStates::evaluate(Index begin, Index count) const {
    load(a_.features, begin, count, features_);
    load(a_.targets, begin, count, targets_);
    for (int l = 0; l < a_.network.count; ++l) forward(l);
    const Index outputs = last().units;
    const double* z = state(a_.network.count - 1).output;
    const double weight = loss_weight(a_.network.loss, outputs, examples_);
    visit_loss(a_.network.loss, [&](auto loss) {
        if constexpr (traits_of(loss).elementwise) {
            const ExponentialRows scratch = exponential_rows(scratch_, length_);
            for (Index row = 0; row < outputs * length_; row += length_) {
                if constexpr (traits_of(loss).exponential) exponentials(z + row, scratch, length_);
                separate_loss<loss.value>(length_, z + row, targets_ + row, scratch.exponential, weight,
                                          delta_ + row, second_ + row);
            }
        } else {
            softmax_loss(z, weight);
        }
    });
    // Padding has no weight; with δ = 0 the recursion results in the Gauss–Newton part.
    for (Index c = 0; c < outputs; ++c) {
        const Index row = c * length_, rest = length_ - count;
        std::fill_n(delta_ + row + (a_.full ? count : 0), a_.full ? rest : length_, 0.0);
        std::fill_n(second_ + row + count, rest, 0.0);
        if (!traits_of(a_.network.loss).elementwise) std::fill_n(probabilities_ + row + count, rest, 0.0);
    }
}

/// Does what softmax() of loss_terms.hpp does, for all examples at once: a loop over examples for each output
/// becomes vector instructions.
[[gnu::flatten]] void ChunkStates::softmax_loss(const double* z, double weight) const {
    const Index outputs = last().units;
    double* __restrict largest = scratch_;
    double* __restrict top = scratch_ + length_;
    double* __restrict others = scratch_ + 2 * length_;
    std::copy_n(z, length_, largest);
    std::fill_n(top, length_, 0.0);
    std::fill_n(others, length_, 0.0);
    for (Index c = 1; c < outputs; ++c) {
        const double* __restrict row = z + c * length_;
        const auto index = static_cast<double>(c);
        for (Index e = 0; e < length_; ++e) {
            const bool larger = row[e] > largest[e];
            largest[e] = larger ? row[e] : largest[e];
            top[e] = larger ? index : top[e];
        }
    }
    for (Index c = 0; c < outputs; ++c) {
        const double* __restrict row = z + c * length_;
        double* __restrict p = probabilities_ + c * length_;
        const auto index = static_cast<double>(c);
        for (Index e = 0; e < length_; ++e) {
            p[e] = exp_nonpositive(row[e] - largest[e]);
            others[e] += top[e] == index ? 0.0 : p[e];
        }
    }
    for (Index c = 0; c < outputs; ++c) {
        const double* __restrict y = targets_ + c * length_;
        double* __restrict p = probabilities_ + c * length_;
        double* __restrict delta = delta_ + c * length_;
        double* __restrict second = second_ + c * length_;
        const auto index = static_cast<double>(c);
        for (Index e = 0; e < length_; ++e) {
            const double total = 1.0 + others[e], probability = p[e] / total;
            const double complement = top[e] == index ? others[e] / total : 1.0 - probability;
            p[e] = probability;
            delta[e] = weight * ((1.0 - y[e]) * probability - y[e] * complement);
            second[e] = weight * (probability * complement);
        }
    }
}

}  // namespace espectra
