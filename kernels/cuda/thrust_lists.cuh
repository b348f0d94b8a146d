#pragma once

#include "espectra/runtime/view.hpp"

#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/tabulate_output_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <thrust/scan.h>

namespace espectra {

// The lists of kernels/group/index_lists.hpp by Thrust, on any of its systems: that of CUDA in production,
// that of the CPU in tests. K is one of the kernels there; item i of the scan is entry i % (n + 1) of list
// i / (n + 1), where n is the length of the lists.

template <class K>
struct ListOfItem {
    K kernel;
    ESPECTRA_HD Index operator()(Index i) const { return i / (kernel.length() + 1); }
};

/// Returns 1 for items that are marked, else 0, and so for the item behind a list.
template <class K>
struct MarkOfItem {
    K kernel;
    ESPECTRA_HD Index operator()(Index i) const {
        const Index width = kernel.length() + 1, p = i % width;
        return p < kernel.length() && kernel.marked(i / width, p) ? 1 : 0;
    }
};

template <class K>
struct StoreItem {
    K kernel;
    ESPECTRA_HD void operator()(Index i, Index before) const {
        const Index width = kernel.length() + 1;
        kernel.store(i / width, i % width, before);
    }
};

/// Makes the lists of a kernel by one scan, whose results are stored where the kernel wants them. On CUDA,
/// with the policy thrust::cuda::par_nosync, it does not wait for the device.
template <class Policy, class K>
void scan_lists(const Policy& policy, const K& kernel) {
    const thrust::counting_iterator<Index> items(0);
    const auto lists = thrust::make_transform_iterator(items, ListOfItem<K>{kernel});
    const auto marks = thrust::make_transform_iterator(items, MarkOfItem<K>{kernel});
    thrust::exclusive_scan_by_key(policy, lists, lists + kernel.blocks() * (kernel.length() + 1), marks,
                                  thrust::make_tabulate_output_iterator(StoreItem<K>{kernel}), Index{0});
}

}  // namespace espectra
