#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace espectra {

/// Free and total bytes of a device.
struct DeviceMemory {
    std::size_t free = 0, total = 0;
};

/// A device that the driver offers.
struct CudaDeviceProperties {
    int index = 0;     ///< its number in this process
    std::string name;  ///< "NVIDIA H100 80GB HBM3"
    int compute_major = 0, compute_minor = 0;
    int multiprocessors = 0;
    std::size_t memory = 0;  ///< bytes in total

    /// "NVIDIA H100 80GB HBM3, 85.0 GB".
    std::string description() const;
};

/// Returns all devices, without a context on any of them; none if there is no driver or none that fits this
/// build.
std::vector<CudaDeviceProperties> cuda_devices();

/// The device that computes.
struct CudaDeviceChoice {
    std::optional<CudaDeviceProperties> device;
    std::vector<std::string> skipped;  ///< a line for each device before it, with the reason
    std::string problem;               ///< why there is none ("no device: …"), or empty
};

/// Chooses the first device that this program can use, and makes its context; no context is made on a device
/// after it. Devices are skipped that are too old, closed to computing, or in exclusive use by another
/// process.
CudaDeviceChoice choose_cuda_device();

/// Returns the reason why no device can be used, in one line (no driver, one that is too old, no device, or
/// the reasons why each is skipped), or an empty string if there is one.
std::string cuda_problem();

/// Returns true if products run on FP64 tensor cores: those of A100, H100 and B200 (compute capability x.0)
/// have twice the rate of plain multiply-adds; other devices have them for compatibility alone. In the
/// environment, ESPECTRA_PRODUCTS=fma or tensor chooses for all devices. Throws InputError for other values,
/// ResourceError if the device has no tensor cores for float64.
bool tensor_core_products(int device);

/// Returns the memory of a device, on which it makes a context.
DeviceMemory device_memory(int device);

/// "CUDA 13.0, cuBLAS 13.1.0, cuSOLVER 12.0.4", with the driver if there is one, and
/// CUBLAS_EMULATE_DOUBLE_PRECISION if the environment sets it.
std::string cuda_libraries();

}  // namespace espectra
