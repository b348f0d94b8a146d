// `espectra cuda-facts [--seconds N]`: facts about a device and its libraries that this project depends on,
// as one JSON object on standard output: ceilings (copy, matrix product, symmetric product), cuSOLVER's
// eigensolvers (correctness, time, memory, work of the host), resources of the project's own kernels. A part
// that fails has an `error` in place of its facts, and the others are measured nevertheless. Exit status: 0,
// 3 if an eigensolver's certificate is violated, 4 without a device or if a part has an `error`.

#include "espectra/experiments/benchmarks/cuda_facts.hpp"
#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/fused_training.hpp"
#include "espectra/kernels/group/optimizer.hpp"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

namespace espectra {

namespace {

cudaStream_t stream_of(CudaContext& context) { return static_cast<cudaStream_t>(context.stream()); }

}  // namespace

void print_progress(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

double device_seconds(CudaContext& context, const std::function<void()>& work) {
    cudaEvent_t begin = nullptr, end = nullptr;
    check(cudaEventCreate(&begin));
    check(cudaEventCreate(&end));
    check(cudaEventRecord(begin, stream_of(context)));
    work();
    check(cudaEventRecord(end, stream_of(context)));
    check(cudaEventSynchronize(end));
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end));
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    return static_cast<double>(milliseconds) / 1e3;
}

std::size_t free_memory(CudaContext& context) {
    context.synchronize();
    std::size_t available = 0, total = 0;
    check(cudaMemGetInfo(&available, &total));
    return available;
}

namespace {

/// Entry (i, j) of a symmetric matrix, i ≤ j: uniform in [−½, ½) by a hash of the place (splitmix64).
__device__ double symmetric_entry(long long i, long long j, long long n) {
    const long long low = i < j ? i : j, high = i < j ? j : i;
    unsigned long long z = static_cast<unsigned long long>(low * n + high) + 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return static_cast<double>(z >> 11) * 0x1p-53 - 0.5;
}

__global__ void fill_symmetric(double* matrix, long long n) {
    const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long e = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; e < n * n; e += step)
        matrix[e] = symmetric_entry(e / n, e % n, n);
}

}  // namespace

void fill(CudaContext& context, double* matrix, Index n) {
    fill_symmetric<<<4096, 256, 0, stream_of(context)>>>(matrix, n);
    check(cudaGetLastError());
}

namespace {

/// Median of five times, after one that does not count.
double median_seconds(CudaContext& context, const std::function<void()>& work) {
    std::vector<double> seconds;
    work();
    for (int i = 0; i < 5; ++i) seconds.push_back(device_seconds(context, work));
    std::nth_element(seconds.begin(), seconds.begin() + 2, seconds.end());
    return seconds[2];
}

// ---- device ----

int attribute(CudaContext& context, cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, context.device()));
    return value;
}

Json device_facts(CudaContext& context) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, context.device()));
    int runtime = 0, driver = 0, cublas = 0, cusolver = 0;
    check(cudaRuntimeGetVersion(&runtime));
    check(cudaDriverGetVersion(&driver));
    check(cublasGetVersion(static_cast<cublasHandle_t>(context.cublas()), &cublas));
    check(cusolverGetVersion(&cusolver));
    return {{"name", properties.name},
            {"compute_capability", std::to_string(properties.major) + "." + std::to_string(properties.minor)},
            {"multiprocessors", properties.multiProcessorCount},
            {"clock_mhz", attribute(context, cudaDevAttrClockRate) / 1000},
            {"memory_clock_mhz", attribute(context, cudaDevAttrMemoryClockRate) / 1000},
            {"memory_bus_bits", properties.memoryBusWidth},
            {"memory_bytes", properties.totalGlobalMem},
            {"memory_free_bytes", free_memory(context)},
            {"l2_bytes", properties.l2CacheSize},
            {"shared_bytes_per_multiprocessor", properties.sharedMemPerMultiprocessor},
            {"shared_bytes_per_block_optin", properties.sharedMemPerBlockOptin},
            {"ecc", properties.ECCEnabled != 0},
            {"cuda_runtime", runtime},
            {"cuda_driver", driver},
            {"cublas", cublas},
            {"cusolver", cusolver}};
}

// ---- ceilings ----

Json ceilings(CudaContext& context) {
    Json facts;
    {
        constexpr Index bytes = Index{1} << 30;
        Buffer<char, Space::device> from(context, bytes), to(context, bytes);
        check(cudaMemsetAsync(from.data(), 1, bytes, stream_of(context)));
        const double seconds = median_seconds(context, [&] { copy(context, from.data(), to.data(), bytes); });
        facts["copy_bytes_per_second"] = 2.0 * static_cast<double>(bytes) / seconds;
    }
    constexpr int n = 8192;
    Buffer<double, Space::device> a(context, Index{n} * n), b(context, Index{n} * n),
        c(context, Index{n} * n);
    fill(context, a.data(), n);
    fill(context, b.data(), n);
    const auto cublas = static_cast<cublasHandle_t>(context.cublas());
    const double one = 1, zero = 0, size = n;
    const double gemm = median_seconds(context, [&] {
        check(cublasDgemm(cublas, CUBLAS_OP_T, CUBLAS_OP_N, n, n, n, &one, a.data(), n, b.data(), n, &zero,
                          c.data(), n));
    });
    const double syrk = median_seconds(context, [&] {
        check(cublasDsyrk(cublas, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T, n, n, &one, a.data(), n, &zero,
                          c.data(), n));
    });
    facts["n"] = n;
    facts["dgemm_flops_per_second"] = 2 * size * size * size / gemm;
    facts["dsyrk_flops_per_second"] = size * size * size / syrk;  // of one triangle
    return facts;
}

// ---- own kernels ----

template <class K>
Json kernel_facts(CudaContext& context, std::size_t shared_doubles) {
    cudaFuncAttributes attributes;
    check(cudaFuncGetAttributes(&attributes, block_kernel<K>));
    const std::size_t bytes = shared_doubles * sizeof(double);
    if (bytes > 48 * 1024)
        check(cudaFuncSetAttribute(block_kernel<K>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(bytes)));
    int blocks = 0;
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, block_kernel<K>, K::threads, bytes));
    return {{"kernel", K::name},
            {"threads", K::threads},
            {"registers", attributes.numRegs},
            {"local_bytes", attributes.localSizeBytes},
            {"shared_bytes", attributes.sharedSizeBytes + bytes},
            {"blocks_per_multiprocessor", blocks},
            {"occupancy", static_cast<double>(blocks * K::threads) /
                              attribute(context, cudaDevAttrMaxThreadsPerMultiProcessor)}};
}

Json kernels(CudaContext& context) {
    constexpr Space device = Space::device;
    const Layer layers[] = {{2, 10, Activation::esp, true, 1.0, {0, 20, 30}},
                            {10, 1, Activation::linear, true, 1.0, {40, 50, 51}}};
    const FusedNetwork planar = fused_network({layers, 2, Loss::sigmoid_cross_entropy});  // 2-10-1 with β
    Json facts = Json::array();
    // Kernels whose occupancy matters, with the scratch that they take for the usual shape.
    facts.push_back(kernel_facts<group::AdamKernel<device>>(context, 0));
    facts.push_back(kernel_facts<group::FusedTrainingKernel<device, 128>>(
        context, group::fused_training_doubles(planar, 128)));
    facts.push_back(kernel_facts<group::FusedTrainingKernel<device, 512>>(
        context, group::fused_training_doubles(planar, 512)));
    return facts;
}

// ---- program ----

int run(double budget) {
    const Timer total;
    // The waiting thread sleeps, so that its CPU time is work of a library on the host.
    check(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync));
    Json facts;
    const auto section = [&](const char* name, const std::function<Json(CudaContext&)>& measure) {
        print_progress(name);
        try {
            CudaContext context;
            facts[name] = measure(context);
        } catch (const std::exception& error) {
            facts[name] = {{"error", error.what()}};
        }
    };
    section("device", device_facts);
    section("kernels", kernels);
    section("ceilings", ceilings);
    section("contractions", [&](CudaContext& context) { return contractions(context, budget / 10); });
    section("syev_batched", batched_matrices);
    section("syevd", [&](CudaContext&) { return single_matrices(total, budget); });
    facts["seconds"] = total.seconds();
    facts["certified"] = certified(facts);
    std::printf("%s\n", facts.dump(2).c_str());
    for (const std::string& error : errors_in(facts)) print_progress("espectra-cuda-facts: " + error);
    if (!certified(facts))
        print_progress("espectra-cuda-facts: a spectrum of cusolverDnXsyevd violates its certificate");
    return exit_status(facts);
}

}  // namespace
}  // namespace espectra

int main(int argc, char** argv) {
    using namespace espectra;
    double budget = 240;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        char* end = nullptr;
        if (argument == "--seconds" && i + 1 < argc && (budget = std::strtod(argv[++i], &end)) > 0 &&
            *end == '\0')
            continue;
        std::fprintf(argument == "--help" ? stdout : stderr, "espectra cuda-facts [--seconds N]\n");
        return argument == "--help" ? 0 : static_cast<int>(ErrorKind::input);
    }
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        std::fprintf(stderr, "espectra-cuda-facts: no device (%s)\n", cudaGetErrorString(status));
        return static_cast<int>(ErrorKind::resource);
    }
    try {
        return run(budget);
    } catch (const Error& error) {
        std::fprintf(stderr, "espectra-cuda-facts: %s\n", error.what());
        return error.exit_status();
    }
}
