#include "espectra/experiments/app/commands.hpp"
#include "espectra/experiments/app/json_text.hpp"
#include "espectra/experiments/device/device.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>

#include <vector>

namespace espectra {

int info_command(const InfoOptions& options) {
    const int cores = available_cores();
    const std::size_t memory = available_memory();
    std::vector<CudaDeviceProperties> devices;
    bool cuda = false;
    if constexpr (cuda_built) {
        devices = cuda_devices();
        cuda = cuda_problem().empty();
    }
    if (options.json) {
        nlohmann::ordered_json json = {{"version", ESPECTRA_VERSION},
                                       {"versions", version_text()},
                                       {"build", ESPECTRA_BUILD},
                                       {"cpu_threads", cores},
                                       {"cuda_built", cuda_built},
                                       {"cuda_version", ESPECTRA_CUDA_VERSION},
                                       {"cuda_status", cuda_status()},
                                       {"cuda_devices", devices.size()},
                                       {"devices", nlohmann::ordered_json::array()},
                                       {"default_device", cuda ? "cuda" : "cpu"},
                                       {"memory_available_bytes", memory},
                                       {"largest_parameters", largest_parameters(memory)}};
        for (const CudaDeviceProperties& device : devices)
            json["devices"].push_back(
                {{"name", device.name},
                 {"compute_capability", fmt::format("{}.{}", device.compute_major, device.compute_minor)},
                 {"multiprocessors", device.multiprocessors},
                 {"memory_free_bytes", device.memory.free},
                 {"memory_total_bytes", device.memory.total},
                 {"largest_parameters", largest_parameters(device.memory.free)}});
        fmt::print("{}\n", json_text(json));
        return 0;
    }
    fmt::print("versions   {}\n", version_text());
    fmt::print("build      {}\n", ESPECTRA_BUILD);
    fmt::print("CPU        {} thread{}{}\n", cores, cores == 1 ? "" : "s",
               cuda ? "" : ", the default device");
    fmt::print("memory     {:.1f} GB available: exact Hessians of up to {} parameters\n",
               static_cast<double>(memory) / 1e9, largest_parameters(memory));
    fmt::print("CUDA       {}{}\n", cuda_status(), cuda ? ", the default device" : "");
    for (std::size_t i = 0; i < devices.size(); ++i)
        fmt::print("device {}   {}: exact Hessians of up to {} parameters\n", i, devices[i].description(),
                   largest_parameters(devices[i].memory.free));
    return 0;
}

}  // namespace espectra
