#pragma once

#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>

namespace espectra {

// Mini-batches: in every epoch the examples are taken in a random order, and each update takes the next of
// them. The order of an epoch is a pure function of the seed of a replica, so that it is the same for any
// number of threads, for any batch of replicas and on every backend. The counter [1] has the updates done.

/// Arguments of order_examples, which sorts the m examples of each replica by random numbers: example e of
/// epoch n has bits(n·m + e) of RandomStream(seed, shuffle_stream); of equal ones the first example comes
/// first.
template <Space S>
struct ExampleOrder {
    View<const std::uint64_t, 1, S> seeds;   ///< [R]
    View<const std::int64_t, 1, S> counter;  ///< [1]; the epoch is counter / updates_per_epoch
    std::int64_t updates_per_epoch;
    View<std::uint64_t, 2, S> keys;  ///< [R, m] the random numbers
    View<std::int64_t, 2, S> order;  ///< [R, m] examples in their order
};

/// Arguments of gather_examples, which copies the examples of the next update: those in `order` from
/// (counter mod updates_per_epoch)·batch_size on, as many as the arrays hold.
template <Space S>
struct ExampleGather {
    View<const std::int64_t, 2, S> order;    ///< [R, m]
    View<const std::int64_t, 1, S> counter;  ///< [1]
    std::int64_t updates_per_epoch;
    Index batch_size;
    View<const double, 2, S> features, targets;        ///< [k, m], [C, m]
    View<double, 3, S> batch_features, batch_targets;  ///< [R, k, b], [R, C, b]; b ≤ batch_size
};

}  // namespace espectra
