#include "espectra/kernels/batches.hpp"

#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/random.hpp"

#include <algorithm>
#include <numeric>

namespace espectra {

void order_examples(CpuContext& context, const ExampleOrder<Space::host>& a) {
    const Index examples = a.order.extent[1];
    const auto first = static_cast<std::uint64_t>(a.counter(0) / a.updates_per_epoch * examples);
    context.parallel_for(a.order.extent[0], [&](Index r, int) {
        const RandomStream random(a.seeds(r), shuffle_stream);
        std::uint64_t* keys = &a.keys(r, 0);
        std::int64_t* order = &a.order(r, 0);
        for (Index e = 0; e < examples; ++e) keys[e] = random.bits(first + static_cast<std::uint64_t>(e));
        std::iota(order, order + examples, 0);
        std::sort(order, order + examples, [keys](std::int64_t x, std::int64_t y) {
            return keys[x] != keys[y] ? keys[x] < keys[y] : x < y;
        });
    });
}

void gather_examples(CpuContext& context, const ExampleGather<Space::host>& a) {
    const Index begin = a.counter(0) % a.updates_per_epoch * a.batch_size, count = a.batch_features.extent[2];
    context.parallel_for(a.order.extent[0], [&](Index r, int) {
        const std::int64_t* order = &a.order(r, begin);
        const auto gather = [&](const View<const double, 2>& rows, const View<double, 2>& batch) {
            for (Index i = 0; i < rows.extent[0]; ++i)
                for (Index e = 0; e < count; ++e) batch(i, e) = rows(i, order[e]);
        };
        gather(a.features, a.batch_features[r]);
        gather(a.targets, a.batch_targets[r]);
    });
}

}  // namespace espectra
