#include "espectra/runtime/cuda/context.hpp"

#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <string>

namespace espectra {

void check(cudaError_t status, std::source_location where) {
    if (status != cudaSuccess)
        throw ResourceError(fmt::format("CUDA: {}: {}", cudaGetErrorName(status), cudaGetErrorString(status)),
                            where);
}

void check(cublasStatus_t status, std::source_location where) {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw ResourceError(fmt::format("cuBLAS: {}", cublasGetStatusString(status)), where);
}

void check(cusolverStatus_t status, std::source_location where) {
    if (status != CUSOLVER_STATUS_SUCCESS)
        throw ResourceError(fmt::format("cuSOLVER: status {}", static_cast<int>(status)), where);
}

struct CudaContext::State {
    int device = 0;
    cudaStream_t stream = nullptr;
    cudaMemPool_t pool = nullptr;
    cublasHandle_t cublas = nullptr;
    cusolverDnHandle_t cusolver = nullptr;

    ~State() {
        if (cusolver) cusolverDnDestroy(cusolver);
        if (cublas) cublasDestroy(cublas);
        if (stream) cudaStreamDestroy(stream);
    }
};

CudaContext::CudaContext(int device) : state_(std::make_unique<State>()) {
    state_->device = device;
    check(cudaSetDevice(device));
    check(cudaStreamCreateWithFlags(&state_->stream, cudaStreamNonBlocking));
    check(cudaDeviceGetDefaultMemPool(&state_->pool, device));
}

CudaContext::CudaContext(CudaContext&&) noexcept = default;
CudaContext& CudaContext::operator=(CudaContext&&) noexcept = default;
CudaContext::~CudaContext() = default;

int CudaContext::device() const noexcept { return state_->device; }
void* CudaContext::stream() const noexcept { return state_->stream; }

void* CudaContext::cublas() {
    if (!state_->cublas) {
        check(cublasCreate(&state_->cublas));
        check(cublasSetStream(state_->cublas, state_->stream));
    }
    return state_->cublas;
}

void* CudaContext::cusolver() {
    if (!state_->cusolver) {
        check(cusolverDnCreate(&state_->cusolver));
        check(cusolverDnSetStream(state_->cusolver, state_->stream));
        check(cusolverDnSetDeterministicMode(state_->cusolver, CUSOLVER_DETERMINISTIC_RESULTS));
    }
    return state_->cusolver;
}

void CudaContext::synchronize() { check(cudaStreamSynchronize(state_->stream)); }

void* CudaContext::allocate(std::size_t bytes) {
    void* memory = nullptr;
    const cudaError_t status = cudaMallocFromPoolAsync(&memory, bytes, state_->pool, state_->stream);
    if (status == cudaErrorMemoryAllocation) {
        std::size_t available = 0, total = 0;
        check(cudaMemGetInfo(&available, &total));
        throw ResourceError(fmt::format("device memory: needs {:.3f} GB, {:.3f} GB free",
                                        static_cast<double>(bytes) / 1e9,
                                        static_cast<double>(available) / 1e9));
    }
    check(status);
    return memory;
}

void CudaContext::free(void* memory) noexcept { cudaFreeAsync(memory, state_->stream); }

int cuda_device_count() noexcept {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

void copy_bytes(CudaContext& context, const void* source, void* destination, std::size_t bytes) {
    check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDefault,
                          static_cast<cudaStream_t>(context.stream())));
}

}  // namespace espectra
