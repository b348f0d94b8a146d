#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace espectra {

/// Free and total bytes of a device.
struct DeviceMemory {
    std::size_t free = 0, total = 0;
};

/// A device that the driver offers.
struct CudaDeviceProperties {
    std::string name;  ///< "NVIDIA H100 80GB HBM3"
    int compute_major = 0, compute_minor = 0;
    int multiprocessors = 0;
    DeviceMemory memory;

    /// "NVIDIA H100 80GB HBM3, 79.1 GB free of 85.0 GB".
    std::string description() const;
};

/// Returns all devices; none if there is no driver or none that fits this build.
std::vector<CudaDeviceProperties> cuda_devices();

/// Returns the reason why device 0 cannot be used, in one line (no driver, one that is too old, no device, or
/// one that is too old), or an empty string if it can.
std::string cuda_problem();

DeviceMemory device_memory(int device);

/// "CUDA 13.0, cuBLAS 13.1.0, cuSOLVER 12.0.4", with the driver if there is one, and
/// CUBLAS_EMULATE_DOUBLE_PRECISION if the environment sets it.
std::string cuda_libraries();

}  // namespace espectra
