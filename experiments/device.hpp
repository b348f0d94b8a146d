#pragma once

#include <string>

namespace espectra {

/// What this build and this machine offer.
struct Backends {
    bool cuda_built = false;
    std::string cuda_version;  ///< of the toolkit, "13.0"
    int cuda_devices = 0;
};
Backends available_backends();

/// "CPU, 2 threads"; what `--device auto` and `--device cpu` take.
std::string cpu_description(int threads);

/// Resolves --device auto|cpu|cuda. Throws InputError for another word, ResourceError where the device is not
/// there.
void require_cpu_device(const std::string& device);

/// Versions of this program and of the libraries that compute, for records.
std::string version_text();

}  // namespace espectra
