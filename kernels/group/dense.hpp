#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/group/reduction.hpp"
#include "espectra/kernels/group/tile_product.hpp"
#include "espectra/kernels/math/activation_jet.hpp"
#include "espectra/kernels/math/preactivation.hpp"
#include "espectra/runtime/buffer.hpp"

// Group kernels of dense layers. Layers with few inputs are computed operation by operation as on the CPU,
// with the same bits; the others by tiles.

namespace espectra::group {

/// Writes φ(h, β) and the derivatives asked for, at one unit and example.
template <Space S>
ESPECTRA_HD void activate(const DenseForward<S>& a, Index r, Index i, Index e, double h) {
    const double beta = a.beta ? a.beta(r, i) : a.fixed_beta;
    const auto& d = a.derivatives;
    visit_activation(a.activation, [&](auto activation) {
        const ActivationJet jet = activation_jet<activation()>(h, beta);
        a.output(r, i, e) = jet.value;
        if (d.d_h) d.d_h(r, i, e) = jet.d_h;
        if (d.d_beta) d.d_beta(r, i, e) = jet.d_beta;
        if (d.d_hh) d.d_hh(r, i, e) = jet.d_hh;
        if (d.d_hbeta) d.d_hbeta(r, i, e) = jet.d_hbeta;
        if (d.d_betabeta) d.d_betabeta(r, i, e) = jet.d_betabeta;
    });
}

/// One block: 512 examples of one unit.
template <Space S>
struct FewInputsForwardKernel {
    static constexpr const char* name = "dense_forward (few inputs)";
    static constexpr int threads = 256;
    DenseForward<S> a;

    Index blocks() const {
        return a.output.extent[0] * a.output.extent[1] * divide_up(a.output.extent[2], dense_chunk);
    }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index examples = a.output.extent[2], inputs = a.input.extent[1], units = a.output.extent[1];
        const Index parts = divide_up(examples, dense_chunk);
        const Index begin = block % parts * dense_chunk, i = block / parts % units, r = block / parts / units;
        const Index left = examples - begin;
        for_each_item(group, left < dense_chunk ? left : dense_chunk, [&](Index item) {
            const Index e = begin + item;
            const double h = preactivation<double>(
                inputs, [&](Index j) { return a.weights(r, i, j); },
                [&](Index j) { return a.input(r, j, e); }, a.bias(r, i));
            activate(a, r, i, e, h);
        });
    }
};

/// h = W·input by tiles; the activation follows when a tile is stored.
template <Space S>
struct ForwardProduct {
    static constexpr const char* name = "dense_forward";
    static constexpr bool a_inner = true, b_inner = false;
    static constexpr std::size_t table_doubles = 0;
    DenseForward<S> args;

    ESPECTRA_HD Index batches() const { return args.output.extent[0]; }
    ESPECTRA_HD Index rows() const { return args.output.extent[1]; }
    ESPECTRA_HD Index columns() const { return args.output.extent[2]; }
    ESPECTRA_HD Index depth() const { return args.input.extent[1]; }

    struct Tile {
        const DenseForward<S>& args;
        Index r, row, column;
        ESPECTRA_HD double a(int i, Index k) const { return args.weights(r, row + i, k); }
        ESPECTRA_HD double b(Index k, int j) const { return args.input(r, k, column + j); }
        ESPECTRA_HD void store(int i, int j, double h) const {
            activate(args, r, row + i, column + j, h + args.bias(r, row + i));
        }
    };
    template <Group G>
    ESPECTRA_HD Tile tile(const G&, double*, Index r, Index row, Index column) const {
        return {args, r, row, column};
    }
};

template <class C>
void dense_forward(C& context, const DenseForward<C::space>& a) {
    require_shapes(a);
    if (a.input.extent[1] <= few_inputs)
        launch(context, FewInputsForwardKernel<C::space>{a});
    else
        multiply(context, ForwardProduct<C::space>{a});
}

/// One block: one unit. Computes δ^h = δ^a ∘ φ_h, the sums of bias and β, and with few inputs those of the
/// weights, over chunks of examples in order.
template <Space S>
struct UnitBackwardKernel {
    static constexpr const char* name = "dense_backward (unit)";
    static constexpr int threads = 256;
    DenseBackward<S> a;
    Index inputs;  ///< number of inputs whose weights are summed here: all if they are few, else 0

    Index blocks() const { return a.delta.extent[0] * a.delta.extent[1]; }
    std::size_t shared_doubles() const {
        return static_cast<std::size_t>((sum_lanes + 1) * (few_inputs + 2));
    }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        const Index units = a.delta.extent[1], examples = a.delta.extent[2];
        const Index r = block / units, i = block % units;
        double* totals = shared;  // bias, weights; β last
        double* partial = shared + few_inputs + 2;
        const bool gradients = static_cast<bool>(a.weights_gradient),
                   beta = static_cast<bool>(a.beta_gradient);
        for (Index begin = 0; begin < examples; begin += dense_chunk) {
            const Index left = examples - begin, count = left < dense_chunk ? left : dense_chunk;
            double* delta = &a.delta(r, i, begin);
            const auto add = [&](Index row, double sum) {
                totals[row] = begin == 0 ? sum : totals[row] + sum;
            };
            if (beta) {
                lane_sums(
                    group, 1, count, partial,
                    [&](Index, Index e) { return delta[e] * a.d_beta(r, i, begin + e); },
                    [&](Index, double sum) { add(few_inputs + 1, sum); });
                group.sync();  // δ^a is no longer read
            }
            for_each_item(group, count, [&](Index e) { delta[e] *= a.d_h(r, i, begin + e); });
            if (!gradients) continue;
            group.sync();
            lane_sums(
                group, 1 + inputs, count, partial,
                [&](Index row, Index e) {
                    return row == 0 ? delta[e] : delta[e] * a.input(r, row - 1, begin + e);
                },
                add);
            if (beta && begin + dense_chunk < examples) group.sync();  // partial has been read
        }
        if (!gradients) return;
        for_each_item(group, 1 + inputs, [&](Index row) {  // by the thread that has added them
            (row == 0 ? a.bias_gradient(r, i) : a.weights_gradient(r, i, row - 1)) = totals[row];
        });
        if (beta && group.rank() == 0) a.beta_gradient(r, i) = totals[few_inputs + 1];
    }
};

/// δ_input = Wᵀ δ^h of few inputs: the units are added in order.
template <Space S>
struct FewInputsDeltaKernel {
    static constexpr const char* name = "dense_backward (few inputs)";
    static constexpr int threads = 256;
    DenseBackward<S> a;

    Index blocks() const {
        return a.input_delta.extent[0] * a.input_delta.extent[1] *
               divide_up(a.input_delta.extent[2], dense_chunk);
    }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index examples = a.delta.extent[2], inputs = a.input_delta.extent[1], units = a.delta.extent[1];
        const Index parts = divide_up(examples, dense_chunk);
        const Index begin = block % parts * dense_chunk, j = block / parts % inputs,
                    r = block / parts / inputs;
        const Index left = examples - begin;
        for_each_item(group, left < dense_chunk ? left : dense_chunk, [&](Index item) {
            const Index e = begin + item;
            double delta = 0;
            for (Index i = 0; i < units; ++i) delta += a.weights(r, i, j) * a.delta(r, i, e);
            a.input_delta(r, j, e) = delta;
        });
    }
};

/// Σ δ inputᵀ over the examples, in pieces of gradient_share that are added in order afterwards.
template <Space S>
struct GradientProduct {
    static constexpr const char* name = "weights gradient";
    static constexpr bool a_inner = true, b_inner = true;
    static constexpr std::size_t table_doubles = 0;
    static constexpr Index piece = gradient_share;
    View<const double, 3, S> delta, input;    ///< [R, n, m], [R, k, m]
    View<const double, 3, S> delta2, input2;  ///< a second product to be added, or empty
    View<double, 4, S> shares;                ///< [R, pieces, n, k]

    ESPECTRA_HD Index pieces() const { return divide_up(delta.extent[2], piece); }
    ESPECTRA_HD Index batches() const { return delta.extent[0] * pieces(); }
    ESPECTRA_HD Index rows() const { return delta.extent[1]; }
    ESPECTRA_HD Index columns() const { return input.extent[1]; }
    ESPECTRA_HD Index depth() const { return delta.extent[2]; }

    struct Tile {
        const GradientProduct& p;
        Index r, part, row, column;
        Index count, depth;  // examples, and these or twice as many
        // Inner index: example e of the first product, count + e of the second.
        ESPECTRA_HD double element(const View<const double, 3, S>& first,
                                   const View<const double, 3, S>& second, Index outer, Index k) const {
            return k < count ? first(r, outer, part * piece + k) : second(r, outer, part * piece + k - count);
        }
        ESPECTRA_HD double a(int i, Index k) const { return element(p.delta, p.delta2, row + i, k); }
        ESPECTRA_HD double b(Index k, int j) const { return element(p.input, p.input2, column + j, k); }
        ESPECTRA_HD void store(int i, int j, double value) const {
            p.shares(r, part, row + i, column + j) = value;
        }
    };
    template <Group G>
    ESPECTRA_HD Tile tile(const G&, double*, Index batch, Index row, Index column) const {
        const Index part = batch % pieces(), left = delta.extent[2] - part * piece,
                    count = left < piece ? left : piece;
        return {*this, batch / pieces(), part, row, column, count, input2 ? 2 * count : count};
    }
};

/// sums [R, n, k] = Σ of the shares [R, pieces, n, k], in order.
template <Space S>
struct AddSharesKernel {
    static constexpr const char* name = "add shares";
    static constexpr int threads = 256;
    static constexpr Index items = 256;
    View<const double, 4, S> shares;
    View<double, 3, S> sums;

    Index blocks() const { return divide_up(sums.size(), items); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index begin = block * items, left = sums.size() - begin;
        for_each_item(group, left < items ? left : items, [&](Index item) {
            const Index at = begin + item, j = at % sums.extent[2], i = at / sums.extent[2] % sums.extent[1];
            const Index r = at / sums.extent[2] / sums.extent[1];
            double total = shares(r, 0, i, j);
            for (Index part = 1; part < shares.extent[1]; ++part) total += shares(r, part, i, j);
            sums(r, i, j) = total;
        });
    }
};

template <class C>
void weights_gradient(C& context, GradientProduct<C::space> product, View<double, 3, C::space> gradient) {
    const Index replicas = gradient.extent[0], n = gradient.extent[1], k = gradient.extent[2];
    Buffer<double, C::space> memory(context, replicas * product.pieces() * n * k);
    product.shares = memory.view(replicas, product.pieces(), n, k);
    multiply(context, product);
    launch(context, AddSharesKernel<C::space>{product.shares, gradient});
}

/// δ_input = W₁ᵀ δ₁ + W₂ᵀ δ₂ (the second may be empty).
template <Space S>
struct InputDeltaProduct {
    static constexpr const char* name = "dense_backward (input)";
    static constexpr bool a_inner = false, b_inner = false;
    static constexpr std::size_t table_doubles = 0;
    View<const double, 3, S> weights, delta;    ///< [R, n, k], [R, n, m]
    View<const double, 3, S> weights2, delta2;  ///< or empty
    View<double, 3, S> input_delta;             ///< [R, k, m]

    ESPECTRA_HD Index batches() const { return input_delta.extent[0]; }
    ESPECTRA_HD Index rows() const { return input_delta.extent[1]; }
    ESPECTRA_HD Index columns() const { return input_delta.extent[2]; }
    ESPECTRA_HD Index depth() const { return weights.extent[1] * (weights2 ? 2 : 1); }

    struct Tile {
        const InputDeltaProduct& p;
        Index r, row, column;
        ESPECTRA_HD double a(int i, Index k) const {
            const Index n = p.weights.extent[1];
            return k < n ? p.weights(r, k, row + i) : p.weights2(r, k - n, row + i);
        }
        ESPECTRA_HD double b(Index k, int j) const {
            const Index n = p.weights.extent[1];
            return k < n ? p.delta(r, k, column + j) : p.delta2(r, k - n, column + j);
        }
        ESPECTRA_HD void store(int i, int j, double value) const {
            p.input_delta(r, row + i, column + j) = value;
        }
    };
    template <Group G>
    ESPECTRA_HD Tile tile(const G&, double*, Index r, Index row, Index column) const {
        return {*this, r, row, column};
    }
};

template <class C>
void dense_backward(C& context, const DenseBackward<C::space>& a) {
    require_shapes(a);
    const Index inputs = a.input.extent[1];
    const bool few = inputs <= few_inputs;
    launch(context, UnitBackwardKernel<C::space>{a, few ? inputs : 0});
    if (a.weights_gradient && !few)
        weights_gradient(context, {a.delta, a.input, {}, {}, {}}, a.weights_gradient);
    if (!a.input_delta) return;
    if (few)
        launch(context, FewInputsDeltaKernel<C::space>{a});
    else
        multiply(context, InputDeltaProduct<C::space>{a.weights, a.delta, {}, {}, a.input_delta});
}

}  // namespace espectra::group
