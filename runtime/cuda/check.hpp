#pragma once

#include "espectra/runtime/error.hpp"

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <source_location>
#include <string>

namespace espectra {

/// A failure of a call of the CUDA runtime.
class CudaError : public ResourceError {
  public:
    CudaError(cudaError_t status, const std::string& message,
              std::source_location where = std::source_location::current())
        : ResourceError(message, where), status_(status) {}

    cudaError_t status() const noexcept { return status_; }

  private:
    cudaError_t status_;
};

/// Returns "CUDA: name: description" of a status.
std::string error_text(cudaError_t status);

/// Throws ResourceError (for the runtime: CudaError) with the library's name of the status unless the call
/// succeeded. For faults of kernels, which any later call may report, it adds that an earlier launch may be
/// the cause, and how to find it.
void check(cudaError_t status, std::source_location where = std::source_location::current());
void check(cublasStatus_t status, std::source_location where = std::source_location::current());
void check(cusolverStatus_t status, std::source_location where = std::source_location::current());

}  // namespace espectra
