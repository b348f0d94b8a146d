#include "espectra/runtime/cuda/launch.hpp"

#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/launched_kernels.hpp"
#include "espectra/runtime/cuda/switches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <string>

namespace espectra {

namespace {

/// Dynamic shared memory that every kernel may ask for.
constexpr std::size_t default_shared_bytes = 48 * 1024;

std::string description(const LaunchShape& launch) {
    if (launch.threads == 0) return launch.kernel;
    return fmt::format("{}, grid of {} blocks of {} threads with {} bytes of shared memory", launch.kernel,
                       launch.blocks, launch.threads, launch.shared_bytes);
}

/// Throws if the device refuses a launch, or reports at this launch what an earlier one did.
void check_refusal(cudaError_t status, const LaunchShape& launch) {
    if (status == cudaSuccess) return;
    try {
        check(status);
    } catch (const CudaError& error) {
        throw CudaError(status, fmt::format("launch of {}: {}", description(launch), error.what()));
    }
}

/// Notes of launches, for all threads.
std::atomic<bool> noting = false;
std::mutex notes_mutex;
std::vector<LaunchedKernel> notes;

void note(const void* kernel, const LaunchShape& launch) {
    const std::lock_guard lock(notes_mutex);
    auto found = std::ranges::find(notes, kernel, &LaunchedKernel::function);
    if (found == notes.end())
        found = notes.insert(found, {kernel, launch.kernel, launch.threads, launch.shared_bytes, 0});
    found->shared_bytes = std::max(found->shared_bytes, launch.shared_bytes);
    found->blocks = std::max(found->blocks, launch.blocks);
}

}  // namespace

void note_launches() { noting = true; }

std::vector<LaunchedKernel> noted_launches() {
    const std::lock_guard lock(notes_mutex);
    return notes;
}

void check_launch(CudaContext& context, const LaunchShape& launch) {
    check_refusal(cudaGetLastError(), launch);
    static const bool wait = switch_value("ESPECTRA_CUDA_CHECK", {"0", "1"}) == 1;
    if (!wait || context.capturing()) return;
    const cudaError_t status = cudaStreamSynchronize(static_cast<cudaStream_t>(context.stream()));
    if (status != cudaSuccess)
        throw CudaError(status, fmt::format("kernel {}: {}", description(launch), error_text(status)));
}

void KernelAttributes::prepare(int device, const LaunchShape& launch) {
    if (noting) note(kernel_, launch);
    const std::lock_guard lock(mutex_);
    const auto at = static_cast<std::size_t>(device);
    if (shared_bytes_.size() <= at) shared_bytes_.resize(at + 1);
    std::size_t& available = shared_bytes_[at];
    if (available == 0) {
        if (prefers_shared_memory_)
            check_refusal(cudaFuncSetAttribute(kernel_, cudaFuncAttributePreferredSharedMemoryCarveout,
                                               cudaSharedmemCarveoutMaxShared),
                          launch);
        available = default_shared_bytes;
    }
    if (launch.shared_bytes <= available) return;
    check_refusal(cudaFuncSetAttribute(kernel_, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                       static_cast<int>(launch.shared_bytes)),
                  launch);
    available = launch.shared_bytes;
}

}  // namespace espectra
