#include "espectra/kernels/cpu/fused/hessian_assembly.hpp"

#include <algorithm>

namespace espectra {

AssemblySizes::AssemblySizes(const NetworkView& network) {
    sums = hessian_products(network);
    for (int l = 0; l < network.count; ++l) {
        const Layer& layer = network.layers[l];
        const LayerPlan plan = plan_layer(layer, separate_outputs(network, l));
        width = std::max({width, layer.units, layer.inputs});
        pairs = std::max(pairs, plan.unit_pairs);
        mixed = std::max(mixed, plan.mixed);
        columns = std::max({columns, units_together(layer) * layer.inputs, triangle(layer.inputs),
                            2 * layer.units + link_rows + cross_rows(layer)});
        for (int k = l + 1; k < network.count; ++k)
            sums += cross_sums(network, l, k) -
                    layer.units * cross_rows(layer) * cross_columns(network.layers[k]);
    }
    cross = network.count > 1 ? width * width : 0;
}

HessianAssembly::HessianAssembly(const FusedHessian& arguments, Index replica, Arena& arena)
    : ChunkStates(arguments, replica, arena) {
    const AssemblySizes s(arguments.network);
    sums_ = arena.take<double>(s.sums);
    std::fill_n(sums_, s.sums, 0.0);
    delta_h_ = take(s.width);
    scaled_ = take(s.width);
    curvature_ = take(s.pairs);
    mixed_ = take(s.mixed);
    for (auto& matrix : moving_) matrix = take(s.cross);
    left_factor_ = take(s.width);
    right_factor_ = take(s.columns);
    pointers_ = arena.take<const double*>(s.pointers());
    factors_ = arena.take<const double*>(s.factors());
}

void HessianAssembly::assemble() {
    for (Index begin = 0; begin < examples_; begin += length_)
        add_chunk(begin, std::min(length_, examples_ - begin));
    write();
}

void HessianAssembly::add_chunk(Index begin, Index count) {
    evaluate(begin, count);
    double* sums = sums_;
    for (int k = a_.network.count; k-- > 0;) {
        const Layer& dense = layer(k);
        const LayerPlan p = plan(k);
        const LayerSums of_layer = layer_sums(sums, dense, p);
        if (dense.trainable_beta)
            add_layer_block<true>(k, p, of_layer);
        else
            add_layer_block<false>(k, p, of_layer);
        if (k == 0) break;

        // δ^h of this layer and δ^a of the previous one.
        for (Index i = 0; i < dense.units; ++i)
            multiply(delta_ + i * length_, state(k).d_h + i * length_, delta_h_ + i * length_);
        point(pointers_, delta_h_, dense.units);
        rows::combine(weights(k), 1, dense.inputs, nullptr, pointers_, dense.units, dense.inputs, length_,
                      delta_);

        form_neighbour_factors(k, p.separate);
        sums = add_cross_blocks(k, of_layer.end);
    }
}

template <class Pointer>
void HessianAssembly::times_weights(Index l, Index count, Pointer&& pointer, double* product) const {
    const Layer& dense = layer(l);
    for (Index p = 0; p < count; ++p) {
        for (Index q = 0; q < dense.units; ++q) pointers_[q] = pointer(p, q);
        rows::combine(weights(l), 1, dense.inputs, nullptr, pointers_, dense.units, dense.inputs, length_,
                      product + p * dense.inputs * length_);
    }
}

void HessianAssembly::form_neighbour_factors(int k, bool separate) const {
    const Index n = layer(k).units;
    const bool beta = layer(k).trainable_beta;
    double *v = moving_[0], *u = moving_[1];
    if (separate) {
        scale_weights(k, curvature_, v);
        if (beta) scale_weights(k, mixed_, u);
    } else {
        times_weights(
            k, n, [&](Index i, Index q) { return pair_row(i, q); }, v);
        if (beta)
            times_weights(
                k, n, [&](Index i, Index q) { return mixed_ + mixed_index(i, q) * length_; }, u);
    }
}

double* HessianAssembly::add_cross_blocks(int k, double* sums) const {
    const Layer& dense = layer(k);
    const double *v = moving_[0], *u = moving_[1], *jacobian = nullptr;
    for (int l = k; l-- > 0;) {
        if (scales_units(layer(l), dense, k - l))
            add_link_block(l, v, u, sums);
        else
            add_cross_block(l, k, v, u, jacobian, sums);
        sums += cross_sums(a_.network, l, k);
        if (l == 0) break;
        // V_{k←k−1} stays in moving_[0]: B_{k−1} is formed from it.
        const bool even = (k - l) % 2 == 0;
        v = move(l, dense.units, v, moving_[even ? 2 : 3]);
        if (dense.trainable_beta) u = move(l, dense.units, u, moving_[even ? 1 : 4]);
        double* product = moving_[even ? 5 : 6];
        if (jacobian)
            move(l, dense.inputs, jacobian, product);
        else
            scale_weights(l, state(l).d_h, product);
        jacobian = product;
    }
    return sums;
}

const double* HessianAssembly::loss_curvature(Index j) const {
    if (traits_of(a_.network.loss).elementwise) return second_ + j * length_;
    using simd::at;
    const simd::Vector weight = simd::broadcast(-loss_weight(a_.network.loss, last().units, examples_));
    for (Index i = 0; i < j; ++i)
        for (Index e = 0; e < length_; e += simd::lanes)
            at(scaled_ + i * length_, e) =
                weight * at(probabilities_ + i * length_, e) * at(probabilities_ + j * length_, e);
    std::copy_n(second_ + j * length_, length_, scaled_ + j * length_);
    return scaled_;
}

const double* HessianAssembly::pulled_curvature(int l, Index j) const {
    const Layer& next = layer(l + 1);
    for (Index q = 0; q < next.units; ++q) pointers_[q] = moving_[0] + (q * next.inputs + j) * length_;
    rows::combine(weights(l + 1), 1, next.inputs, nullptr, pointers_, next.units, j + 1, length_, scaled_);
    return scaled_;
}

double* HessianAssembly::move(Index l, Index count, const double* matrix, double* product) const {
    const Index n = layer(l).units;
    const double* d_h = state(l).d_h;
    times_weights(
        l, count,
        [&](Index p, Index q) {
            multiply(matrix + (p * n + q) * length_, d_h + q * length_, scaled_ + q * length_);
            return scaled_ + q * length_;
        },
        product);
    return product;
}

void HessianAssembly::scale_weights(Index l, const double* diagonal, double* product) const {
    using simd::at;
    for (Index p = 0; p < layer(l).units; ++p)
        for (Index i = 0; i < layer(l).inputs; ++i, product += length_) {
            const simd::Vector weight = simd::broadcast(weights(l)[p * layer(l).inputs + i]);
            for (Index e = 0; e < length_; e += simd::lanes)
                at(product, e) = weight * at(diagonal + p * length_, e);
        }
}

void HessianAssembly::write() const {
    for (Index row = 0; row < hessian_.extent[0]; ++row)
        std::fill_n(&hessian_(row, row), hessian_.extent[0] - row, 0.0);
    double* sums = sums_;
    for (int k = a_.network.count; k-- > 0;) {
        const LayerPlan p = plan(k);
        const LayerSums of_layer = layer_sums(sums, layer(k), p);
        sums = of_layer.end;
        write_layer_block(layer(k), p.separate, of_layer);
        for (int l = k; l-- > 0;) {
            if (scales_units(layer(l), layer(k), k - l))
                write_link_block(layer(l), layer(k), sums);
            else
                write_cross_block(layer(l), layer(k), sums);
            sums += cross_sums(a_.network, l, k);
        }
    }
}

}  // namespace espectra
