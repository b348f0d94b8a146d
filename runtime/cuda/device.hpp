#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace espectra {

/// Bytes of a device that are free now, and all that it has.
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

/// All devices; none where there is no driver or none that fits this build.
std::vector<CudaDeviceProperties> cuda_devices();

/// Why device 0 cannot be used, in one line: no driver, one that is too old, no device, or one that is;
/// empty where it can.
std::string cuda_problem();

DeviceMemory device_memory(int device);

/// "CUDA 13.0, cuBLAS 13.1.0, cuSOLVER 12.0.4", with the driver where there is one; says so if the
/// environment has cuBLAS emulate float64.
std::string cuda_libraries();

}  // namespace espectra
