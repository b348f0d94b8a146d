// `espectra cuda-facts [--seconds N]`: what a device and its libraries do, as far as this project depends on
// it, as one JSON object on standard output: ceilings (copy, matrix product, symmetric product), cuSOLVER's
// eigensolvers (correctness, time, memory, work of the host), resources of our own kernels.
// Exit status: 0, 3 where an eigensolver's certificate is violated, 4 without a device.

#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/fused_training.hpp"
#include "espectra/kernels/group/optimizer.hpp"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/timer.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

namespace espectra {
namespace {

using Json = nlohmann::ordered_json;
using DeviceBuffer = Buffer<double, Space::device>;

cudaStream_t stream_of(CudaContext& context) { return static_cast<cudaStream_t>(context.stream()); }

void say(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

/// A number, or null where it is NaN or infinite.
Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

/// Time on the device between two events around work(), in seconds.
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

/// Median of five, after one that does not count.
double median_seconds(CudaContext& context, const std::function<void()>& work) {
    std::vector<double> seconds;
    work();
    for (int i = 0; i < 5; ++i) seconds.push_back(device_seconds(context, work));
    std::nth_element(seconds.begin(), seconds.begin() + 2, seconds.end());
    return seconds[2];
}

std::size_t free_memory(CudaContext& context) {
    context.synchronize();
    std::size_t available = 0, total = 0;
    check(cudaMemGetInfo(&available, &total));
    return available;
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

void fill(CudaContext& context, double* matrix, Index n) {
    fill_symmetric<<<4096, 256, 0, stream_of(context)>>>(matrix, n);
    check(cudaGetLastError());
}

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
    DeviceBuffer a(context, Index{n} * n), b(context, Index{n} * n), c(context, Index{n} * n);
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
    facts["dsyrk_flops_per_second"] = size * size * size / syrk;  // of the triangle alone
    return facts;
}

// ---- eigensolvers ----

class SolverParameters {
  public:
    SolverParameters() { check(cusolverDnCreateParams(&parameters_)); }
    ~SolverParameters() { cusolverDnDestroyParams(parameters_); }
    SolverParameters(const SolverParameters&) = delete;
    SolverParameters& operator=(const SolverParameters&) = delete;
    operator cusolverDnParams_t() const { return parameters_; }

  private:
    cusolverDnParams_t parameters_ = nullptr;
};

double thread_cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Bytes beside the matrix, on device and host.
struct Workspace {
    std::size_t device = 0, host = 0;
};

/// cusolverDnXsyevd without vectors on one random matrix of size n: time, work of the host (the waiting
/// thread sleeps, see main, so that its CPU time is work), trace and Frobenius certificates.
Json single_matrix(CudaContext& context, Index n, const Workspace& workspace) {
    const auto solver = static_cast<cusolverDnHandle_t>(context.cusolver());
    const SolverParameters parameters;
    DeviceBuffer matrix(context, n * n), values(context, n);
    Buffer<unsigned char, Space::device> device_work(context, static_cast<Index>(workspace.device));
    std::vector<unsigned char> host_work(workspace.host);
    Buffer<int, Space::device> info(context, 1);
    fill(context, matrix.data(), n);

    double norm = 0;
    check(cublasDnrm2_64(static_cast<cublasHandle_t>(context.cublas()), n * n, matrix.data(), 1, &norm));
    std::vector<double> diagonal(static_cast<std::size_t>(n));
    context.synchronize();
    check(cudaMemcpy2D(diagonal.data(), sizeof(double), matrix.data(),
                       static_cast<std::size_t>(n + 1) * sizeof(double), sizeof(double),
                       static_cast<std::size_t>(n), cudaMemcpyDeviceToHost));

    const Timer timer;
    const double cpu_before = thread_cpu_seconds();
    double returned = 0;
    const double on_stream = device_seconds(context, [&] {
        check(cusolverDnXsyevd(solver, parameters, CUSOLVER_EIG_MODE_NOVECTOR, CUBLAS_FILL_MODE_LOWER, n,
                               CUDA_R_64F, matrix.data(), n, CUDA_R_64F, values.data(), CUDA_R_64F,
                               device_work.data(), workspace.device, host_work.data(), workspace.host,
                               info.data()));
        returned = timer.seconds();
    });
    const double wall = timer.seconds(), host_cpu = thread_cpu_seconds() - cpu_before;

    const int status = fetch(context, info.data(), 1)[0];
    double sum = 0, squares = 0, trace = 0;
    for (const double value : fetch(context, values.data(), n)) {
        sum += value;
        squares += value * value;
    }
    for (const double value : diagonal) trace += value;
    const double trace_error = std::fabs(sum - trace) / (std::sqrt(static_cast<double>(n)) * norm);
    const double frobenius_error = std::fabs(squares - norm * norm) / (norm * norm);
    return {{"n", n},
            {"seconds", wall},
            {"seconds_until_return", returned},
            {"seconds_on_stream", on_stream},
            {"host_cpu_seconds", host_cpu},
            {"device_workspace_bytes", workspace.device},
            {"host_workspace_bytes", workspace.host},
            {"info", status},
            {"trace_error", number_or_null(trace_error)},
            {"frobenius_error", number_or_null(frobenius_error)},
            // As of the spectra of networks; NaN does not pass.
            {"certified", status == 0 && trace_error <= 1e-10 && frobenius_error <= 1e-10}};
}

Json single_matrices(const Timer& total, double budget) {
    Json facts = Json::array();
    double previous = 0;
    for (const Index n : {1024, 2048, 4096, 8192, 16384, 32768, 65536}) {
        Json fact = {{"n", n}};
        try {
            CudaContext context;  // a new one: it has its memory to itself
            Workspace workspace;
            const SolverParameters parameters;
            check(cusolverDnXsyevd_bufferSize(static_cast<cusolverDnHandle_t>(context.cusolver()), parameters,
                                              CUSOLVER_EIG_MODE_NOVECTOR, CUBLAS_FILL_MODE_LOWER, n,
                                              CUDA_R_64F, nullptr, n, CUDA_R_64F, nullptr, CUDA_R_64F,
                                              &workspace.device, &workspace.host));
            const std::size_t needed =
                static_cast<std::size_t>(n) * static_cast<std::size_t>(n + 1) * sizeof(double) +
                workspace.device;
            // Eight times the work of half the size, and something for what does not scale so well.
            const double expected = 10 * previous;
            if (needed > free_memory(context) / 100 * 95) {
                fact["skipped"] = "memory";
                fact["needed_bytes"] = needed;
            } else if (total.seconds() + expected > budget) {
                fact["skipped"] = "time";
            } else {
                say("cusolverDnXsyevd, n = " + std::to_string(n));
                if (facts.empty()) single_matrix(context, n, workspace);  // loads the library's kernels
                fact = single_matrix(context, n, workspace);
                previous = fact["seconds"].get<double>();
            }
        } catch (const Error& error) {
            fact["error"] = error.what();
        }
        facts.push_back(fact);
        if (!fact.contains("seconds")) break;
    }
    return facts;
}

constexpr Index small = 52;  // parameters of a network 2-10-1 with β

/// H diag(λ) H with the reflection H of v: a matrix of known spectrum, row-major = column-major.
void reflect(const std::vector<double>& eigenvalues, const std::vector<double>& v, double* matrix) {
    double square = 0, weighted = 0;
    for (Index i = 0; i < small; ++i) {
        square += v[i] * v[i];
        weighted += v[i] * v[i] * eigenvalues[i];
    }
    const double tau = 2 / square;
    const auto w = [&](Index i) { return tau * (eigenvalues[i] - tau / 2 * weighted) * v[i]; };
    for (Index i = 0; i < small; ++i)
        for (Index j = 0; j < small; ++j)
            matrix[i * small + j] = (i == j ? eigenvalues[i] : 0.0) - v[i] * w(j) - w(i) * v[j];
}

struct Batch {
    std::vector<double> matrices, eigenvalues;  // [kinds · copies, n, n], [.., n] ascending
    std::vector<const char*> kinds;             // one per `copies` matrices
    Index copies = 0;
};

Batch known_batch(Index copies) {
    Batch batch;
    batch.kinds = {"full_rank", "rank_30", "rank_30_dead_rows", "rank_1", "zero", "repeated", "graded"};
    batch.copies = copies;
    const Index count = static_cast<Index>(batch.kinds.size()) * copies;
    batch.matrices.resize(static_cast<std::size_t>(count * small * small));
    batch.eigenvalues.resize(static_cast<std::size_t>(count * small));
    unsigned long long state = 1;
    const auto uniform = [&state] {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<double>(state >> 11) * 0x1p-53 - 0.5;
    };
    for (Index item = 0; item < count; ++item) {
        const std::string kind = batch.kinds[static_cast<std::size_t>(item / copies)];
        std::vector<double> values(small), v(small);
        const Index rank = kind == "zero"                  ? 0
                           : kind == "rank_1"              ? 1
                           : kind.rfind("rank_30", 0) == 0 ? 30
                                                           : small;
        for (Index i = 0; i < small; ++i) {
            v[i] = uniform();
            if (i >= rank)
                values[i] = 0;
            else if (kind == "repeated")
                values[i] = i % 3 - 1.0;
            else if (kind == "graded")
                values[i] = std::pow(10.0, -0.3 * static_cast<double>(i));
            else
                values[i] = uniform();
        }
        // Rows and columns 40 … 51 exactly zero, as those of dead units.
        if (kind == "rank_30_dead_rows") std::fill(v.begin() + 40, v.end(), 0.0);
        reflect(values, v, batch.matrices.data() + item * small * small);
        std::sort(values.begin(), values.end());
        std::copy(values.begin(), values.end(), batch.eigenvalues.begin() + item * small);
    }
    return batch;
}

/// Largest error relative to |λ|_max, and the matrices where it is beyond 1e-12: a backward stable solver
/// stays below n·ε = 1.2e-14 times a small number, a wrong one does not.
Json batch_errors(const Batch& batch, const std::vector<double>& found) {
    Json facts;
    for (std::size_t kind = 0; kind < batch.kinds.size(); ++kind) {
        double largest_error = 0;
        int wrong = 0;
        for (Index item = 0; item < batch.copies; ++item) {
            const std::size_t begin =
                (kind * static_cast<std::size_t>(batch.copies) + static_cast<std::size_t>(item)) * small;
            double scale = 0, error = 0;
            for (std::size_t i = begin; i < begin + small; ++i)
                scale = std::max(scale, std::fabs(batch.eigenvalues[i]));
            for (std::size_t i = begin; i < begin + small; ++i) {
                const double difference = std::fabs(found[i] - batch.eigenvalues[i]);
                error = difference <= error ? error : difference;  // NaN is taken, and stays below
                if (!(difference <= 1e-12 * scale)) {
                    ++wrong;
                    break;
                }
            }
            largest_error = std::max(largest_error, scale > 0 ? error / scale : error);
        }
        facts[batch.kinds[kind]] = {
            {"largest_error", number_or_null(largest_error)}, {"wrong", wrong}, {"of", batch.copies}};
    }
    return facts;
}

Json batched(CudaContext& context, cusolverAlgMode_t algorithm) {
    const Batch batch = known_batch(1024);
    const Index count = static_cast<Index>(batch.kinds.size()) * batch.copies;
    const auto solver = static_cast<cusolverDnHandle_t>(context.cusolver());
    const SolverParameters parameters;
    check(cusolverDnSetAdvOptions(parameters, CUSOLVERDN_SYEVBATCHED, algorithm));
    DeviceBuffer original(context, count * small * small), matrices(context, count * small * small),
        values(context, count * small);
    copy(context, batch.matrices.data(), original.data(), original.size());
    Workspace workspace;
    check(cusolverDnXsyevBatched_bufferSize(solver, parameters, CUSOLVER_EIG_MODE_NOVECTOR,
                                            CUBLAS_FILL_MODE_LOWER, small, CUDA_R_64F, matrices.data(), small,
                                            CUDA_R_64F, values.data(), CUDA_R_64F, &workspace.device,
                                            &workspace.host, count));
    Buffer<unsigned char, Space::device> device_work(context, static_cast<Index>(workspace.device));
    std::vector<unsigned char> host_work(workspace.host);
    Buffer<int, Space::device> info(context, count);
    std::vector<double> seconds;
    for (int repetition = 0; repetition < 6; ++repetition) {
        copy(context, original.data(), matrices.data(), matrices.size());
        seconds.push_back(device_seconds(context, [&] {
            check(cusolverDnXsyevBatched(
                solver, parameters, CUSOLVER_EIG_MODE_NOVECTOR, CUBLAS_FILL_MODE_LOWER, small, CUDA_R_64F,
                matrices.data(), small, CUDA_R_64F, values.data(), CUDA_R_64F, device_work.data(),
                workspace.device, host_work.data(), workspace.host, info.data(), count));
        }));
    }
    std::nth_element(seconds.begin() + 1, seconds.begin() + 3, seconds.end());  // the first loads kernels
    const std::vector<int> statuses = fetch(context, info.data(), count);
    return {{"n", small},
            {"matrices", count},
            {"seconds", seconds[3]},
            {"microseconds_per_matrix", 1e6 * seconds[3] / static_cast<double>(count)},
            {"device_workspace_bytes", workspace.device},
            {"host_workspace_bytes", workspace.host},
            {"info_nonzero", static_cast<long>(std::count_if(statuses.begin(), statuses.end(),
                                                             [](int s) { return s != 0; }))},
            {"kinds", batch_errors(batch, fetch(context, values.data(), count * small))}};
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
    // One line for each kernel whose occupancy matters, with the scratch that it takes at the usual shape.
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
    // The waiting thread sleeps: its CPU time then is work of a library on the host.
    check(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync));
    Json facts;
    const auto section = [&](const char* name, const std::function<Json(CudaContext&)>& measure) {
        say(name);
        try {
            CudaContext context;
            facts[name] = measure(context);
        } catch (const Error& error) {
            facts[name] = {{"error", error.what()}};
        }
    };
    section("device", device_facts);
    section("kernels", kernels);
    section("ceilings", ceilings);
    section("syev_batched_alg_0", [](CudaContext& context) { return batched(context, CUSOLVER_ALG_0); });
    section("syev_batched_alg_1", [](CudaContext& context) { return batched(context, CUSOLVER_ALG_1); });
    section("syevd", [&](CudaContext&) { return single_matrices(total, budget); });
    facts["seconds"] = total.seconds();
    bool certified = true;
    for (const Json& fact : facts["syevd"])
        if (fact.is_object()) certified = certified && fact.value("certified", true);
    facts["certified"] = certified;
    std::printf("%s\n", facts.dump(2).c_str());
    if (certified) return 0;
    say("espectra-cuda-facts: a spectrum of cusolverDnXsyevd violates its certificate");
    return static_cast<int>(ErrorKind::numerical);
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
