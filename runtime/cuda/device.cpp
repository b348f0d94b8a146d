#include "espectra/runtime/cuda/device.hpp"

#include "espectra/runtime/cuda/check.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

namespace espectra {

namespace {

/// The first compute capability with tensor-core instructions for float64, which the kernels' products use.
constexpr int least_compute_major = 8;

/// "13.0" from 13000.
std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

int driver_version() {
    int number = 0;
    return cudaDriverGetVersion(&number) == cudaSuccess ? number : 0;
}

CudaDeviceProperties properties(int device) {
    cudaDeviceProp all{};
    check(cudaGetDeviceProperties(&all, device));
    return {.name = all.name,
            .compute_major = all.major,
            .compute_minor = all.minor,
            .multiprocessors = all.multiProcessorCount,
            .memory = device_memory(device)};
}

}  // namespace

std::string CudaDeviceProperties::description() const {
    return fmt::format("{}, {:.1f} GB free of {:.1f} GB", name, static_cast<double>(memory.free) / 1e9,
                       static_cast<double>(memory.total) / 1e9);
}

DeviceMemory device_memory(int device) {
    DeviceMemory memory;
    check(cudaSetDevice(device));
    check(cudaMemGetInfo(&memory.free, &memory.total));
    return memory;
}

std::vector<CudaDeviceProperties> cuda_devices() {
    std::vector<CudaDeviceProperties> devices;
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
    for (int device = 0; device < count; ++device) devices.push_back(properties(device));
    return devices;
}

std::string cuda_problem() {
    int count = 0, runtime = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) return "no device";
    if (status == cudaErrorInsufficientDriver) {
        const int driver = driver_version();
        if (driver == 0) return "no device: there is no NVIDIA driver";
        check(cudaRuntimeGetVersion(&runtime));
        return fmt::format("no device: the NVIDIA driver is for CUDA {}, this program needs {}",
                           version(driver), version(runtime));
    }
    if (status != cudaSuccess)
        return fmt::format("no device: {}: {}", cudaGetErrorName(status), cudaGetErrorString(status));
    cudaDeviceProp first{};
    check(cudaGetDeviceProperties(&first, 0));
    if (first.major < least_compute_major)
        return fmt::format("no device: {} has compute capability {}.{}, this program needs {}.0", first.name,
                           first.major, first.minor, least_compute_major);
    return {};
}

std::string cuda_libraries() {
    int runtime = 0, blas[3] = {}, solver[3] = {};
    check(cudaRuntimeGetVersion(&runtime));
    constexpr libraryPropertyType parts[] = {MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL};
    for (int part = 0; part < 3; ++part) {
        check(cublasGetProperty(parts[part], &blas[part]));
        check(cusolverGetProperty(parts[part], &solver[part]));
    }
    std::string text = fmt::format("CUDA {}, cuBLAS {}.{}.{}, cuSOLVER {}.{}.{}", version(runtime), blas[0],
                                   blas[1], blas[2], solver[0], solver[1], solver[2]);
    if (const int driver = driver_version(); driver > 0)
        text += fmt::format(", driver for CUDA {}", version(driver));
    const char* emulation = std::getenv("CUBLAS_EMULATE_DOUBLE_PRECISION");
    if (emulation && std::string_view(emulation) != "0")
        text += fmt::format(", CUBLAS_EMULATE_DOUBLE_PRECISION={}", emulation);
    return text;
}

}  // namespace espectra
