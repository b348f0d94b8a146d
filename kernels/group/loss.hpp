#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/group/reduction.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/math/loss_terms.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <type_traits>

// Group kernels of the losses, with the arithmetic and the sums of the CPU backend.

namespace espectra::group {

/// Arguments of the kernels of a loss.
template <Space S>
struct LossParts {
    LossEvaluation<S> a;
    double weight;  ///< of one term in the mean
    View<double, 3, S>
        sums;  ///< of the terms of 512 examples [R, chunks of examples, outputs of an elementwise loss or 1]
    View<double, 3, S> p;  ///< [R, C, m] for softmax
};

/// sum ← Σ of the terms of up to 512 examples, which each thread has written to `shared` for its own.
template <Group G>
ESPECTRA_HD void add_terms(const G& group, Index count, double* shared, double& sum) {
    group.sync();
    lane_sums(
        group, 1, count, shared + dense_chunk, [&](Index, Index item) { return shared[item]; },
        [&](Index, double total) { sum = total; });
}

/// One block: one output, 512 examples.
template <Space S>
struct ElementwiseLossKernel {
    static constexpr const char* name = "evaluate_loss";
    static constexpr int threads = 256;
    LossParts<S> parts;

    Index blocks() const { return parts.sums.size(); }
    std::size_t shared_doubles() const { return dense_chunk + sum_lanes; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const LossEvaluation<S>& a = parts.a;
        const Index outputs = a.logits.extent[1], examples = a.logits.extent[2],
                    count_blocks = parts.sums.extent[1];
        const Index c = block % outputs, part = block / outputs % count_blocks,
                    r = block / outputs / count_blocks;
        const Index begin = part * dense_chunk, left = examples - begin;
        const Index count = left < dense_chunk ? left : dense_chunk;
        for_each_item(group, count, [&](Index item) {
            const Index e = begin + item;
            const double z = a.logits(r, c, e), y = a.targets(r, c, e);
            const LossJet jet = elementwise_loss(a.loss, z, y);
            shared[item] = jet.value;
            if (a.delta) a.delta(r, c, e) = parts.weight * jet.first;
            if (!a.curvature) return;
            for (Index d = 0; d < outputs; ++d)
                a.curvature(r, c, d, e) = d == c ? parts.weight * jet.second : 0.0;
        });
        if (a.cost) add_terms(group, count, shared, parts.sums(r, part, c));
    }
};

/// One block: 512 examples.
template <Space S>
struct SoftmaxLossKernel {
    static constexpr const char* name = "evaluate_loss (softmax)";
    static constexpr int threads = 256;
    LossParts<S> parts;

    Index blocks() const { return parts.sums.size(); }
    std::size_t shared_doubles() const { return dense_chunk + sum_lanes; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const LossEvaluation<S>& a = parts.a;
        const Index outputs = a.logits.extent[1], examples = a.logits.extent[2],
                    count_blocks = parts.sums.extent[1];
        const Index part = block % count_blocks, r = block / count_blocks;
        const Index begin = part * dense_chunk, left = examples - begin;
        const Index count = left < dense_chunk ? left : dense_chunk;
        for_each_item(group, count, [&](Index item) {
            const Index e = begin + item;
            const auto p = [&](Index c) -> double& { return parts.p(r, c, e); };
            const Softmax soft = softmax(
                outputs, [&](Index c) { return a.logits(r, c, e); }, p);
            double value = 0;
            for (Index c = 0; c < outputs; ++c) {
                const double y = a.targets(r, c, e);
                value += soft.value(a.logits(r, c, e), y);
                if (a.delta) a.delta(r, c, e) = parts.weight * soft.first(c, p(c), y);
                if (!a.curvature) continue;
                for (Index d = 0; d < outputs; ++d)
                    a.curvature(r, c, d, e) =
                        parts.weight * (c == d ? p(c) * soft.complement(c, p(c)) : -p(c) * p(d));
            }
            shared[item] = value;
        });
        if (a.cost) add_terms(group, count, shared, parts.sums(r, part, 0));
    }
};

/// cost [R] = Σ over chunks of examples of weight · Σ over outputs; one item: one replica.
template <Space S>
struct AddCostsKernel {
    static constexpr const char* name = "evaluate_loss (cost)";
    static constexpr int threads = 128;
    double weight;
    View<const double, 3, S> sums;
    View<double, 1, S> cost;

    Index blocks() const { return divide_up(cost.extent[0], threads); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index begin = block * threads, left = cost.extent[0] - begin;
        for_each_item(group, left < threads ? left : threads, [&](Index item) {
            double total = 0;
            for (Index part = 0; part < sums.extent[1]; ++part) {
                double terms = 0;
                for (Index c = 0; c < sums.extent[2]; ++c) terms += sums(begin + item, part, c);
                total += weight * terms;
            }
            cost(begin + item) = total;
        });
    }
};

template <class C>
void evaluate_loss(C& context, const LossEvaluation<C::space>& a) {
    constexpr Space S = C::space;
    const Index replicas = a.logits.extent[0], outputs = a.logits.extent[1], examples = a.logits.extent[2];
    require_equal("evaluate_loss: targets, outputs", outputs, a.targets.extent[1]);
    require_equal("evaluate_loss: targets, examples", examples, a.targets.extent[2]);
    const bool softmax = !traits_of(a.loss).elementwise;
    const double weight = loss_weight(a.loss, outputs, a.total_examples);
    const Index parts = divide_up(examples, dense_chunk), columns = loss_terms(a.loss, outputs);
    Buffer<double, S> sums(context, replicas * parts * columns), p(context, softmax ? a.logits.size() : 0);
    const auto sums_view = sums.view(replicas, parts, columns);
    if (softmax)
        launch(context, SoftmaxLossKernel<S>{{a, weight, sums_view, p.view(replicas, outputs, examples)}});
    else
        launch(context, ElementwiseLossKernel<S>{{a, weight, sums_view, {}}});
    if (a.cost) launch(context, AddCostsKernel<S>{weight, sums_view, a.cost});
}

/// One block: one replica. The counts are whole numbers, so that their order does not matter.
template <Space S>
struct ScoreKernel {
    static constexpr const char* name = "score_outputs";
    static constexpr int threads = 256;
    OutputScore<S> a;
    View<double, 3, S> prediction;  ///< [R, C, m]

    Index blocks() const { return a.logits.extent[0]; }
    std::size_t shared_doubles() const { return threads; }

    struct Counts {
        int correct, zeros;
    };
    static_assert(sizeof(Counts) == sizeof(double));

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index r, double* shared) const {
        const Index outputs = a.logits.extent[1], examples = a.logits.extent[2];
        auto* counts = reinterpret_cast<Counts*>(shared);
        Counts mine{0, 0};
        for_each_item(group, examples, [&](Index e) {
            const auto value = [&](Index c) -> double& { return prediction(r, c, e); };
            visit_loss(a.loss, [&](auto loss) {
                if constexpr (traits_of(loss).elementwise)
                    for (Index c = 0; c < outputs; ++c)
                        value(c) = elementwise_prediction<loss.value>(a.logits(r, c, e));
                else
                    softmax(
                        outputs, [&](Index c) { return a.logits(r, c, e); }, value);
            });
            Index best = 0, wanted = 0;
            for (Index c = 0; c < outputs; ++c) {
                const double y = a.targets(r, c, e);
                if (value(c) > value(best)) best = c;
                if (y > a.targets(r, wanted, e)) wanted = c;
                if (std::fabs(value(c) - y) <= a.zero_residual_tolerance) ++mine.zeros;
            }
            const bool right = outputs == 1 ? (value(0) > 0.5) == (a.targets(r, 0, e) > 0.5) : best == wanted;
            if (right) ++mine.correct;
        });
        counts[group.rank()] = mine;
        group.sync();
        if (group.rank() != 0) return;
        Index correct = 0, zeros = 0;
        for (int rank = 0; rank < group.size(); ++rank) {
            correct += counts[rank].correct;
            zeros += counts[rank].zeros;
        }
        a.accuracy(r) = static_cast<double>(correct) / static_cast<double>(examples);
        a.zero_residuals(r) = static_cast<double>(zeros) / static_cast<double>(examples * outputs);
    }
};

template <class C>
void score_outputs(C& context, const OutputScore<C::space>& a) {
    Buffer<double, C::space> prediction(context, a.logits.size());
    launch(context, ScoreKernel<C::space>{
                        a, prediction.view(a.logits.extent[0], a.logits.extent[1], a.logits.extent[2])});
}

}  // namespace espectra::group
