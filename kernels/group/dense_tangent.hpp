#pragma once

#include "espectra/kernels/group/dense.hpp"

// Group kernels of the tangents of dense layers (Hessian–vector products). The two products of each step are
// computed as one of twice the depth.

namespace espectra::group {

/// h˙ = Ẇ·input + W·input˙ + ḃ and output˙ = φ_h h˙ + φ_β β̇.
template <Space S>
struct TangentForwardProduct {
    static constexpr const char* name = "dense_tangent_forward";
    static constexpr bool a_inner = true, b_inner = false;
    static constexpr std::size_t table_doubles = 0;
    DenseTangentForward<S> args;

    ESPECTRA_HD Index batches() const { return args.output_tangent.extent[0]; }
    ESPECTRA_HD Index rows() const { return args.output_tangent.extent[1]; }
    ESPECTRA_HD Index columns() const { return args.output_tangent.extent[2]; }
    ESPECTRA_HD Index depth() const { return args.input.extent[1] * (args.input_tangent ? 2 : 1); }

    struct Tile {
        const DenseTangentForward<S>& args;
        Index r, row, column;
        ESPECTRA_HD double a(int i, Index k) const {
            const Index n = args.input.extent[1];
            return k < n ? args.weights_tangent(r, row + i, k) : args.weights(r, row + i, k - n);
        }
        ESPECTRA_HD double b(Index k, int j) const {
            const Index n = args.input.extent[1];
            return k < n ? args.input(r, k, column + j) : args.input_tangent(r, k - n, column + j);
        }
        ESPECTRA_HD void store(int i, int j, double value) const {
            const Index unit = row + i, e = column + j;
            const double h_tangent = value + args.bias_tangent(r, unit);
            double tangent = args.derivatives.d_h(r, unit, e) * h_tangent;
            if (args.beta_tangent)
                tangent += args.derivatives.d_beta(r, unit, e) * args.beta_tangent(r, unit);
            args.preactivation_tangent(r, unit, e) = h_tangent;
            args.output_tangent(r, unit, e) = tangent;
        }
    };
    template <Group G>
    ESPECTRA_HD Tile tile(const G&, double*, Index r, Index row, Index column) const {
        return {args, r, row, column};
    }
};

template <class C>
void dense_tangent_forward(C& context, const DenseTangentForward<C::space>& a) {
    multiply(context, TangentForwardProduct<C::space>{a});
}

/// One block: one unit. δ˙^h in place of δ˙^a, and the sums of bias and β.
template <Space S>
struct UnitTangentBackwardKernel {
    static constexpr const char* name = "dense_tangent_backward (unit)";
    static constexpr int threads = 256;
    DenseTangentBackward<S> a;

    Index blocks() const { return a.delta_tangent.extent[0] * a.delta_tangent.extent[1]; }
    std::size_t shared_doubles() const { return 2 * sum_lanes; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const Index units = a.delta_tangent.extent[1], examples = a.delta_tangent.extent[2];
        const Index r = block / units, i = block % units;
        const double beta_tangent = a.beta_tangent ? a.beta_tangent(r, i) : 0.0;
        if (a.beta_gradient) {
            lane_sums(
                group, 1, examples, shared + sum_lanes,
                [&](Index, Index e) {
                    return a.delta_tangent(r, i, e) * a.derivatives.d_beta(r, i, e) +
                           a.output_delta(r, i, e) *
                               (a.derivatives.d_hbeta(r, i, e) * a.preactivation_tangent(r, i, e) +
                                a.derivatives.d_betabeta(r, i, e) * beta_tangent);
                },
                [&](Index, double sum) { a.beta_gradient(r, i) = sum; });
            group.sync();  // δ˙^a is no longer read
        }
        for_each_item(group, examples, [&](Index e) {
            double change = a.derivatives.d_hh(r, i, e) * a.preactivation_tangent(r, i, e);
            if (a.beta_tangent) change += a.derivatives.d_hbeta(r, i, e) * beta_tangent;
            a.delta_tangent(r, i, e) =
                a.derivatives.d_h(r, i, e) * a.delta_tangent(r, i, e) + a.output_delta(r, i, e) * change;
        });
        group.sync();
        lane_sums(
            group, 1, examples, shared, [&](Index, Index e) { return a.delta_tangent(r, i, e); },
            [&](Index, double sum) { a.bias_gradient(r, i) = sum; });
    }
};

template <class C>
void dense_tangent_backward(C& context, const DenseTangentBackward<C::space>& a) {
    launch(context, UnitTangentBackwardKernel<C::space>{a});
    const View<const double, 3, C::space> none{};
    weights_gradient(context,
                     {a.delta_tangent, a.input, a.input_tangent ? a.delta : none, a.input_tangent, {}},
                     a.weights_gradient);
    if (a.input_delta_tangent)
        multiply(context, InputDeltaProduct<C::space>{a.weights_tangent, a.delta, a.weights, a.delta_tangent,
                                                      a.input_delta_tangent});
}

}  // namespace espectra::group
