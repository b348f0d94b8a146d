#include "espectra/experiments/device.hpp"

#include "espectra/kernels/eigen.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <hdf5.h>

#if ESPECTRA_WITH_CUDA
#include "espectra/runtime/cuda/context.hpp"
#endif

namespace espectra {

Backends available_backends() {
    Backends backends;
#if ESPECTRA_WITH_CUDA
    backends.cuda_built = true;
    backends.cuda_version = ESPECTRA_CUDA_VERSION;
    backends.cuda_devices = cuda_device_count();
#endif
    return backends;
}

std::string cpu_description(int threads) {
    return fmt::format("CPU, {} thread{}", threads, threads == 1 ? "" : "s");
}

void require_cpu_device(const std::string& device) {
    if (device == "auto" || device == "cpu") return;
    if (device != "cuda") throw InputError(fmt::format("--device {}: expected auto, cpu or cuda", device));
    const Backends backends = available_backends();
    if (!backends.cuda_built)
        throw ResourceError(
            "--device cuda: this build has no CUDA backend (configure with -DESPECTRA_CUDA=ON)");
    if (backends.cuda_devices == 0)
        throw ResourceError(fmt::format("--device cuda: CUDA {} built in, no device", backends.cuda_version));
    throw ResourceError("--device cuda: experiments do not run on the CUDA backend yet; use --device cpu");
}

std::string version_text() {
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    const CpuContext context(1);
    return fmt::format("espectra {}; {}; HDF5 {}.{}.{}", ESPECTRA_VERSION, eigen_library(context), major,
                       minor, release);
}

}  // namespace espectra
