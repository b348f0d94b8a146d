// Index lists by Thrust on the emulated device: the algorithm of kernels/cuda/index_lists.cu, executed by
// Thrust's system for the CPU on the device's memory. Linked as an object of a program, it takes the place of
// that file.

#include "espectra/kernels/cuda/index_lists.hpp"
#include "espectra/kernels/cuda/thrust_lists.cuh"
#include "espectra/runtime/cuda/check.hpp"

#include <thrust/system/cpp/execution_policy.h>

#include "ptx/runtime/library_work.hpp"
#include "ptx/runtime/listed_call.hpp"
#include <algorithm>

namespace espectra {

namespace {

constexpr Space on_device = Space::device;
using Arguments = std::vector<ptx::LibraryWork::Argument>;

template <class T>
ptx::MatrixRegion region(View<T, 1, on_device> view) {
    return {view.data, 1, view.extent[0], view.stride[0], sizeof(T)};
}
template <class T>
ptx::MatrixRegion region(View<T, 2, on_device> view) {
    require_equal("list: distance of a row's entries", 1, view.stride[1]);
    return {view.data, view.extent[1], view.extent[0], std::max(view.stride[0], view.extent[1]), sizeof(T)};
}

Arguments reads(const group::Nonzero<on_device>& marked) { return {{"rows", region(marked.rows)}}; }
Arguments reads(const group::Kept<on_device>& marked) { return {{"keep", region(marked.keep)}}; }
Arguments reads(const group::KeptOfFinite<on_device>& marked) {
    return {{"keep", region(marked.keep)}, {"frobenius", region(marked.frobenius)}};
}

template <class M>
Arguments writes(const group::ListKernel<M, on_device>& lists) {
    return {{"list", region(lists.list)}, {"count", region(lists.count)}};
}
template <class M>
Arguments writes(const group::PositionsKernel<M, on_device>& lists) {
    return {{"positions", region(lists.positions)}};
}
template <class M>
Arguments writes(const group::CountKernel<M, on_device>& lists) {
    return {{"count", region(lists.count)}};
}

/// Returns the part of writes() that has values when the lists are made: of a list as many as it has entries.
template <class K>
Arguments written(const K& lists) {
    return writes(lists);
}
template <class M>
Arguments written(const group::ListKernel<M, on_device>& lists) {
    Arguments parts{{"count", region(lists.count)}};
    for (Index l = 0; l < lists.blocks(); ++l)
        parts.push_back({"list", region(lists.list.slice(0, l, 1).slice(1, 0, lists.count(l)))});
    return parts;
}

}  // namespace

void make_lists_by_thrust(CudaContext& context, const DeviceLists& lists) {
    const auto enqueue = [&]<class K>(const K& kernel) {
        check(espectra_emulated_enqueue(static_cast<cudaStream_t>(context.stream()),
                                        {.call = ptx::listed_call<K>(),
                                         .reads = reads(kernel.marked),
                                         .writes = writes(kernel),
                                         .perform = [kernel] {
                                             scan_lists(thrust::cpp::par, kernel);
                                             return written(kernel);
                                         }}));
    };
    std::visit(enqueue, lists);
}

}  // namespace espectra
