#pragma once

#include "espectra/kernels/group/group.hpp"
#include "espectra/kernels/math/parameter_update.hpp"
#include "espectra/kernels/optimizer.hpp"

#include <cmath>

// Group kernels of the optimizers; one item is one parameter of one replica.

namespace espectra::group {

inline constexpr Index parameters_per_block = 256;

template <Space S>
Index parameter_blocks(const View<double, 2, S>& theta) {
    return divide_up(theta.size(), parameters_per_block);
}

/// Calls update(r, p) for the parameters of θ [R, P] that a block updates.
template <Group G, Space S, class Update>
ESPECTRA_HD void for_each_parameter(const G& group, Index block, const View<double, 2, S>& theta,
                                    Update&& update) {
    const Index begin = block * parameters_per_block, left = theta.size() - begin;
    for_each_item(group, left < parameters_per_block ? left : parameters_per_block, [&](Index item) {
        update((begin + item) / theta.extent[1], (begin + item) % theta.extent[1]);
    });
}

template <Space S>
struct AdamKernel {
    static constexpr const char* name = "adam_step";
    static constexpr int threads = 256;
    AdamStep<S> a;

    Index blocks() const { return parameter_blocks(a.theta); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index at = a.counter(0) % rate_segment;
        for_each_parameter(group, block, a.theta, [&](Index r, Index p) {
            const double g = a.gradient(r, p);
            a.theta(r, p) = adam_update(a.theta(r, p), g, a.rates(r, at), a.beta1, a.beta2, a.epsilon,
                                        a.first_moment(r, p), a.second_moment(r, p));
        });
    }
};

template <Space S>
struct GradientDescentKernel {
    static constexpr const char* name = "gradient_descent_step";
    static constexpr int threads = 256;
    GradientDescentStep<S> a;

    Index blocks() const { return parameter_blocks(a.theta); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index at = a.counter(0) % rate_segment;
        for_each_parameter(group, block, a.theta, [&](Index r, Index p) {
            a.theta(r, p) = gradient_descent_update(a.theta(r, p), a.gradient(r, p), a.rates(r, at));
        });
    }
};

template <Space S>
struct MarkDivergenceKernel {
    static constexpr const char* name = "mark_divergence";
    static constexpr int threads = 256;
    DivergenceMark<S> a;

    Index blocks() const { return divide_up(a.cost.extent[0], parameters_per_block); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index begin = block * parameters_per_block;
        const Index left = a.cost.extent[0] - begin;
        for_each_item(group, left < parameters_per_block ? left : parameters_per_block, [&](Index item) {
            const Index r = begin + item;
            if (a.first_nonfinite(r) < 0 && !std::isfinite(a.cost(r))) a.first_nonfinite(r) = a.counter(0);
        });
    }
};

template <Space S>
struct AdvanceCounterKernel {
    static constexpr const char* name = "advance_counter";
    static constexpr int threads = 32;
    CounterAdvance<S> a;

    Index blocks() const { return 1; }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index /*block*/, double* /*shared*/) const {
        if (group.rank() == 0) a.counter(0) += a.epochs;
    }
};

template <class C>
void adam_step(C& context, const AdamStep<C::space>& arguments) {
    launch(context, AdamKernel<C::space>{arguments});
}

template <class C>
void gradient_descent_step(C& context, const GradientDescentStep<C::space>& arguments) {
    launch(context, GradientDescentKernel<C::space>{arguments});
}

template <class C>
void mark_divergence(C& context, const DivergenceMark<C::space>& arguments) {
    launch(context, MarkDivergenceKernel<C::space>{arguments});
}

template <class C>
void advance_counter(C& context, const CounterAdvance<C::space>& arguments) {
    launch(context, AdvanceCounterKernel<C::space>{arguments});
}

}  // namespace espectra::group
