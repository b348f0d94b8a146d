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
    CudaDeviceChoice choice;
    DeviceMemory device_bytes;  // of the chosen device; asking another one would create a context on it
    if constexpr (cuda_built) {
        devices = cuda_devices();
        choice = choose_cuda_device();
        if (choice.device) device_bytes = device_memory(choice.device->index);
    }
    const bool cuda = choice.device.has_value();
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
        for (const CudaDeviceProperties& device : devices) {
            json["devices"].push_back(
                {{"name", device.name},
                 {"compute_capability", fmt::format("{}.{}", device.compute_major, device.compute_minor)},
                 {"multiprocessors", device.multiprocessors},
                 {"memory_total_bytes", device.memory}});
            if (!cuda || device.index != choice.device->index) continue;
            json["devices"].back()["memory_free_bytes"] = device_bytes.free;
            json["devices"].back()["largest_parameters"] = largest_parameters(device_bytes.free);
        }
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
    for (const CudaDeviceProperties& device : devices) {
        fmt::print("device {}   {}", device.index, device.description());
        if (cuda && device.index == choice.device->index)
            fmt::print(", {:.1f} GB free: exact Hessians of up to {} parameters",
                       static_cast<double>(device_bytes.free) / 1e9, largest_parameters(device_bytes.free));
        fmt::print("\n");
    }
    for (const std::string& line : choice.skipped) fmt::print("skips      {}\n", line);
    return 0;
}

}  // namespace espectra
