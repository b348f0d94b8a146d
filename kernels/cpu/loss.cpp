#include "espectra/kernels/loss.hpp"

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/cpu/exponentials.hpp"
#include "espectra/kernels/cpu/reduction.hpp"
#include "espectra/kernels/math/loss_terms.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cmath>

namespace espectra {

namespace {

/// Softmax of example e of replica r; p ← softmax(z).
Softmax softmax_of(View<const double, 3> logits, Index r, Index e, double* p) {
    return softmax(
        logits.extent[1], [&](Index c) { return logits(r, c, e); }, [&](Index c) -> double& { return p[c]; });
}

/// Writes ℓ before the mean and the weighted derivatives, for one output and one chunk of examples.
template <Loss L>
void elementwise_losses(const double* __restrict z, const double* __restrict y, Index count, double weight,
                        double* scratch, double* __restrict value, double* __restrict delta,
                        double* __restrict second) {
    const ExponentialRows rows(scratch, count);
    const double* __restrict exponential = rows.exponential;
    if constexpr (traits_of(L).exponential) exponentials(z, rows, count);
    for (Index e = 0; e < count; ++e) {
        const LossJet jet = elementwise_loss<L>(z[e], y[e], traits_of(L).exponential ? exponential[e] : 1.0);
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
    const double weight = loss_weight(a.loss, outputs, a.total_examples);
    using ElementwiseLosses = decltype(&elementwise_losses<Loss::mean_squared_error>);
    const auto losses = visit_loss(a.loss, [](auto loss) -> ElementwiseLosses {
        if constexpr (traits_of(loss).elementwise) return elementwise_losses<loss.value>;
        return nullptr;
    });

    const Index blocks = (examples + blas::example_chunk - 1) / blas::example_chunk;
    Arena::Frame outer(context.arena());
    double* shares = context.arena().take<double>(replicas * std::max<Index>(blocks, 1));

    blas::for_example_chunks(context, replicas, examples, [&](Index r, Index begin, Index count, int worker) {
        Arena::Frame frame(context.arena(worker));
        double cost = 0;
        if (!losses) {  // softmax
            double* values = context.arena(worker).take<double>(count);
            double* p = context.arena(worker).take<double>(outputs);
            for (Index e = begin; e < begin + count; ++e) {
                const Softmax soft = softmax_of(a.logits, r, e, p);
                double value = 0;
                for (Index c = 0; c < outputs; ++c) {
                    const double y = a.targets(r, c, e);
                    value += soft.value(a.logits(r, c, e), y);
                    if (a.delta) a.delta(r, c, e) = weight * soft.first(c, p[c], y);
                    if (!a.curvature) continue;
                    for (Index d = 0; d < outputs; ++d)
                        a.curvature(r, c, d, e) =
                            weight * (c == d ? p[c] * soft.complement(c, p[c]) : -p[c] * p[d]);
                }
                values[e - begin] = value;
            }
            cost = sum(values, count);
        } else {
            double* scratch = context.arena(worker).take<double>(6 * count);
            for (Index c = 0; c < outputs; ++c) {
                losses(&a.logits(r, c, begin), &a.targets(r, c, begin), count, weight, scratch + 3 * count,
                       scratch, a.delta ? &a.delta(r, c, begin) : scratch + count,
                       a.curvature ? &a.curvature(r, c, c, begin) : scratch + 2 * count);
                cost += sum(scratch, count);
                if (!a.curvature) continue;
                for (Index d = 0; d < outputs; ++d)
                    if (d != c) std::fill_n(&a.curvature(r, c, d, begin), count, 0.0);
            }
        }
        shares[r * blocks + begin / blas::example_chunk] = weight * cost;
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
            visit_loss(a.loss, [&](auto loss) {
                if constexpr (traits_of(loss).elementwise)
                    for (Index c = 0; c < outputs; ++c)
                        prediction[c] = elementwise_prediction<loss.value>(a.logits(r, c, e));
                else
                    softmax_of(a.logits, r, e, prediction);
            });
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
