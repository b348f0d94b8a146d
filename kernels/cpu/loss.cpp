#include "espectra/kernels/loss.hpp"

#include "espectra/kernels/activation.hpp"
#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/cpu/reduction.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cmath>

namespace espectra {

namespace {

/// softmax(z) of one example, so that 1 − p and log p keep their relative precision where p is close to 1.
struct Softmax {
    Index top;       // the largest logit
    double rest;     // 1 − p of it
    double largest;  // its value
    double log_sum;  // log Σ e^(z − largest)
    const double* p;

    double complement(Index c) const { return c == top ? rest : 1.0 - p[c]; }
};

Softmax softmax(View<const double, 3> logits, Index r, Index e, double* p) {
    const Index outputs = logits.extent[1];
    Index top = 0;
    for (Index c = 1; c < outputs; ++c)
        if (logits(r, c, e) > logits(r, top, e)) top = c;
    const double largest = logits(r, top, e);
    double others = 0;
    for (Index c = 0; c < outputs; ++c) {
        p[c] = std::exp(logits(r, c, e) - largest);
        if (c != top) others += p[c];
    }
    for (Index c = 0; c < outputs; ++c) p[c] /= 1.0 + others;
    return {top, others / (1.0 + others), largest, std::log1p(others), p};
}

/// Element-wise losses: ℓ, ∂ℓ/∂z, ∂²ℓ/∂z² of one logit, before the mean.
struct LossJet {
    double value, first, second;
};

template <Loss L>
[[gnu::always_inline]] inline LossJet elementwise_loss(double z, double y) {
    if constexpr (L == Loss::mean_squared_error) {
        return {(z - y) * (z - y), 2.0 * (z - y), 2.0};
    } else {
        const double e = exp_nonpositive(-std::fabs(z));
        const double large = 1.0 / (1.0 + e), small = e * large;
        const double s = z >= 0 ? large : small, complement = z >= 0 ? small : large;
        // σ(z) − y, without cancellation where y is 0 or 1.
        return {(z > 0 ? z : 0.0) - y * z + log1p_unit(e), (1.0 - y) * s - y * complement, s * complement};
    }
}

/// One output and one block of examples: ℓ before the mean, and the weighted derivatives.
template <Loss L>
void elementwise_losses(const double* __restrict z, const double* __restrict y, Index count, double weight,
                        double* __restrict value, double* __restrict delta, double* __restrict second) {
    for (Index e = 0; e < count; ++e) {
        const LossJet jet = elementwise_loss<L>(z[e], y[e]);
        value[e] = jet.value;
        delta[e] = weight * jet.first;
        second[e] = weight * jet.second;
    }
}

}  // namespace

void evaluate_loss(CpuContext& context, const LossEvaluation<Space::host>& a) {
    const Index replicas = a.logits.extent[0], outputs = a.logits.extent[1], examples = a.logits.extent[2];
    require_equal("evaluate_loss: targets, outputs", outputs, a.targets.extent[1]);
    require_equal("evaluate_loss: targets, examples", examples, a.targets.extent[2]);
    const bool softmax_loss = a.loss == Loss::softmax_cross_entropy;
    const double weight = 1.0 / static_cast<double>(a.total_examples * (softmax_loss ? 1 : outputs));

    const Index blocks = (examples + blas::example_block - 1) / blas::example_block;
    Arena::Frame outer(context.arena());
    double* shares = context.arena().take<double>(replicas * std::max<Index>(blocks, 1));

    blas::for_example_blocks(context, replicas, examples, [&](Index r, Index begin, Index count, int worker) {
        double cost = 0;
        if (softmax_loss) {
            Arena::Frame frame(context.arena(worker));
            double* p = context.arena(worker).take<double>(outputs);
            for (Index e = begin; e < begin + count; ++e) {
                const Softmax soft = softmax(a.logits, r, e, p);
                for (Index c = 0; c < outputs; ++c) {
                    const double y = a.targets(r, c, e), complement = soft.complement(c);
                    if (y != 0) cost += y * ((soft.largest - a.logits(r, c, e)) + soft.log_sum);
                    if (a.delta) a.delta(r, c, e) = weight * ((1.0 - y) * p[c] - y * complement);
                    if (!a.curvature) continue;
                    for (Index d = 0; d < outputs; ++d)
                        a.curvature(r, c, d, e) = weight * (c == d ? p[c] * complement : -p[c] * p[d]);
                }
            }
        } else {
            Arena::Frame frame(context.arena(worker));
            double* scratch = context.arena(worker).take<double>(3 * count);
            const auto losses = a.loss == Loss::mean_squared_error
                                    ? elementwise_losses<Loss::mean_squared_error>
                                    : elementwise_losses<Loss::sigmoid_cross_entropy>;
            for (Index c = 0; c < outputs; ++c) {
                losses(&a.logits(r, c, begin), &a.targets(r, c, begin), count, weight, scratch,
                       a.delta ? &a.delta(r, c, begin) : scratch + count,
                       a.curvature ? &a.curvature(r, c, c, begin) : scratch + 2 * count);
                cost += sum(scratch, count);
                if (!a.curvature) continue;
                for (Index d = 0; d < outputs; ++d)
                    if (d != c) std::fill_n(&a.curvature(r, c, d, begin), count, 0.0);
            }
        }
        shares[r * blocks + begin / blas::example_block] = weight * cost;
    });
    if (!a.cost) return;
    for (Index r = 0; r < replicas; ++r) {
        double sum = 0;
        for (Index block = 0; block < blocks; ++block) sum += shares[r * blocks + block];
        a.cost(r) = sum;
    }
}

void score_outputs(CpuContext& context, const OutputScore<Space::host>& a) {
    const Index outputs = a.logits.extent[1], examples = a.logits.extent[2];
    context.parallel_for(a.logits.extent[0], [&](Index r, int worker) {
        Arena::Frame frame(context.arena(worker));
        double* prediction = context.arena(worker).take<double>(outputs);
        Index correct = 0, zeros = 0;
        for (Index e = 0; e < examples; ++e) {
            if (a.loss == Loss::softmax_cross_entropy) {
                softmax(a.logits, r, e, prediction);
            } else {
                for (Index c = 0; c < outputs; ++c)
                    prediction[c] = a.loss == Loss::mean_squared_error ? a.logits(r, c, e)
                                                                       : logistic(a.logits(r, c, e)).s;
            }
            Index best = 0, wanted = 0;
            for (Index c = 0; c < outputs; ++c) {
                if (prediction[c] > prediction[best]) best = c;
                if (a.targets(r, c, e) > a.targets(r, wanted, e)) wanted = c;
                if (std::fabs(prediction[c] - a.targets(r, c, e)) <= a.zero_residual_tolerance) ++zeros;
            }
            const bool right =
                outputs == 1 ? (prediction[0] > 0.5) == (a.targets(r, 0, e) > 0.5) : best == wanted;
            if (right) ++correct;
        }
        a.accuracy(r) = static_cast<double>(correct) / static_cast<double>(examples);
        a.zero_residuals(r) = static_cast<double>(zeros) / static_cast<double>(examples * outputs);
    });
}

}  // namespace espectra
