#pragma once

#include "espectra/kernels/group/index_lists.hpp"
#include "espectra/kernels/index_lists.hpp"
#include "espectra/runtime/cuda/context.hpp"

#include <variant>

namespace espectra {

/// The kernels of index lists that operations use on a device.
using DeviceLists = std::variant<group::ListKernel<group::Nonzero<Space::device>, Space::device>,
                                 group::ListKernel<group::Kept<Space::device>, Space::device>,
                                 group::PositionsKernel<group::KeptOfFinite<Space::device>, Space::device>,
                                 group::CountKernel<group::Nonzero<Space::device>, Space::device>>;

/// Makes the lists of the kernel by Thrust on the context's stream, with memory of its pool, without waiting.
void make_lists_by_thrust(CudaContext& context, const DeviceLists& lists);

/// For group::make_lists(): few long lists are made by Thrust.
template <class K>
bool lists_by_library(CudaContext& context, const K& kernel) {
    if (!few_long_lists(kernel.blocks(), kernel.length())) return false;
    make_lists_by_thrust(context, kernel);
    return true;
}

}  // namespace espectra
