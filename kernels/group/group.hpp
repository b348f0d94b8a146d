#pragma once

#include "espectra/runtime/view.hpp"

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace espectra {

/// The threads that run one block of a kernel together: a CUDA block, a single thread of the CPU, or threads
/// of the tests. Between two calls of sync() no thread may read values that another one writes.
template <class G>
concept Group = requires(const G& group) {
    { group.rank() } -> std::convertible_to<int>;  // 0 … size() − 1
    { group.size() } -> std::convertible_to<int>;
    group.sync();
};

/// A group of one thread.
struct SerialGroup {
    ESPECTRA_HD static constexpr int rank() { return 0; }
    ESPECTRA_HD static constexpr int size() { return 1; }
    ESPECTRA_HD static constexpr void sync() {}
};

/// Calls body(item) for every item in [0, count); the threads of the group take items in turn.
template <Group G, class Body>
ESPECTRA_HD void for_each_item(const G& group, Index count, Body&& body) {
    for (Index item = group.rank(); item < count; item += group.size()) body(item);
}

// A group kernel is a trivially copyable type with
//   static constexpr const char* name;           of the operation, for profiles and reports
//   static constexpr int threads;                of a CUDA block; the body itself runs on any number
//   Index blocks() const;                        number of independent blocks, run in any order
//   std::size_t shared_doubles() const;          scratch of one block, not initialised
//   template <Group G> ESPECTRA_HD void operator()(const G&, Index block, double* shared) const;
// and optionally blocks_per_multiprocessor (1) and prefers_shared_memory for the compiler and the device.
// launch(context, kernel) runs it: on a CUDA device (kernels/cuda/launch.cuh), or on threads in the tests.
// All arithmetic is IEEE without contraction (fused multiply-adds are written as such) and every sum has an
// order that does not depend on the number of threads, so that all groups give the same bits.
template <class K>
concept GroupKernel = std::is_trivially_copyable_v<K> && requires(const K& kernel) {
    { K::name } -> std::convertible_to<const char*>;
    { K::threads } -> std::convertible_to<int>;
    { kernel.blocks() } -> std::same_as<Index>;
    { kernel.shared_doubles() } -> std::same_as<std::size_t>;
};

}  // namespace espectra
