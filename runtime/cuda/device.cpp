#include "espectra/runtime/cuda/device.hpp"

#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/switches.hpp"
#include "espectra/runtime/error.hpp"

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

int attribute(cudaDeviceAttr name, int device) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, name, device));
    return value;
}

CudaDeviceProperties properties(int device) {
    cudaDeviceProp all{};
    check(cudaGetDeviceProperties(&all, device));
    return {.index = device,
            .name = all.name,
            .compute_major = all.major,
            .compute_minor = all.minor,
            .multiprocessors = all.multiProcessorCount,
            .memory = all.totalGlobalMem};
}

/// Returns the reason why there are no devices, or an empty string.
std::string driver_problem() {
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
    return {};
}

/// Makes a context on the device. Returns the reason why it cannot be used, or an empty string.
std::string device_problem(const CudaDeviceProperties& device) {
    if (device.compute_major < least_compute_major)
        return fmt::format("{} has compute capability {}.{}, this program needs {}.0", device.name,
                           device.compute_major, device.compute_minor, least_compute_major);
    if (attribute(cudaDevAttrComputeMode, device.index) == cudaComputeModeProhibited)
        return fmt::format("{} is closed to computing (nvidia-smi -c 0 opens it)", device.name);
    try {
        device_memory(device.index);
    } catch (const CudaError& error) {
        return fmt::format("{} cannot be used: {}", device.name, error.what());
    }
    return {};
}

}  // namespace

std::string CudaDeviceProperties::description() const {
    return fmt::format("{}, {:.1f} GB", name, static_cast<double>(memory) / 1e9);
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

CudaDeviceChoice choose_cuda_device() {
    CudaDeviceChoice choice;
    choice.problem = driver_problem();
    if (!choice.problem.empty()) return choice;
    for (const CudaDeviceProperties& device : cuda_devices()) {
        const std::string problem = device_problem(device);
        if (problem.empty()) {
            choice.device = device;
            choice.problem.clear();
            return choice;
        }
        choice.skipped.push_back(fmt::format("device {}: {}", device.index, problem));
        choice.problem += (choice.problem.empty() ? "no device: " : "; ") + problem;
    }
    return choice;
}

std::string cuda_problem() { return choose_cuda_device().problem; }

bool tensor_core_products(int device) {
    enum { fma, tensor };
    static const int chosen = switch_value("ESPECTRA_PRODUCTS", {"fma", "tensor"});
    if (chosen == fma) return false;
    const int major = attribute(cudaDevAttrComputeCapabilityMajor, device);
    const int minor = attribute(cudaDevAttrComputeCapabilityMinor, device);
    if (chosen == tensor && major < least_compute_major)
        throw ResourceError(fmt::format(
            "ESPECTRA_PRODUCTS=tensor: device {} has no tensor cores for float64 (compute capability {}.{}, "
            "they begin with {}.0)",
            device, major, minor, least_compute_major));
    return chosen == tensor || (major >= 8 && major <= 10 && minor == 0);
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
