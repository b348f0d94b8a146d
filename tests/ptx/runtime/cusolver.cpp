// cuSOLVER's eigensolvers by LAPACK. Arguments are checked as the library documents it; of its data types
// only float64 is there.

#include <cusolverDn.h>
#include <lapacke.h>

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/memory.hpp"
#include "ptx/runtime/options.hpp"
#include "ptx/runtime/uses.hpp"
#include <algorithm>
#include <climits>
#include <cstring>
#include <limits>
#include <set>

struct cusolverDnContext {
    cudaStream_t stream = nullptr;
};
struct cusolverDnParams {
    int unused = 0;
};

namespace espectra::ptx {

namespace {

auto& handles = *new std::set<cusolverDnHandle_t>;
auto& parameter_sets = *new std::set<cusolverDnParams_t>;

/// Symmetric eigenproblems of consecutive column-major matrices.
struct Eigenproblem {
    cusolverEigMode_t mode;
    cublasFillMode_t triangle;
    std::int64_t n;
    cudaDataType matrix_type;
    double* matrices;
    std::int64_t leading_dimension;
    cudaDataType value_type;
    double* values;
    cudaDataType compute_type;
    std::int64_t count;

    bool vectors() const { return mode == CUSOLVER_EIG_MODE_VECTOR; }
};

cusolverStatus_t check(cusolverDnHandle_t handle, cusolverDnParams_t parameters,
                       const Eigenproblem& problem) {
    if (!handles.contains(handle)) return CUSOLVER_STATUS_NOT_INITIALIZED;
    if (!parameter_sets.contains(parameters)) return CUSOLVER_STATUS_INVALID_VALUE;
    const auto is_one_of = [](auto value, auto first, auto second) {
        return value == first || value == second;
    };
    if (!is_one_of(problem.mode, CUSOLVER_EIG_MODE_VECTOR, CUSOLVER_EIG_MODE_NOVECTOR) ||
        !is_one_of(problem.triangle, CUBLAS_FILL_MODE_LOWER, CUBLAS_FILL_MODE_UPPER) || problem.n < 0 ||
        problem.leading_dimension < std::max<std::int64_t>(1, problem.n) || problem.count < 0)
        return CUSOLVER_STATUS_INVALID_VALUE;
    if (problem.matrix_type != problem.compute_type) return CUSOLVER_STATUS_INVALID_VALUE;
    if (problem.matrix_type != CUDA_R_64F || problem.value_type != CUDA_R_64F)
        return CUSOLVER_STATUS_NOT_SUPPORTED;
    return CUSOLVER_STATUS_SUCCESS;
}

/// Returns true if the numbers of all matrices can be counted in 31 bits, as the batched solver does.
bool fits_a_batch(const Eigenproblem& problem) {
    const std::int64_t size = std::max<std::int64_t>(1, problem.n) * problem.leading_dimension;
    return size <= INT_MAX && problem.count <= INT_MAX / size;
}

struct WorkspaceBytes {
    std::size_t device, host;
};

/// Returns the bytes of the workspaces. The library's own sizes are not documented; these are room for 32
/// columns, and for two matrices if there are eigenvectors.
WorkspaceBytes workspace_bytes(const Eigenproblem& problem) {
    const auto n = static_cast<std::size_t>(problem.n);
    const std::size_t numbers = 34 * n + 1024 + (problem.vectors() ? 2 * n * n : 0);
    return {numbers * sizeof(double) * static_cast<std::size_t>(problem.count), n * sizeof(double) + 64};
}

struct Workspaces {
    void* device;
    std::size_t device_bytes;
    void* host;
    std::size_t host_bytes;
};

/// Solves one problem in the host memory behind the device's addresses.
int solve(const Eigenproblem& problem, double* matrix, double* values) {
    const auto n = static_cast<lapack_int>(problem.n);
    const auto stride = static_cast<lapack_int>(problem.leading_dimension);
    const int info =
        LAPACKE_dsyevd(LAPACK_COL_MAJOR, problem.vectors() ? 'V' : 'N',
                       problem.triangle == CUBLAS_FILL_MODE_LOWER ? 'L' : 'U', n, matrix, stride, values);
    if (info >= 0) return info;
    // LAPACKE refuses NaN, for which cuSOLVER's results are not documented.
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    std::fill_n(values, n, nan);
    for (lapack_int column = 0; problem.vectors() && column < n; ++column)
        std::fill_n(matrix + std::int64_t{column} * stride, n, nan);
    return 0;
}

/// Checks and solves all problems, as work of a stream; makes the mistakes of the option.
void solve_all(const Eigenproblem& problem, const Workspaces& work, int* info, const std::string& call) {
    const Place place{call};
    DeviceMemory& memory = device_memory();
    const std::int64_t n = problem.n, stride = problem.leading_dimension;
    if (!memory.destroy({work.device, static_cast<std::int64_t>(work.device_bytes), 1,
                         static_cast<std::int64_t>(work.device_bytes), 1},
                        place, "bufferOnDevice"))
        return;
    const MatrixRegion::Part triangle =
        problem.triangle == CUBLAS_FILL_MODE_LOWER ? MatrixRegion::Part::lower : MatrixRegion::Part::upper;
    for (std::int64_t i = 0; i < problem.count; ++i) {
        double* matrix = problem.matrices + i * n * stride;
        double* values = problem.values + i * n;
        const MatrixRegion all{matrix, n, n, stride};
        const bool readable = memory.read({matrix, n, n, stride, sizeof(double), triangle}, place, "A");
        const bool writable =
            problem.vectors() ? memory.overwrite(all, place, "A") : memory.destroy(all, place, "A");
        if (!readable || !writable || !memory.overwrite({values, n, 1, n}, place, "W") ||
            !memory.overwrite({info + i, 1, 1, 1, sizeof(int)}, place, "info"))
            return;
        info[i] = solve(problem, matrix, values);
        if (options().batched_solver == BatchedSolver::wrong && i % 2 == 1) values[0] -= 1;
    }
}

cusolverStatus_t run(const char* call, cusolverDnHandle_t handle, cusolverDnParams_t parameters,
                     const Eigenproblem& problem, const Workspaces& work, int* info) {
    if (const cusolverStatus_t status = check(handle, parameters, problem); status != CUSOLVER_STATUS_SUCCESS)
        return status;
    if (problem.n == 0 || problem.count == 0) return CUSOLVER_STATUS_SUCCESS;
    const WorkspaceBytes needed = workspace_bytes(problem);
    if (!problem.matrices || !problem.values || !info || !work.device || !work.host ||
        work.device_bytes < needed.device || work.host_bytes < needed.host)
        return CUSOLVER_STATUS_INVALID_VALUE;
    CUstream_st* stream = find_stream(handle->stream);
    if (!stream) return CUSOLVER_STATUS_EXECUTION_FAILED;
    // The solvers wait for the device, which no capture allows.
    if (breaks_capture_of(*stream)) return CUSOLVER_STATUS_INTERNAL_ERROR;
    std::memset(work.host, host_poison, work.host_bytes);  // the library may use all of it
    const cudaError_t status =
        enqueue(handle->stream, {call, [=](const Order&) { solve_all(problem, work, info, call); }});
    return status == cudaSuccess ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_EXECUTION_FAILED;
}

cusolverStatus_t sizes(cusolverDnHandle_t handle, cusolverDnParams_t parameters, const Eigenproblem& problem,
                       std::size_t* device, std::size_t* host) {
    if (const cusolverStatus_t status = check(handle, parameters, problem); status != CUSOLVER_STATUS_SUCCESS)
        return status;
    if (!device || !host) return CUSOLVER_STATUS_INVALID_VALUE;
    const WorkspaceBytes bytes = workspace_bytes(problem);
    *device = bytes.device;
    *host = bytes.host;
    return CUSOLVER_STATUS_SUCCESS;
}

/// The reduction of a column-major matrix to tridiagonal form.
struct Tridiagonalization {
    cublasFillMode_t triangle;
    int n;
    double* matrix;
    int leading_dimension;
    double *diagonal, *beside, *scales;  ///< d [n], e [n − 1], tau [n − 1]

    bool valid() const {
        return (triangle == CUBLAS_FILL_MODE_LOWER || triangle == CUBLAS_FILL_MODE_UPPER) && n >= 0 &&
               leading_dimension >= std::max(1, n);
    }
    /// Numbers of workspace; the library's own sizes are not documented.
    int workspace() const { return 32 * std::max(1, n); }
};

void reduce(const Tridiagonalization& a, double* work, int count, int* info) {
    const Place place{"cusolverDnDsytrd"};
    DeviceMemory& memory = device_memory();
    const bool lower = a.triangle == CUBLAS_FILL_MODE_LOWER;
    const MatrixRegion triangle{a.matrix,
                                a.n,
                                a.n,
                                a.leading_dimension,
                                sizeof(double),
                                lower ? MatrixRegion::Part::lower : MatrixRegion::Part::upper};
    if (!memory.destroy({work, count, 1, count}, place, "work") || !memory.read(triangle, place, "A") ||
        !memory.overwrite(triangle, place, "A") || !memory.overwrite({a.diagonal, a.n, 1, a.n}, place, "d") ||
        !memory.overwrite({info, 1, 1, 1, sizeof(int)}, place, "devInfo"))
        return;
    if (a.n > 1 && (!memory.overwrite({a.beside, a.n - 1, 1, a.n - 1}, place, "e") ||
                    !memory.overwrite({a.scales, a.n - 1, 1, a.n - 1}, place, "tau")))
        return;
    *info = 0;
    const lapack_int found =
        LAPACKE_dsytrd_work(LAPACK_COL_MAJOR, lower ? 'L' : 'U', a.n, a.matrix, a.leading_dimension,
                            a.diagonal, a.beside, a.scales, work, count);
    if (found != 0) *info = found;
}

double* numbers(const void* memory) { return static_cast<double*>(const_cast<void*>(memory)); }

}  // namespace

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" {

// Creating and destroying handles allocates and waits, which breaks captures.
cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t* handle) {
    const RuntimeLock lock(runtime_mutex);
    if (!handle) return CUSOLVER_STATUS_INVALID_VALUE;
    if (breaks_any_capture()) return CUSOLVER_STATUS_NOT_INITIALIZED;
    *handle = new cusolverDnContext;
    handles.insert(*handle);
    ++cuda_counts().handles;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.erase(handle)) return CUSOLVER_STATUS_NOT_INITIALIZED;
    breaks_any_capture();
    delete handle;
    --cuda_counts().handles;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUSOLVER_STATUS_NOT_INITIALIZED;
    handle->stream = stream;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnSetDeterministicMode(cusolverDnHandle_t handle, cusolverDeterministicMode_t mode) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUSOLVER_STATUS_NOT_INITIALIZED;
    const bool known =
        mode == CUSOLVER_DETERMINISTIC_RESULTS || mode == CUSOLVER_ALLOW_NON_DETERMINISTIC_RESULTS;
    return known ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_INVALID_VALUE;
}

cusolverStatus_t cusolverDnSetMathMode(cusolverDnHandle_t handle, cusolverMathMode_t mode) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUSOLVER_STATUS_NOT_INITIALIZED;
    const bool known = mode == CUSOLVER_DEFAULT_MATH || mode == CUSOLVER_FP32_EMULATED_BF16X9_MATH;
    return known ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_INVALID_VALUE;
}

cusolverStatus_t cusolverDnCreateParams(cusolverDnParams_t* parameters) {
    const RuntimeLock lock(runtime_mutex);
    if (!parameters) return CUSOLVER_STATUS_INVALID_VALUE;
    *parameters = new cusolverDnParams;
    parameter_sets.insert(*parameters);
    ++cuda_counts().handles;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDestroyParams(cusolverDnParams_t parameters) {
    const RuntimeLock lock(runtime_mutex);
    if (!parameter_sets.erase(parameters)) return CUSOLVER_STATUS_INVALID_VALUE;
    delete parameters;
    --cuda_counts().handles;
    return CUSOLVER_STATUS_SUCCESS;
}

// cuSOLVER 12.0.4 and 12.0.9 refuse every algorithm of CUSOLVERDN_SYEVBATCHED; getrf and potrf are not
// emulated.
cusolverStatus_t cusolverDnSetAdvOptions(cusolverDnParams_t /*parameters*/, cusolverDnFunction_t /*function*/,
                                         cusolverAlgMode_t /*algorithm*/) {
    return CUSOLVER_STATUS_INVALID_VALUE;
}

cusolverStatus_t cusolverDnXsyevd_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                             cusolverEigMode_t jobz, cublasFillMode_t uplo, std::int64_t n,
                                             cudaDataType a_type, const void* a, std::int64_t lda,
                                             cudaDataType w_type, const void* w, cudaDataType compute_type,
                                             std::size_t* device_bytes, std::size_t* host_bytes) {
    const RuntimeLock lock(runtime_mutex);
    return sizes(handle, params,
                 {jobz, uplo, n, a_type, numbers(a), lda, w_type, numbers(w), compute_type, 1}, device_bytes,
                 host_bytes);
}

cusolverStatus_t cusolverDnXsyevd(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                  cusolverEigMode_t jobz, cublasFillMode_t uplo, std::int64_t n,
                                  cudaDataType a_type, void* a, std::int64_t lda, cudaDataType w_type,
                                  void* w, cudaDataType compute_type, void* device_buffer,
                                  std::size_t device_bytes, void* host_buffer, std::size_t host_bytes,
                                  int* info) {
    const RuntimeLock lock(runtime_mutex);
    return run("cusolverDnXsyevd", handle, params,
               {jobz, uplo, n, a_type, numbers(a), lda, w_type, numbers(w), compute_type, 1},
               {device_buffer, device_bytes, host_buffer, host_bytes}, info);
}

cusolverStatus_t cusolverDnXsyevBatched_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                                   cusolverEigMode_t jobz, cublasFillMode_t uplo,
                                                   std::int64_t n, cudaDataType a_type, const void* a,
                                                   std::int64_t lda, cudaDataType w_type, const void* w,
                                                   cudaDataType compute_type, std::size_t* device_bytes,
                                                   std::size_t* host_bytes, std::int64_t count) {
    const RuntimeLock lock(runtime_mutex);
    const Eigenproblem problem{jobz, uplo,   n,          a_type,       numbers(a),
                               lda,  w_type, numbers(w), compute_type, count};
    return fits_a_batch(problem) ? sizes(handle, params, problem, device_bytes, host_bytes)
                                 : CUSOLVER_STATUS_INVALID_VALUE;
}

cusolverStatus_t cusolverDnXsyevBatched(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                        cusolverEigMode_t jobz, cublasFillMode_t uplo, std::int64_t n,
                                        cudaDataType a_type, void* a, std::int64_t lda, cudaDataType w_type,
                                        void* w, cudaDataType compute_type, void* device_buffer,
                                        std::size_t device_bytes, void* host_buffer, std::size_t host_bytes,
                                        int* info, std::int64_t count) {
    const RuntimeLock lock(runtime_mutex);
    const Eigenproblem problem{jobz, uplo,   n,          a_type,       numbers(a),
                               lda,  w_type, numbers(w), compute_type, count};
    if (!fits_a_batch(problem)) return CUSOLVER_STATUS_INVALID_VALUE;
    return run("cusolverDnXsyevBatched", handle, params, problem,
               {device_buffer, device_bytes, host_buffer, host_bytes}, info);
}

cusolverStatus_t cusolverDnDsytrd_bufferSize(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n,
                                             const double* a, int lda, const double* d, const double* e,
                                             const double* tau, int* lwork) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUSOLVER_STATUS_NOT_INITIALIZED;
    const Tridiagonalization problem{uplo, n, numbers(a), lda, numbers(d), numbers(e), numbers(tau)};
    if (!problem.valid() || !lwork) return CUSOLVER_STATUS_INVALID_VALUE;
    *lwork = problem.workspace();
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDsytrd(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, double* a, int lda,
                                  double* d, double* e, double* tau, double* work, int lwork, int* info) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUSOLVER_STATUS_NOT_INITIALIZED;
    const Tridiagonalization problem{uplo, n, a, lda, d, e, tau};
    if (!problem.valid()) return CUSOLVER_STATUS_INVALID_VALUE;
    if (n == 0) return CUSOLVER_STATUS_SUCCESS;
    if (!a || !d || !work || !info || (n > 1 && (!e || !tau)) || lwork < problem.workspace())
        return CUSOLVER_STATUS_INVALID_VALUE;
    const cudaError_t status = enqueue(
        handle->stream, {"cusolverDnDsytrd", [=](const Order&) { reduce(problem, work, lwork, info); }});
    return status == cudaSuccess ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
