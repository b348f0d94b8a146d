#include "espectra/runtime/cuda/check.hpp"

#include <fmt/format.h>

#include <utility>

namespace espectra {

namespace {

/// Names of the statuses, for which cuSOLVER has no function.
constexpr std::pair<cusolverStatus_t, const char*> cusolver_names[] = {
    {CUSOLVER_STATUS_NOT_INITIALIZED, "CUSOLVER_STATUS_NOT_INITIALIZED"},
    {CUSOLVER_STATUS_ALLOC_FAILED, "CUSOLVER_STATUS_ALLOC_FAILED"},
    {CUSOLVER_STATUS_INVALID_VALUE, "CUSOLVER_STATUS_INVALID_VALUE"},
    {CUSOLVER_STATUS_ARCH_MISMATCH, "CUSOLVER_STATUS_ARCH_MISMATCH"},
    {CUSOLVER_STATUS_MAPPING_ERROR, "CUSOLVER_STATUS_MAPPING_ERROR"},
    {CUSOLVER_STATUS_EXECUTION_FAILED, "CUSOLVER_STATUS_EXECUTION_FAILED"},
    {CUSOLVER_STATUS_INTERNAL_ERROR, "CUSOLVER_STATUS_INTERNAL_ERROR"},
    {CUSOLVER_STATUS_MATRIX_TYPE_NOT_SUPPORTED, "CUSOLVER_STATUS_MATRIX_TYPE_NOT_SUPPORTED"},
    {CUSOLVER_STATUS_NOT_SUPPORTED, "CUSOLVER_STATUS_NOT_SUPPORTED"},
    {CUSOLVER_STATUS_ZERO_PIVOT, "CUSOLVER_STATUS_ZERO_PIVOT"},
    {CUSOLVER_STATUS_INVALID_LICENSE, "CUSOLVER_STATUS_INVALID_LICENSE"},
    {CUSOLVER_STATUS_IRS_PARAMS_NOT_INITIALIZED, "CUSOLVER_STATUS_IRS_PARAMS_NOT_INITIALIZED"},
    {CUSOLVER_STATUS_IRS_PARAMS_INVALID, "CUSOLVER_STATUS_IRS_PARAMS_INVALID"},
    {CUSOLVER_STATUS_IRS_PARAMS_INVALID_PREC, "CUSOLVER_STATUS_IRS_PARAMS_INVALID_PREC"},
    {CUSOLVER_STATUS_IRS_PARAMS_INVALID_REFINE, "CUSOLVER_STATUS_IRS_PARAMS_INVALID_REFINE"},
    {CUSOLVER_STATUS_IRS_PARAMS_INVALID_MAXITER, "CUSOLVER_STATUS_IRS_PARAMS_INVALID_MAXITER"},
    {CUSOLVER_STATUS_IRS_INTERNAL_ERROR, "CUSOLVER_STATUS_IRS_INTERNAL_ERROR"},
    {CUSOLVER_STATUS_IRS_NOT_SUPPORTED, "CUSOLVER_STATUS_IRS_NOT_SUPPORTED"},
    {CUSOLVER_STATUS_IRS_OUT_OF_RANGE, "CUSOLVER_STATUS_IRS_OUT_OF_RANGE"},
    {CUSOLVER_STATUS_IRS_NRHS_NOT_SUPPORTED_FOR_REFINE_GMRES,
     "CUSOLVER_STATUS_IRS_NRHS_NOT_SUPPORTED_FOR_REFINE_GMRES"},
    {CUSOLVER_STATUS_IRS_INFOS_NOT_INITIALIZED, "CUSOLVER_STATUS_IRS_INFOS_NOT_INITIALIZED"},
    {CUSOLVER_STATUS_IRS_INFOS_NOT_DESTROYED, "CUSOLVER_STATUS_IRS_INFOS_NOT_DESTROYED"},
    {CUSOLVER_STATUS_IRS_MATRIX_SINGULAR, "CUSOLVER_STATUS_IRS_MATRIX_SINGULAR"},
    {CUSOLVER_STATUS_INVALID_WORKSPACE, "CUSOLVER_STATUS_INVALID_WORKSPACE"},
};

const char* name(cusolverStatus_t status) {
    for (const auto& [value, text] : cusolver_names)
        if (value == status) return text;
    return "unknown status";
}

/// What to do about an error of a kernel that a later call reports.
constexpr const char* earlier_launch =
    "; an earlier launch may be the cause: ESPECTRA_CUDA_CHECK=1 names its kernel";

/// Returns true for errors that a kernel causes while it runs.
bool is_fault_of_kernel(cudaError_t status) {
    switch (status) {
        case cudaErrorECCUncorrectable:
        case cudaErrorIllegalAddress:
        case cudaErrorLaunchTimeout:
        case cudaErrorAssert:
        case cudaErrorHardwareStackError:
        case cudaErrorIllegalInstruction:
        case cudaErrorMisalignedAddress:
        case cudaErrorInvalidAddressSpace:
        case cudaErrorInvalidPc:
        case cudaErrorLaunchFailure:
            return true;
        default:
            return false;
    }
}

}  // namespace

std::string error_text(cudaError_t status) {
    return fmt::format("CUDA: {}: {}", cudaGetErrorName(status), cudaGetErrorString(status));
}

void check(cudaError_t status, std::source_location where) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // otherwise the next launch reports this error too
    throw CudaError(status, error_text(status) + (is_fault_of_kernel(status) ? earlier_launch : ""), where);
}

void check(cublasStatus_t status, std::source_location where) {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw ResourceError(
            fmt::format("cuBLAS: {}: {}{}", cublasGetStatusName(status), cublasGetStatusString(status),
                        status == CUBLAS_STATUS_EXECUTION_FAILED ? earlier_launch : ""),
            where);
}

void check(cusolverStatus_t status, std::source_location where) {
    if (status != CUSOLVER_STATUS_SUCCESS)
        throw ResourceError(fmt::format("cuSOLVER: {} (status {}){}", name(status), static_cast<int>(status),
                                        status == CUSOLVER_STATUS_EXECUTION_FAILED ? earlier_launch : ""),
                            where);
}

}  // namespace espectra
