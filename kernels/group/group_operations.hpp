#pragma once

#include "espectra/kernels/group/eigen.hpp"
#include "espectra/kernels/group/group.hpp"
#include "espectra/kernels/hessian.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/math/activation_jet.hpp"
#include "espectra/kernels/math/loss_terms.hpp"
#include "espectra/kernels/math/preactivation.hpp"

// The steps of the exact Hessian as loops of one group over one small network (replica 0 of all views). The
// contracts are those of kernels/dense.hpp, kernels/loss.hpp and kernels/hessian.hpp; one thread adds the
// terms of a sum in order. No step ends with a sync(): HessianRecursion::publish() is called where the next
// step needs results of other threads.

namespace espectra::group {

/// A group of threads in place of a backend.
template <Group G, Space S>
struct GroupContext {
    static constexpr Space space = S;
    const G& group;
};

template <Group G, Space S, class T>
ESPECTRA_HD void copy(GroupContext<G, S>& context, const T* source, T* destination, Index count) {
    for_each_item(context.group, count, [&](Index i) { destination[i] = source[i]; });
}

template <Group G, Space S>
ESPECTRA_HD void dense_forward(GroupContext<G, S>& context, const DenseForward<S>& a) {
    const int inputs = static_cast<int>(a.input.extent[1]);
    const auto& d = a.derivatives;
    visit_activation(a.activation, [&](auto activation) {
        for_each_entry(context.group, static_cast<int>(a.output.extent[1]),
                       static_cast<int>(a.output.extent[2]), [&](int i, int e) {
                           const double h = preactivation<double>(
                               inputs, [&](Index j) { return a.weights(0, i, j); },
                               [&](Index j) { return a.input(0, j, e); }, a.bias(0, i));
                           const auto jet =
                               activation_jet<activation.value>(h, a.beta ? a.beta(0, i) : a.fixed_beta);
                           a.output(0, i, e) = jet.value;
                           d.d_h(0, i, e) = jet.d_h;
                           d.d_hh(0, i, e) = jet.d_hh;
                           if (!d.d_beta) return;
                           d.d_beta(0, i, e) = jet.d_beta;
                           d.d_hbeta(0, i, e) = jet.d_hbeta;
                           d.d_betabeta(0, i, e) = jet.d_betabeta;
                       });
    });
}

/// Replaces δ^a by δ^h and computes δ^a of the layer before.
template <Group G, Space S>
ESPECTRA_HD void dense_backward(GroupContext<G, S>& context, const DenseBackward<S>& a) {
    const int units = static_cast<int>(a.delta.extent[1]), examples = static_cast<int>(a.delta.extent[2]);
    for_each_entry(context.group, units, examples, [&](int i, int e) { a.delta(0, i, e) *= a.d_h(0, i, e); });
    context.group.sync();
    for_each_entry(context.group, static_cast<int>(a.input_delta.extent[1]), examples, [&](int j, int e) {
        double total = 0;
        for (int i = 0; i < units; ++i) total += a.weights(0, i, j) * a.delta(0, i, e);
        a.input_delta(0, j, e) = total;
    });
}

/// Computes δ and curvature, but no cost.
template <Group G, Space S>
ESPECTRA_HD void evaluate_loss(GroupContext<G, S>& context, const LossEvaluation<S>& a) {
    const int outputs = static_cast<int>(a.logits.extent[1]), examples = static_cast<int>(a.logits.extent[2]);
    const double weight = loss_weight(a.loss, outputs, a.total_examples);
    if (!traits_of(a.loss).elementwise) {
        for (int e = context.group.rank(); e < examples; e += context.group.size()) {
            const auto p = [&](Index c) -> double& { return a.curvature(0, c, c, e); };
            const Softmax soft = softmax(
                outputs, [&](Index c) { return a.logits(0, c, e); }, p);
            for (int c = 0; c < outputs; ++c)
                for (int d = 0; d < outputs; ++d)
                    if (c != d) a.curvature(0, c, d, e) = weight * (-p(c) * p(d));
            for (int c = 0; c < outputs; ++c) {
                a.delta(0, c, e) = weight * soft.first(c, p(c), a.targets(0, c, e));
                p(c) = weight * (p(c) * soft.complement(c, p(c)));
            }
        }
    } else {
        for_each_entry(context.group, outputs, examples, [&](int c, int e) {
            const LossJet jet = elementwise_loss(a.loss, a.logits(0, c, e), a.targets(0, c, e));
            a.delta(0, c, e) = weight * jet.first;
            for (int d = 0; d < outputs; ++d) a.curvature(0, c, d, e) = d == c ? weight * jet.second : 0.0;
        });
    }
}

template <Group G, Space S>
ESPECTRA_HD void activation_curvature(GroupContext<G, S>& context, const ActivationCurvature<S>& a) {
    const int units = static_cast<int>(a.curvature.extent[1]);
    const auto& d = a.derivatives;
    for_each_entry(
        context.group, units * units, static_cast<int>(a.curvature.extent[3]), [&](int pair, int e) {
            const int i = pair / units, j = pair % units;
            const double b = a.output_curvature(0, i, j, e);
            const double delta = i == j && a.output_delta ? a.output_delta(0, i, e) : 0.0;
            a.curvature(0, i, j, e) = d.d_h(0, i, e) * d.d_h(0, j, e) * b + delta * d.d_hh(0, i, e);
            if (!a.mixed) return;
            a.mixed(0, i, j, e) = d.d_beta(0, i, e) * d.d_h(0, j, e) * b + delta * d.d_hbeta(0, i, e);
            a.beta_curvature(0, i, j, e) =
                d.d_beta(0, i, e) * d.d_beta(0, j, e) * b + delta * d.d_betabeta(0, i, e);
        });
}

template <Group G, Space S>
ESPECTRA_HD void pull_back(GroupContext<G, S>& context, const PullBack<S>& a) {
    const int inner = static_cast<int>(a.matrix.extent[2]), columns = static_cast<int>(a.product.extent[2]);
    const int rows = static_cast<int>(a.matrix.extent[1]), examples = static_cast<int>(a.matrix.extent[3]);
    for_each_entry(context.group, rows * columns, examples, [&](int pair, int e) {
        const int p = pair / columns, i = pair % columns;
        double total = 0;
        for (int q = 0; q < inner; ++q) {
            const double x = a.matrix(0, p, q, e);
            total += a.weights(0, q, i) * (a.d_h ? x * a.d_h(0, q, e) : x);
        }
        a.product(0, p, i, e) = total;
    });
}

template <Group G, Space S>
ESPECTRA_HD void weights_transposed_times(GroupContext<G, S>& context, const WeightsTransposedTimes<S>& a) {
    const int inner = static_cast<int>(a.matrix.extent[1]), columns = static_cast<int>(a.matrix.extent[2]);
    const int rows = static_cast<int>(a.product.extent[1]), examples = static_cast<int>(a.matrix.extent[3]);
    for_each_entry(context.group, rows * columns, examples, [&](int pair, int e) {
        const int p = pair / columns, i = pair % columns;
        double total = 0;
        for (int q = 0; q < inner; ++q) total += a.weights(0, q, p) * a.matrix(0, q, i, e);
        a.product(0, p, i, e) = total;
    });
}

template <Group G, Space S>
ESPECTRA_HD void layer_jacobian(GroupContext<G, S>& context, const LayerJacobian<S>& a) {
    const int rows = static_cast<int>(a.jacobian.extent[1]), columns = static_cast<int>(a.jacobian.extent[2]);
    for_each_entry(context.group, rows * columns, static_cast<int>(a.jacobian.extent[3]),
                   [&](int pair, int e) {
                       const int p = pair / columns, i = pair % columns;
                       a.jacobian(0, p, i, e) = a.d_h(0, p, e) * a.weights(0, p, i);
                   });
}

/// Unit and input of parameter u = 0, 1, … of a layer; input k is the bias, −1 is β.
struct LayerParameter {
    int unit, input;
};
ESPECTRA_HD inline LayerParameter layer_parameter(int u, int units, int inputs) {
    if (u < units * inputs) return {u / inputs, u % inputs};
    u -= units * inputs;
    return u < units ? LayerParameter{u, inputs} : LayerParameter{u - units, -1};
}

/// Return the examples, which are contiguous, of one row or one pair of units.
template <Space S>
ESPECTRA_HD const double* examples_of(const View<const double, 3, S>& view, int i) {
    return view.data + i * view.stride[1];
}
template <Space S>
ESPECTRA_HD const double* examples_of(const View<const double, 4, S>& view, int i, int j) {
    return view.data + i * view.stride[1] + j * view.stride[2];
}

/// Returns the input that a weight is multiplied with; none for biases and β, for which it is 1.
template <Space S>
ESPECTRA_HD const double* input_of(const View<const double, 3, S>& view, int input) {
    return input >= 0 && input < view.extent[1] ? examples_of(view, input) : nullptr;
}

template <Group G, Space S>
ESPECTRA_HD void contract_layer_block(GroupContext<G, S>& context, const LayerBlock<S>& a) {
    const int units = static_cast<int>(a.curvature.extent[1]), inputs = static_cast<int>(a.input.extent[1]);
    const int examples = static_cast<int>(a.input.extent[2]);
    const int size = units * (inputs + (a.mixed ? 2 : 1));
    const Index first = a.offsets.weights;
    // Rows u and size − 1 − u of the upper triangle together have size + 1 entries.
    for_each_entry(context.group, (size + 1) / 2, size + 1, [&](int half, int column) {
        const bool below = column >= size - half;
        const int u = below ? size - 1 - half : half, v = below ? column - 1 : half + column;
        if (below && u == half) return;
        const LayerParameter x = layer_parameter(u, units, inputs), y = layer_parameter(v, units, inputs);
        // M's first index is that of β, which comes last in θ.
        const double* factor = x.input < 0   ? examples_of(a.beta_curvature, x.unit, y.unit)
                               : y.input < 0 ? examples_of(a.mixed, y.unit, x.unit)
                                             : examples_of(a.curvature, x.unit, y.unit);
        const double* left = input_of(a.input, x.input);
        const double* right = input_of(a.input, y.input);
        double total = 0;
        for (int e = 0; e < examples; ++e) {
            double term = factor[e];
            if (left) term *= left[e];
            if (right) term *= right[e];
            total += term;
        }
        a.hessian(0, first + u, first + v) += total;
    });
}

template <Group G, Space S>
ESPECTRA_HD void contract_cross_block(GroupContext<G, S>& context, const CrossBlock<S>& a) {
    const int units = static_cast<int>(a.d_h.extent[1]), inputs = static_cast<int>(a.input.extent[1]);
    const int later_units = static_cast<int>(a.curvature.extent[1]);
    const int later_inputs = static_cast<int>(a.later_input.extent[1]);
    const int examples = static_cast<int>(a.input.extent[2]);
    const int rows = units * (inputs + (a.d_beta ? 2 : 1));
    const int columns = later_units * (later_inputs + (a.mixed ? 2 : 1));
    for_each_entry(context.group, rows, columns, [&](int u, int c) {
        const LayerParameter x = layer_parameter(u, units, inputs);
        const LayerParameter y = layer_parameter(c, later_units, later_inputs);
        const int i = x.unit, p = y.unit, q = y.input;
        const double* factor = x.input < 0 ? examples_of(a.d_beta, i) : examples_of(a.d_h, i);
        const double* curvature = q < 0 ? examples_of(a.mixed, p, i) : examples_of(a.curvature, p, i);
        const double* left = input_of(a.input, x.input);
        const double* right = input_of(a.later_input, q);
        const double* delta =
            right && a.later_delta && (a.jacobian || q == i) ? examples_of(a.later_delta, p) : nullptr;
        const double* jacobian = delta && a.jacobian ? examples_of(a.jacobian, q, i) : nullptr;
        double total = 0;
        for (int e = 0; e < examples; ++e) {
            double term = curvature[e];
            if (right) term *= right[e];
            if (delta) term += jacobian ? delta[e] * jacobian[e] : delta[e];
            term *= factor[e];
            if (left) term *= left[e];
            total += term;
        }
        a.hessian(0, a.offsets.weights + u, a.later_offsets.weights + c) += total;
    });
}

}  // namespace espectra::group
