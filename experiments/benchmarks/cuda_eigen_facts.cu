// The part of espectra-cuda-facts about cuSOLVER's eigensolvers.

#include "espectra/experiments/benchmarks/cuda_facts.hpp"
#include "espectra/kernels/cuda/solver_parameters.cuh"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/error.hpp"

#include <cublas_v2.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <vector>

namespace espectra {

namespace {

using DeviceBuffer = Buffer<double, Space::device>;

constexpr Index small = 52;  // parameters of a network 2-10-1 with β

/// A number, or null where it is NaN or infinite.
Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double thread_cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Bytes of workspace in addition to the matrix, on device and host.
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
            // The limits of the spectra of networks; NaN is above them.
            {"certified", status == 0 && trace_error <= 1e-10 && frobenius_error <= 1e-10}};
}

}  // namespace

Json single_matrices(const Timer& total, double budget) {
    Json facts = Json::array();
    double previous = 0;
    for (const Index n : {1024, 2048, 4096, 8192, 16384, 32768, 65536}) {
        Json fact = {{"n", n}};
        try {
            CudaContext context;  // a new one, which has the memory to itself
            Workspace workspace;
            const SolverParameters parameters;
            const DeviceBuffer any(context, 1);  // null is not a valid argument
            check(cusolverDnXsyevd_bufferSize(static_cast<cusolverDnHandle_t>(context.cusolver()), parameters,
                                              CUSOLVER_EIG_MODE_NOVECTOR, CUBLAS_FILL_MODE_LOWER, n,
                                              CUDA_R_64F, any.data(), n, CUDA_R_64F, any.data(), CUDA_R_64F,
                                              &workspace.device, &workspace.host));
            const std::size_t needed =
                static_cast<std::size_t>(n) * static_cast<std::size_t>(n + 1) * sizeof(double) +
                workspace.device;
            // Eight times the work of half the size, and a margin for the parts that scale worse.
            const double expected = 10 * previous;
            if (needed > free_memory(context) / 100 * 95) {
                fact["skipped"] = "memory";
                fact["needed_bytes"] = needed;
            } else if (total.seconds() + expected > budget) {
                fact["skipped"] = "time";
            } else {
                print_progress("cusolverDnXsyevd, n = " + std::to_string(n));
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

namespace {

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
        // Rows and columns 40 … 51 are exactly zero, like those of dead units.
        if (kind == "rank_30_dead_rows") std::fill(v.begin() + 40, v.end(), 0.0);
        reflect(values, v, batch.matrices.data() + item * small * small);
        std::sort(values.begin(), values.end());
        std::copy(values.begin(), values.end(), batch.eigenvalues.begin() + item * small);
    }
    return batch;
}

/// Largest error relative to |λ|_max, and the number of matrices where it exceeds 1e-12: a backward stable
/// solver stays below n·ε = 1.2e-14 times a small number, a wrong one does not.
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
                error = difference <= error ? error : difference;  // NaN is kept
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

}  // namespace

Json batched_matrices(CudaContext& context) {
    const Batch batch = known_batch(1024);
    const Index count = static_cast<Index>(batch.kinds.size()) * batch.copies;
    const auto solver = static_cast<cusolverDnHandle_t>(context.cusolver());
    const SolverParameters parameters;
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

}  // namespace espectra
