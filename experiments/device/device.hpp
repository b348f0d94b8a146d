#pragma once

#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/device.hpp"
#include "espectra/runtime/memory.hpp"

#include <algorithm>
#include <string>
#include <type_traits>
#include <variant>

namespace espectra {

inline constexpr bool cuda_built = ESPECTRA_WITH_CUDA;

/// The CPU: all its cores, and the memory of the host.
struct CpuDevice {
    using Context = CpuContext;
    static constexpr bool worker_per_core = true;
    int threads = available_cores();

    CpuContext context(int context_threads) const { return CpuContext(context_threads); }
    std::string description() const;  ///< "CPU, 2 threads"
};

/// The first CUDA device that can be used (CUDA_VISIBLE_DEVICES chooses and orders them).
struct CudaDevice {
    using Context = CudaContext;
    static constexpr bool worker_per_core = false;  ///< one worker, with large batches
    int index = 0;                                  ///< its number in this process
    std::string name;                               ///< "NVIDIA H100 80GB HBM3"
    static constexpr int threads = 1;               ///< host threads of a context

    CudaContext context(int /*context_threads*/) const { return CudaContext(index); }
    std::string description() const { return name; }
    /// Returns the bytes that work may be planned with: a twentieth of the device is left to the libraries
    /// and to gaps.
    std::size_t memory() const {
        const DeviceMemory all = device_memory(index);
        return all.free - std::min(all.free, all.total / 20);
    }
};

/// The device of a command, chosen once, in main. Code that computes is a template over its context.
using Device = std::conditional_t<cuda_built, std::variant<CpuDevice, CudaDevice>, std::variant<CpuDevice>>;

/// Returns the device named by `word`: auto, cpu or cuda; auto is CUDA if there is a device, else the CPU.
/// Throws InputError for another word, ResourceError (one line) if the device is missing. Prints a line to
/// stderr for each CUDA device that is skipped.
Device choose_device(const std::string& word);

/// Returns "CUDA 13.0 built in, no device: there is no NVIDIA driver" or the like.
std::string cuda_status();

/// Throws ResourceError "<where>: the exact Hessian of … parameters needs … GB, … GB available" if `needed`
/// exceeds `available`, in bytes.
void require_memory(const char* where, Index parameters, std::size_t needed, std::size_t available);

/// Throws like the function above for the bytes needed on a device and on the host; on the CPU both are on
/// the host.
template <class D>
void require_memory(const D& device, Index parameters, std::size_t on_device, std::size_t on_host) {
    if constexpr (D::Context::space == Space::host) {
        require_memory("memory", parameters, on_device + on_host, available_memory());
    } else {
        require_memory("device memory", parameters, on_device, device.memory());
        require_memory("memory", parameters, on_host, available_memory());
    }
}

/// Returns the number of parameters whose exact Hessian fits into this memory. Chunks and workspace are small
/// compared with it.
long largest_parameters(std::size_t bytes);

/// Throws ResourceError if `word` chooses another device than the CPU; InputError as choose_device.
void require_cpu_device(const std::string& word);

/// Returns "CPU, 2 threads".
std::string cpu_description(int threads);

/// Returns the versions of this program and of the libraries that compute, for records.
std::string version_text();

}  // namespace espectra
