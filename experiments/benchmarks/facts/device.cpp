// Sections `device` and `workspaces`.

#include "espectra/runtime/cuda/device.hpp"

#include "espectra/experiments/benchmarks/facts/facts.hpp"
#include "espectra/kernels/cuda/solver_parameters.cuh"
#include "espectra/kernels/eigen.hpp"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"

#include <fmt/format.h>
#include <link.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace espectra {

namespace {

int attribute(int device, cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device));
    return value;
}

/// Paths of the shared libraries of CUDA that this process has loaded, by file name.
Json loaded_libraries() {
    Json paths = Json::object();
    dl_iterate_phdr(
        [](dl_phdr_info* library, std::size_t, void* found) {
            const std::string path = library->dlpi_name;
            const std::string name = path.substr(path.rfind('/') + 1);
            for (const std::string_view ours : {"libcu", "libnvJitLink", "libnvrtc", "libespectra_emulated"})
                if (name.starts_with(ours)) (*static_cast<Json*>(found))[name] = path;
            return 0;
        },
        &paths);
    return paths;
}

/// Writes bytes on device and host, or the reason why the library refuses, into `answer`.
template <class Ask>
void record_answer(Json& answer, Ask&& ask) {
    std::size_t device = 0, host = 0;
    try {
        check(ask(&device, &host));
        answer["device_bytes"] = device;
        answer["host_bytes"] = host;
    } catch (const ResourceError& error) {
        answer["refused"] = error.what();
    }
}

}  // namespace

Json device_facts(const FactOptions& /*options*/) {
    CudaContext context;
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, context.device()));
    int runtime = 0, driver = 0, cublas = 0, cusolver = 0;
    check(cudaRuntimeGetVersion(&runtime));
    check(cudaDriverGetVersion(&driver));
    check(cublasGetVersion(nullptr, &cublas));
    check(cusolverGetVersion(&cusolver));
    context.cusolver();  // loads the libraries that these load
    const int device = context.device();
    const DeviceMemory memory = device_memory(device);
    return {{"name", properties.name},
            {"compute_capability", fmt::format("{}.{}", properties.major, properties.minor)},
            {"multiprocessors", properties.multiProcessorCount},
            {"clock_mhz", attribute(device, cudaDevAttrClockRate) / 1000},
            {"memory_clock_mhz", attribute(device, cudaDevAttrMemoryClockRate) / 1000},
            {"memory_bus_bits", properties.memoryBusWidth},
            {"memory_bytes", memory.total},
            {"memory_free_bytes", memory.free},
            {"l2_bytes", properties.l2CacheSize},
            {"shared_bytes_per_multiprocessor", properties.sharedMemPerMultiprocessor},
            {"shared_bytes_per_block_optin", properties.sharedMemPerBlockOptin},
            {"ecc", properties.ECCEnabled != 0},
            {"cuda_runtime", runtime},
            {"cuda_driver", driver},
            {"cublas", cublas},
            {"cusolver", cusolver},
            {"libraries", loaded_libraries()},
            {"most_block_rows", most_block_rows},
            {"most_batched_rows", most_batched_rows}};
}

Json workspace_facts(const FactOptions& /*options*/) {
    CudaContext context;
    const auto solver = static_cast<cusolverDnHandle_t>(context.cusolver());
    const SolverParameters parameters;
    const Buffer<double, Space::device> any(context, 1);  // neither read nor written, but null is refused
    const double* memory = any.data();
    constexpr auto lower = CUBLAS_FILL_MODE_LOWER;
    Json facts = Json::array();
    for (const std::int64_t n :
         {1, 52, 64, 65, 128, 256, 500, 512, 1024, 1920, 4096, 8192, 16384, 32768, 65536}) {
        Json single = {{"n", n}, {"routine", "cusolverDnDsytrd"}};
        record_answer(single, [&](std::size_t* bytes, std::size_t*) {
            int numbers = 0;
            const auto rows = static_cast<int>(n);
            const cusolverStatus_t status = cusolverDnDsytrd_bufferSize(solver, lower, rows, memory, rows,
                                                                        memory, memory, memory, &numbers);
            *bytes = static_cast<std::size_t>(numbers) * sizeof(double);
            return status;
        });
        facts.push_back(single);
        for (const bool vectors : {false, true}) {
            const auto mode = vectors ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
            Json one = {{"n", n}, {"routine", "cusolverDnXsyevd"}, {"vectors", vectors}};
            record_answer(one, [&](std::size_t* bytes, std::size_t* host) {
                return cusolverDnXsyevd_bufferSize(solver, parameters, mode, lower, n, CUDA_R_64F, memory, n,
                                                   CUDA_R_64F, memory, CUDA_R_64F, bytes, host);
            });
            facts.push_back(one);
            for (const std::int64_t count : {1, 16, 256, 4096, 65536}) {
                if (n * n > std::numeric_limits<int>::max() / count) continue;  // refused, as documented
                Json batch = {{"n", n},
                              {"routine", "cusolverDnXsyevBatched"},
                              {"vectors", vectors},
                              {"matrices", count}};
                record_answer(batch, [&](std::size_t* bytes, std::size_t* host) {
                    return cusolverDnXsyevBatched_bufferSize(solver, parameters, mode, lower, n, CUDA_R_64F,
                                                             memory, n, CUDA_R_64F, memory, CUDA_R_64F, bytes,
                                                             host, count);
                });
                facts.push_back(batch);
            }
        }
    }
    return facts;
}

}  // namespace espectra
