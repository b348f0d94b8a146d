#pragma once

#include "espectra/runtime/view.hpp"

#include <cstddef>
#include <vector>

namespace espectra {

/// A kernel with the largest of its launches.
struct LaunchedKernel {
    const void* function;  ///< for calls of the CUDA runtime
    const char* operation;
    int threads;               ///< of a block
    std::size_t shared_bytes;  ///< dynamic shared memory of a block, the most of all launches
    Index blocks;              ///< the most of all launches
};

/// Notes all launches of this process from now on, which costs each a lock.
void note_launches();

/// Returns the kernels launched since the call above, in the order of their first launches.
std::vector<LaunchedKernel> noted_launches();

}  // namespace espectra
