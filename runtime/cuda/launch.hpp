#pragma once

#include "espectra/runtime/cuda/context.hpp"

#include <cstddef>
#include <mutex>
#include <vector>

namespace espectra {

/// A launch of a kernel, for messages.
struct LaunchShape {
    const char* kernel;
    Index blocks;
    int threads;               ///< of a block; 0: a library chooses the blocks and their threads
    std::size_t shared_bytes;  ///< dynamic shared memory of a block
};

/// Throws CudaError, which names the kernel, if the launch that this thread has just made was refused. With
/// ESPECTRA_CUDA_CHECK=1 in the environment it waits for the kernel, unless the launch is being recorded, so
/// that a fault is reported by the launch that causes it.
void check_launch(CudaContext& context, const LaunchShape& launch);

/// Attributes of one kernel, which are set once for each device, and again where a launch needs more shared
/// memory than those before. Threads may share it.
class KernelAttributes {
  public:
    /// `prefers_shared_memory`: as much of the L1 cache as possible is shared memory.
    KernelAttributes(const void* kernel, bool prefers_shared_memory)
        : kernel_(kernel), prefers_shared_memory_(prefers_shared_memory) {}

    /// Sets what the launch needs on the present device, `device`. Throws CudaError, which names the kernel.
    void prepare(int device, const LaunchShape& launch);

  private:
    const void* kernel_;
    bool prefers_shared_memory_;
    std::mutex mutex_;
    std::vector<std::size_t> shared_bytes_;  // that may be asked for, by device; 0: nothing has been set
};

}  // namespace espectra
