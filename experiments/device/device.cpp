#include "espectra/experiments/device/device.hpp"

#include "espectra/kernels/eigen.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>

namespace espectra {

namespace {

/// Memory that OpenBLAS maps for every thread that multiplies. Where it cannot, it waits for ever.
constexpr std::size_t blas_buffer = std::size_t{128} << 20;

/// Returns the CPU with as many threads as fit into the limit of the address space, half of which is left to
/// the work itself. Throws ResourceError if not even one fits.
CpuDevice cpu_device() {
    CpuDevice device;
    const std::size_t left = address_space_left(), threads = left / (2 * blas_buffer);
    if (threads == 0)
        throw ResourceError(fmt::format(
            "memory: the limit of the address space (ulimit -v) leaves {:.3f} GB, one thread with "
            "OpenBLAS needs {:.3f} GB",
            static_cast<double>(left) / 1e9, 2.0 * static_cast<double>(blas_buffer) / 1e9));
    device.threads = static_cast<int>(std::min(threads, static_cast<std::size_t>(device.threads)));
    return device;
}

/// choose_device as a template, so that the parts for CUDA are compiled with CUDA only.
template <class AnyDevice>
AnyDevice choose(const std::string& word) {
    if (word != "auto" && word != "cpu" && word != "cuda")
        throw InputError(fmt::format("--device {}: expected auto, cpu or cuda", word));
    if (word == "cpu") return cpu_device();
    if constexpr (cuda_built) {
        const CudaDeviceChoice choice = choose_cuda_device();
        if (word == "cuda" && !choice.device) throw ResourceError("--device cuda: " + cuda_status());
        for (const std::string& line : choice.skipped) fmt::print(stderr, "espectra: skips {}\n", line);
        if (choice.device) return CudaDevice{.index = choice.device->index, .name = choice.device->name};
    } else if (word == "cuda") {
        throw ResourceError(
            "--device cuda: this build has no CUDA backend (configure with -DESPECTRA_CUDA=ON)");
    }
    return cpu_device();
}

}  // namespace

std::string cpu_description(int threads) {
    return fmt::format("CPU, {} thread{}", threads, threads == 1 ? "" : "s");
}

std::string CpuDevice::description() const { return cpu_description(threads); }

Device choose_device(const std::string& word) { return choose<Device>(word); }

void require_cpu_device(const std::string& word) {
    if (!std::holds_alternative<CpuDevice>(choose_device(word)) && word != "auto")
        throw ResourceError(fmt::format("--device {}: this runs on the CPU only", word));
}

std::string cuda_status() {
    if constexpr (cuda_built) {
        const std::string built = fmt::format("CUDA {} built in, ", ESPECTRA_CUDA_VERSION);
        if (const std::string problem = cuda_problem(); !problem.empty()) return built + problem;
        const std::size_t count = cuda_devices().size();
        return built + fmt::format("{} device{}", count, count == 1 ? "" : "s");
    }
    return "not built in";
}

void require_memory(const char* where, Index parameters, std::size_t needed, std::size_t available) {
    if (needed > available)
        throw ResourceError(
            fmt::format("{}: the exact Hessian of {} parameters needs {:.3f} GB, {:.3f} GB available", where,
                        parameters, static_cast<double>(needed) / 1e9, static_cast<double>(available) / 1e9));
}

long largest_parameters(std::size_t bytes) {
    return static_cast<long>(std::sqrt(0.9 * static_cast<double>(bytes) / sizeof(double)));
}

std::string version_text() {
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    const CpuContext context(1);
    std::string text = fmt::format("espectra {}; {}", ESPECTRA_VERSION, eigen_library(context));
    if constexpr (cuda_built) text += "; " + cuda_libraries();
    return text + fmt::format("; HDF5 {}.{}.{}", major, minor, release);
}

}  // namespace espectra
