// Kernels: their registration by the code that nvcc adds to each object, their PTX, and launches.

#include "ptx/runtime/kernels.hpp"

#include "ptx/execution/kernel.hpp"
#include "ptx/execution/left_out_barriers.hpp"
#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/options.hpp"
#include "ptx/runtime/uses.hpp"
#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

namespace espectra::ptx {

namespace {

/// Shared memory that every launch can have; more has to be asked for.
constexpr std::size_t usual_shared_bytes = 48 * 1024;
constexpr unsigned most_threads_of_a_block = 1024;
/// Shared memory of each block that the driver takes for itself, since compute capability 8.0.
constexpr std::size_t reserved_shared_bytes = 1024;

/// A kernel's function on the host.
struct Function {
    std::string symbol;
    std::size_t shared_bytes = usual_shared_bytes;  ///< most dynamic shared memory of a launch
};

struct Configuration {
    dim3 grid, block;
    std::size_t shared;
    cudaStream_t stream;
};

auto& functions = *new std::map<const void*, Function>;
thread_local std::vector<Configuration> configurations;

struct LoadedKernel {
    explicit LoadedKernel(Program program)
        : kernel(std::move(program)), reported_barriers(kernel.program().barriers.size()) {}

    Kernel kernel;
    std::vector<bool> reported_barriers;  ///< without which a launch had a finding
};

/// Reads the kernels of all PTX files of the device's architecture. An error in them ends the process, since
/// no result could be trusted.
std::map<std::string, LoadedKernel> read_kernels() {
    std::map<std::string, LoadedKernel> kernels;
    const std::filesystem::path folder = options().ptx / options().device->ptx;
    try {
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            if (entry.path().extension() != ".ptx") continue;
            std::stringstream text;
            text << std::ifstream(entry.path()).rdbuf();
            for (Program& program : parse_module(text.str(), entry.path().string())) {
                std::string symbol = program.symbol;
                kernels.emplace(std::move(symbol), std::move(program));
            }
        }
        if (kernels.empty()) throw std::runtime_error("no PTX files with kernels in " + folder.string());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "ESPECTRA_PTX=%s: %s\n", options().ptx.c_str(), error.what());
        std::_Exit(EXIT_FAILURE);
    }
    return kernels;
}

bool kernels_are_read = false;

/// Returns the kernels, read at the first launch.
std::map<std::string, LoadedKernel>& kernels() {
    static auto& all = *new std::map<std::string, LoadedKernel>(read_kernels());
    kernels_are_read = true;
    return all;
}

LoadedKernel* find_kernel(const std::string& symbol) {
    const auto found = kernels().find(symbol);
    return found == kernels().end() ? nullptr : &found->second;
}

/// Returns the most threads of a block that a kernel is compiled for.
unsigned most_threads(const Program& program) {
    return program.most_threads > 0 ? static_cast<unsigned>(program.most_threads) : most_threads_of_a_block;
}

/// Refuses a launch as the runtime does, which does not say why.
cudaError_t refuse(const std::string& kernel, const std::string& reason, cudaError_t error) {
    std::fprintf(stderr, "emulated device: %s %s\n", kernel.c_str(), reason.c_str());
    return fail(error);
}

/// Returns the bytes of the arguments in the layout of the kernel's parameters.
std::vector<std::byte> packed(const Program& program, void** arguments) {
    std::vector<std::byte> bytes(program.parameter_bytes);
    for (std::size_t i = 0; i < program.parameters.size(); ++i)
        std::memcpy(bytes.data() + program.parameters[i].offset, arguments[i], program.parameters[i].bytes);
    return bytes;
}

cudaError_t launch(const void* host_function, dim3 grid, dim3 block, void** arguments, std::size_t shared,
                   cudaStream_t stream) {
    const auto function = functions.find(host_function);
    if (function == functions.end()) return fail(cudaErrorInvalidDeviceFunction);
    LoadedKernel* loaded = find_kernel(function->second.symbol);
    if (!loaded) return refuse(function->second.symbol, "is in no PTX file", cudaErrorInvalidDeviceFunction);
    const Program& program = loaded->kernel.program();
    if (grid.x == 0 || grid.x > INT_MAX || block.x == 0 || block.x > most_threads_of_a_block)
        return refuse(program.name,
                      "is launched with " + std::to_string(grid.x) + " blocks of " + std::to_string(block.x) +
                          " threads",
                      cudaErrorInvalidConfiguration);
    if (grid.y != 1 || grid.z != 1 || block.y != 1 || block.z != 1)
        return refuse(program.name, "is launched in two or three dimensions, which are not emulated",
                      cudaErrorInvalidConfiguration);
    if (block.x > most_threads(program))
        return refuse(program.name,
                      "is compiled for " + std::to_string(program.most_threads) +
                          " threads and launched with " + std::to_string(block.x),
                      cudaErrorInvalidValue);
    if (shared > function->second.shared_bytes)
        return refuse(program.name,
                      "is launched with " + std::to_string(shared) + " bytes of shared memory, of " +
                          std::to_string(function->second.shared_bytes) + " that it may use",
                      cudaErrorInvalidValue);
    Work work{program.name,
              [loaded, grid, block, shared, parameters = packed(program, arguments)](const Order&) {
                  const Launch launch{.blocks = grid.x,
                                      .threads = static_cast<int>(block.x),
                                      .shared_bytes = shared,
                                      .parameters = parameters,
                                      .order = options().blocks};
                  if (options().leave_out_barriers)
                      leave_out_barriers(loaded->kernel, launch, device_memory(), loaded->reported_barriers);
                  loaded->kernel.execute(launch, device_memory(), process_findings());
              }};
    return enqueue(stream, std::move(work));
}

}  // namespace

void write_launches() {
    if (options().launches.empty() || !kernels_are_read) return;
    std::ostringstream text;
    for (const auto& [symbol, loaded] : kernels()) {
        const Statistics done = loaded.kernel.statistics();
        if (done.launches == 0) continue;
        text << symbol << '\t' << done.launches << '\t' << done.blocks << '\t' << done.thread_instructions
             << '\t' << done.seconds << '\t' << loaded.kernel.program().name << '\t';
        if (options().leave_out_barriers)
            for (const bool reported : loaded.reported_barriers) text << (reported ? '1' : '0');
        text << '\n';
    }
    std::ofstream(options().launches, std::ios::app) << text.str();
}

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" {

void** __cudaRegisterFatBinary(void* /*binary*/) {
    static void* handle = nullptr;
    return &handle;
}
void __cudaRegisterFatBinaryEnd(void** /*handle*/) {}
void __cudaUnregisterFatBinary(void** /*handle*/) {}
char __cudaInitModule(void** /*handle*/) { return 1; }

void __cudaRegisterFunction(void** /*handle*/, const char* host_function, char* /*device_function*/,
                            const char* name, int /*threads*/, uint3* /*thread*/, uint3* /*block*/,
                            dim3* /*block_size*/, dim3* /*grid_size*/, int* /*warp*/) {
    const RuntimeLock lock(runtime_mutex);
    functions[host_function] = {name};
}

// Variables of the device are not emulated: kernels that use one are not found in any PTX that can be read.
void __cudaRegisterVar(void** /*handle*/, char* /*host*/, char* /*device*/, const char* /*name*/,
                       int /*external*/, std::size_t /*bytes*/, int /*constant*/, int /*global*/) {}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, CUstream_st* stream) {
    configurations.push_back({grid, block, shared, stream});
    return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
    const Configuration last = configurations.back();
    configurations.pop_back();
    *grid = last.grid;
    *block = last.block;
    *shared = last.shared;
    *static_cast<cudaStream_t*>(stream) = last.stream;
    return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host_function) {
    *kernel = static_cast<cudaKernel_t>(const_cast<void*>(host_function));
    return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void* host_function, dim3 grid, dim3 block, void** arguments,
                             std::size_t shared, cudaStream_t stream) {
    const RuntimeLock lock(runtime_mutex);
    return launch(host_function, grid, block, arguments, shared, stream);
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               std::size_t shared, cudaStream_t stream) {
    return cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}

cudaError_t cudaFuncSetAttribute(const void* host_function, cudaFuncAttribute attribute, int value) {
    const RuntimeLock lock(runtime_mutex);
    const auto function = functions.find(host_function);
    if (function == functions.end()) return fail(cudaErrorInvalidDeviceFunction);
    ++cuda_counts().attributes;
    switch (attribute) {
        case cudaFuncAttributeMaxDynamicSharedMemorySize:
            if (value < 0 || static_cast<std::size_t>(value) > options().device->shared_bytes)
                return fail(cudaErrorInvalidValue);
            function->second.shared_bytes = static_cast<std::size_t>(value);
            return cudaSuccess;
        case cudaFuncAttributePreferredSharedMemoryCarveout:
            return value < cudaSharedmemCarveoutDefault || value > cudaSharedmemCarveoutMaxShared
                       ? fail(cudaErrorInvalidValue)
                       : cudaSuccess;
        default:
            return fail(cudaErrorNotSupported);
    }
}

cudaError_t cudaFuncGetName(const char** name, const void* host_function) {
    const RuntimeLock lock(runtime_mutex);
    const auto function = functions.find(host_function);
    if (function == functions.end()) return fail(cudaErrorInvalidDeviceFunction);
    if (!name) return fail(cudaErrorInvalidValue);
    *name = function->second.symbol.c_str();
    return cudaSuccess;
}

// PTX tells neither registers nor the memory to which they are spilled: both are 0, and the emulated device
// has registers for any number of threads. Kernels have no static shared memory, which parse_module()
// refuses.
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* host_function) {
    const RuntimeLock lock(runtime_mutex);
    const auto function = functions.find(host_function);
    if (function == functions.end()) return fail(cudaErrorInvalidDeviceFunction);
    if (!attributes) return fail(cudaErrorInvalidValue);
    const LoadedKernel* loaded = find_kernel(function->second.symbol);
    if (!loaded) return refuse(function->second.symbol, "is in no PTX file", cudaErrorInvalidDeviceFunction);
    *attributes = {};
    attributes->maxThreadsPerBlock = static_cast<int>(most_threads(loaded->kernel.program()));
    attributes->maxDynamicSharedSizeBytes = static_cast<int>(function->second.shared_bytes);
    attributes->ptxVersion = attributes->binaryVersion =
        options().device->major * 10 + options().device->minor;
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* host_function, int threads,
                                                          std::size_t shared) {
    const RuntimeLock lock(runtime_mutex);
    const auto function = functions.find(host_function);
    if (function == functions.end()) return fail(cudaErrorInvalidDeviceFunction);
    const LoadedKernel* loaded = find_kernel(function->second.symbol);
    if (!loaded) return refuse(function->second.symbol, "is in no PTX file", cudaErrorInvalidDeviceFunction);
    if (!blocks || threads <= 0) return fail(cudaErrorInvalidValue);
    const DeviceModel& device = *options().device;
    const bool possible = static_cast<unsigned>(threads) <= most_threads(loaded->kernel.program()) &&
                          shared <= function->second.shared_bytes;
    const int warps = (threads + 31) / 32;
    const auto by_shared =
        static_cast<int>(device.shared_bytes_per_multiprocessor / (shared + reserved_shared_bytes));
    *blocks = possible ? std::min({device.blocks_per_multiprocessor,
                                   device.threads_per_multiprocessor / (32 * warps), by_shared})
                       : 0;
    return cudaSuccess;
}

}  // extern "C"
