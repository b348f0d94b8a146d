#include "espectra/experiments/commands.hpp"
#include "espectra/experiments/device.hpp"
#include "espectra/experiments/json_text.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

namespace espectra {

int info_command(const InfoOptions& options) {
    const Backends backends = available_backends();
    const int cores = available_cores();
    const std::size_t memory = available_memory();
    // One Hessian of P² doubles; chunks and workspace are small beside it.
    const auto largest = static_cast<long>(std::sqrt(0.9 * static_cast<double>(memory) / sizeof(double)));
    const std::string cuda =
        !backends.cuda_built ? "not built in"
        : backends.cuda_devices == 0
            ? fmt::format("CUDA {} built in, no device", backends.cuda_version)
            : fmt::format("CUDA {} built in, {} device(s)", backends.cuda_version, backends.cuda_devices);
    if (options.json) {
        const nlohmann::ordered_json json = {{"version", ESPECTRA_VERSION},
                                             {"versions", version_text()},
                                             {"build", ESPECTRA_BUILD},
                                             {"cpu_threads", cores},
                                             {"cuda_built", backends.cuda_built},
                                             {"cuda_version", backends.cuda_version},
                                             {"cuda_devices", backends.cuda_devices},
                                             {"default_device", "cpu"},
                                             {"memory_available_bytes", memory},
                                             {"largest_parameters", largest}};
        fmt::print("{}\n", json_text(json));
        return 0;
    }
    fmt::print("versions   {}\n", version_text());
    fmt::print("build      {}\n", ESPECTRA_BUILD);
    fmt::print("CPU        {} thread{}, the default device\n", cores, cores == 1 ? "" : "s");
    fmt::print("CUDA       {}\n", cuda);
    fmt::print("memory     {:.1f} GB available: exact Hessians of up to {} parameters\n",
               static_cast<double>(memory) / 1e9, largest);
    return 0;
}

}  // namespace espectra
