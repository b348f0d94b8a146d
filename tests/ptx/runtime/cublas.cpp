// cuBLAS by OpenBLAS. Arguments are checked as the library documents it. Work enters the queue of the
// handle's stream, or its capture; scalars are read at the call (CUBLAS_POINTER_MODE_HOST).

#include <cblas.h>
#include <cublas_v2.h>

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/uses.hpp"
#include <algorithm>
#include <climits>
#include <limits>
#include <set>
#include <string>

struct cublasContext {
    cudaStream_t stream = nullptr;
    void* workspace = nullptr;  // null: that of the library
    std::size_t workspace_bytes = 0;
};

namespace espectra::ptx {

namespace {

auto& handles = *new std::set<cublasHandle_t>;

constexpr std::size_t workspace_alignment = 256;

/// C ← alpha op(A) op(B) + beta C for each matrix of a batch, column-major.
struct Gemm {
    cublasOperation_t op_a, op_b;
    std::int64_t m, n, k;
    const double* a;
    std::int64_t lda, stride_a;
    const double* b;
    std::int64_t ldb, stride_b;
    double* c;
    std::int64_t ldc, stride_c;
    std::int64_t count = 1;
    double alpha = 0, beta = 0;
};

bool is_operation(cublasOperation_t operation) {
    return operation == CUBLAS_OP_N || operation == CUBLAS_OP_T || operation == CUBLAS_OP_C;
}

CBLAS_TRANSPOSE transpose(cublasOperation_t operation) {
    return operation == CUBLAS_OP_N ? CblasNoTrans : CblasTrans;
}

/// Returns the matrix of which op() has this shape.
MatrixRegion stored(const double* matrix, cublasOperation_t operation, std::int64_t rows,
                    std::int64_t columns, std::int64_t stride) {
    return operation == CUBLAS_OP_N ? MatrixRegion{matrix, rows, columns, stride}
                                    : MatrixRegion{matrix, columns, rows, stride};
}

std::int64_t least_stride(cublasOperation_t operation, std::int64_t rows, std::int64_t columns) {
    return std::max<std::int64_t>(1, operation == CUBLAS_OP_N ? rows : columns);
}

/// Returns true if the scalars can be read at the call. With the pointer mode of this project, that of the
/// host, the library reads them there: one on the device would be a fault of the host.
bool readable(const char* call, const double* alpha, const double* beta) {
    if (!alpha || !beta) return false;
    for (const double* scalar : {alpha, beta})
        if (device_memory().is_device(scalar)) {
            report(Fault::invalid_argument, call,
                   std::string(scalar == alpha ? "alpha" : "beta") +
                       " is in memory of the device, and the pointer mode is CUBLAS_POINTER_MODE_HOST",
                   scalar);
            return false;
        }
    return true;
}

/// Queues work that uses the handle's workspace.
cublasStatus_t enqueue_call(cublasHandle_t handle, const char* call,
                            std::function<void(const Place&)> perform) {
    const auto work = [call, perform = std::move(perform), workspace = handle->workspace,
                       bytes = static_cast<std::int64_t>(handle->workspace_bytes)](const Order&) {
        const Place place{call};
        if (workspace && !device_memory().destroy({workspace, bytes, 1, bytes, 1}, place, "workspace"))
            return;
        perform(place);
    };
    return enqueue(handle->stream, {call, work}) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                : CUBLAS_STATUS_EXECUTION_FAILED;
}

void multiply(const Gemm& gemm, const Place& place) {
    DeviceMemory& memory = device_memory();
    const bool product = gemm.alpha != 0 && gemm.k > 0;
    const auto narrow = [](std::int64_t value) { return static_cast<blasint>(value); };
    for (std::int64_t i = 0; i < gemm.count; ++i) {
        const double *a = gemm.a + i * gemm.stride_a, *b = gemm.b + i * gemm.stride_b;
        double* c = gemm.c + i * gemm.stride_c;
        const MatrixRegion result{c, gemm.m, gemm.n, gemm.ldc};
        if (product && (!memory.read(stored(a, gemm.op_a, gemm.m, gemm.k, gemm.lda), place, "A") ||
                        !memory.read(stored(b, gemm.op_b, gemm.k, gemm.n, gemm.ldb), place, "B")))
            return;
        if (gemm.beta != 0 && !memory.read(result, place, "C")) return;
        if (!memory.overwrite(result, place, "C")) return;
        cblas_dgemm(CblasColMajor, transpose(gemm.op_a), transpose(gemm.op_b), narrow(gemm.m), narrow(gemm.n),
                    narrow(gemm.k), gemm.alpha, a, narrow(gemm.lda), b, narrow(gemm.ldb), gemm.beta, c,
                    narrow(gemm.ldc));
    }
}

cublasStatus_t gemm(const char* call, cublasHandle_t handle, Gemm gemm, const double* alpha,
                    const double* beta) {
    if (!handles.contains(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (gemm.m < 0 || gemm.n < 0 || gemm.k < 0 || gemm.count < 0 || !is_operation(gemm.op_a) ||
        !is_operation(gemm.op_b) || gemm.lda < least_stride(gemm.op_a, gemm.m, gemm.k) ||
        gemm.ldb < least_stride(gemm.op_b, gemm.k, gemm.n) || gemm.ldc < std::max<std::int64_t>(1, gemm.m) ||
        !readable(call, alpha, beta))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (gemm.m == 0 || gemm.n == 0 || gemm.count == 0) return CUBLAS_STATUS_SUCCESS;
    // The matrices C must not overlap.
    if (!gemm.c || (gemm.count > 1 && gemm.stride_c < gemm.ldc * (gemm.n - 1) + gemm.m))
        return CUBLAS_STATUS_INVALID_VALUE;
    // OpenBLAS counts in 32 bits; such matrices would not fit into the emulated memory either.
    if (std::max({gemm.m, gemm.n, gemm.k, gemm.lda, gemm.ldb, gemm.ldc}) >
        std::numeric_limits<blasint>::max())
        return CUBLAS_STATUS_NOT_SUPPORTED;
    gemm.alpha = *alpha;
    gemm.beta = *beta;
    return enqueue_call(handle, call, [gemm](const Place& place) { multiply(gemm, place); });
}

}  // namespace

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" {

// Creating and destroying handles allocates and waits, which breaks captures.
cublasStatus_t cublasCreate(cublasHandle_t* handle) {
    const RuntimeLock lock(runtime_mutex);
    if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
    if (breaks_any_capture()) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = new cublasContext;
    handles.insert(*handle);
    ++cuda_counts().handles;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.erase(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    breaks_any_capture();
    delete handle;
    --cuda_counts().handles;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = {stream, nullptr, 0};  // the workspace is the library's again
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, std::size_t bytes) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!workspace || reinterpret_cast<std::uintptr_t>(workspace) % workspace_alignment != 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    handle->workspace = workspace;
    handle->workspace_bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    const bool ieee = mode == CUBLAS_DEFAULT_MATH || mode == CUBLAS_PEDANTIC_MATH;
    return ieee ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t /*mode*/) {
    const RuntimeLock lock(runtime_mutex);
    return handles.contains(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasDgemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                           int n, int k, const double* alpha, const double* a, int lda, const double* b,
                           int ldb, const double* beta, double* c, int ldc) {
    const RuntimeLock lock(runtime_mutex);
    return gemm("cublasDgemm", handle, {op_a, op_b, m, n, k, a, lda, 0, b, ldb, 0, c, ldc, 0}, alpha, beta);
}

cublasStatus_t cublasDgemm_64(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                              std::int64_t m, std::int64_t n, std::int64_t k, const double* alpha,
                              const double* a, std::int64_t lda, const double* b, std::int64_t ldb,
                              const double* beta, double* c, std::int64_t ldc) {
    const RuntimeLock lock(runtime_mutex);
    return gemm("cublasDgemm_64", handle, {op_a, op_b, m, n, k, a, lda, 0, b, ldb, 0, c, ldc, 0}, alpha,
                beta);
}

cublasStatus_t cublasDgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t op_a,
                                            cublasOperation_t op_b, std::int64_t m, std::int64_t n,
                                            std::int64_t k, const double* alpha, const double* a,
                                            std::int64_t lda, long long stride_a, const double* b,
                                            std::int64_t ldb, long long stride_b, const double* beta,
                                            double* c, std::int64_t ldc, long long stride_c,
                                            std::int64_t count) {
    const RuntimeLock lock(runtime_mutex);
    return gemm("cublasDgemmStridedBatched_64", handle,
                {op_a, op_b, m, n, k, a, lda, stride_a, b, ldb, stride_b, c, ldc, stride_c, count}, alpha,
                beta);
}

cublasStatus_t cublasDsyrk(cublasHandle_t handle, cublasFillMode_t triangle, cublasOperation_t operation,
                           int n, int k, const double* alpha, const double* a, int lda, const double* beta,
                           double* c, int ldc) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    const bool lower = triangle == CUBLAS_FILL_MODE_LOWER;
    if (n < 0 || k < 0 || !(lower || triangle == CUBLAS_FILL_MODE_UPPER) || !is_operation(operation) ||
        lda < least_stride(operation, n, k) || ldc < std::max(1, n) || !readable("cublasDsyrk", alpha, beta))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (n == 0) return CUBLAS_STATUS_SUCCESS;
    if (!c) return CUBLAS_STATUS_INVALID_VALUE;
    return enqueue_call(handle, "cublasDsyrk", [=, alpha = *alpha, beta = *beta](const Place& place) {
        DeviceMemory& memory = device_memory();
        const MatrixRegion result{
            c, n, n, ldc, sizeof(double), lower ? MatrixRegion::Part::lower : MatrixRegion::Part::upper};
        if (alpha != 0 && k > 0 && !memory.read(stored(a, operation, n, k, lda), place, "A")) return;
        if (beta != 0 && !memory.read(result, place, "C")) return;
        if (!memory.overwrite(result, place, "C")) return;
        cblas_dsyrk(CblasColMajor, lower ? CblasLower : CblasUpper, transpose(operation), n, k, alpha, a, lda,
                    beta, c, ldc);
    });
}

// The result is on the host, so that the call waits for the device.
cublasStatus_t cublasDnrm2_64(cublasHandle_t handle, std::int64_t n, const double* x, std::int64_t increment,
                              double* result) {
    const RuntimeLock lock(runtime_mutex);
    if (!handles.contains(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!result || n > INT_MAX || increment > INT_MAX) return CUBLAS_STATUS_INVALID_VALUE;
    *result = 0;
    if (n <= 0 || increment <= 0) return CUBLAS_STATUS_SUCCESS;
    CUstream_st* stream = find_stream(handle->stream);
    if (!stream) return CUBLAS_STATUS_EXECUTION_FAILED;
    if (breaks_capture_of(*stream)) return CUBLAS_STATUS_EXECUTION_FAILED;
    const cublasStatus_t status = enqueue_call(handle, "cublasDnrm2", [=](const Place& place) {
        if (device_memory().read({x, 1, n, increment}, place, "x"))
            *result = cblas_dnrm2(static_cast<int>(n), x, static_cast<int>(increment));
    });
    if (status == CUBLAS_STATUS_SUCCESS) wait_for(*stream);
    return status;
}

}  // extern "C"
