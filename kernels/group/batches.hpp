#pragma once

#include "espectra/kernels/batches.hpp"
#include "espectra/kernels/group/group.hpp"
#include "espectra/runtime/random.hpp"

#include <cstdint>

// Group kernels of mini-batches.

namespace espectra::group {

/// One block: the random numbers of 256 examples of one replica.
template <Space S>
struct DrawKeysKernel {
    static constexpr const char* name = "order_examples (keys)";
    static constexpr int threads = 256;
    ExampleOrder<S> a;

    Index blocks() const { return a.order.extent[0] * divide_up(a.order.extent[1], threads); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index examples = a.order.extent[1], parts = divide_up(examples, threads);
        const Index r = block / parts, begin = block % parts * threads, left = examples - begin;
        const Index first = a.counter(0) / a.updates_per_epoch * examples;
        const RandomStream random(a.seeds(r), shuffle_stream);
        for_each_item(group, left < threads ? left : threads, [&](Index item) {
            a.keys(r, begin + item) = random.bits(static_cast<std::uint64_t>(first + begin + item));
        });
    }
};

/// One block: the places of 256 examples of one replica. The place of an example is the number of those whose
/// random number is smaller, which are counted in shared memory part by part.
template <Space S>
struct RankExamplesKernel {
    static constexpr const char* name = "order_examples";
    static constexpr int threads = 256;
    ExampleOrder<S> a;

    Index blocks() const { return a.order.extent[0] * divide_up(a.order.extent[1], threads); }
    std::size_t shared_doubles() const { return 2 * threads; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const {
        auto* const keys = reinterpret_cast<std::uint64_t*>(shared);             // of the part
        auto* const places = reinterpret_cast<std::int64_t*>(shared + threads);  // of the block's examples
        static_assert(sizeof(std::uint64_t) == sizeof(double));
        const Index examples = a.order.extent[1], parts = divide_up(examples, threads);
        const Index r = block / parts, begin = block % parts * threads, left = examples - begin;
        const Index own = left < threads ? left : threads;
        for_each_item(group, own, [&](Index item) { places[item] = 0; });
        for (Index first = 0; first < examples; first += threads) {
            const Index count = examples - first < threads ? examples - first : threads;
            group.sync();
            for_each_item(group, count, [&](Index e) { keys[e] = a.keys(r, first + e); });
            group.sync();
            for_each_item(group, own, [&](Index item) {
                const std::uint64_t key = a.keys(r, begin + item);
                std::int64_t smaller = 0;
                for (Index e = 0; e < count; ++e)
                    smaller += keys[e] < key || (keys[e] == key && first + e < begin + item) ? 1 : 0;
                places[item] += smaller;
            });
        }
        for_each_item(group, own, [&](Index item) { a.order(r, places[item]) = begin + item; });
    }
};

/// One block: a row of the features or targets of one replica's mini-batch.
template <Space S>
struct GatherExamplesKernel {
    static constexpr const char* name = "gather_examples";
    static constexpr int threads = 128;
    ExampleGather<S> a;

    Index rows() const { return a.features.extent[0] + a.targets.extent[0]; }
    Index blocks() const { return a.order.extent[0] * rows(); }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index inputs = a.features.extent[0], all = inputs + a.targets.extent[0];
        const Index r = block / all, row = block % all;
        const Index begin = a.counter(0) % a.updates_per_epoch * a.batch_size;
        for_each_item(group, a.batch_features.extent[2], [&](Index e) {
            const Index example = a.order(r, begin + e);
            if (row < inputs)
                a.batch_features(r, row, e) = a.features(row, example);
            else
                a.batch_targets(r, row - inputs, e) = a.targets(row - inputs, example);
        });
    }
};

template <class C>
void order_examples(C& context, const ExampleOrder<C::space>& arguments) {
    launch(context, DrawKeysKernel<C::space>{arguments});
    launch(context, RankExamplesKernel<C::space>{arguments});
}

template <class C>
void gather_examples(C& context, const ExampleGather<C::space>& arguments) {
    launch(context, GatherExamplesKernel<C::space>{arguments});
}

}  // namespace espectra::group
