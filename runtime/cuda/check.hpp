#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <source_location>

namespace espectra {

/// Throws ResourceError with the library's name of the status unless the call succeeded. cuBLASLt uses the
/// statuses of cuBLAS.
void check(cudaError_t status, std::source_location where = std::source_location::current());
void check(cublasStatus_t status, std::source_location where = std::source_location::current());
void check(cusolverStatus_t status, std::source_location where = std::source_location::current());

}  // namespace espectra
