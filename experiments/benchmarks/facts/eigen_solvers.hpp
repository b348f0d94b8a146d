#pragma once

#include "espectra/kernels/cuda/solver_parameters.cuh"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"

#include <cstddef>
#include <vector>

// cuSOLVER's routines for eigenvalues without eigenvectors, each with its workspace, as kernels/cuda/eigen.cu
// calls them, but without a choice between them.

namespace espectra {

/// cusolverDnXsyevd, for one matrix [n, n] at a time.
class SingleSolver {
  public:
    /// Bytes of workspace in addition to the matrix, on device and host.
    struct Bytes {
        std::size_t device = 0, host = 0;
    };
    static Bytes workspace(CudaContext& context, Index n) {
        Bytes bytes;
        const SolverParameters parameters;
        const Buffer<double, Space::device> any(context, 1);  // neither read nor written, but null is refused
        check(cusolverDnXsyevd_bufferSize(static_cast<cusolverDnHandle_t>(context.cusolver()), parameters,
                                          CUSOLVER_EIG_MODE_NOVECTOR, CUBLAS_FILL_MODE_LOWER, n, CUDA_R_64F,
                                          any.data(), n, CUDA_R_64F, any.data(), CUDA_R_64F, &bytes.device,
                                          &bytes.host));
        return bytes;
    }

    SingleSolver(CudaContext& context, Index n) : SingleSolver(context, n, workspace(context, n)) {}

    /// Destroys the matrix; `values` [n].
    void solve(double* matrix, double* values) {
        check(cusolverDnXsyevd(static_cast<cusolverDnHandle_t>(context_->cusolver()), parameters_,
                               CUSOLVER_EIG_MODE_NOVECTOR, CUBLAS_FILL_MODE_LOWER, n_, CUDA_R_64F, matrix, n_,
                               CUDA_R_64F, values, CUDA_R_64F, device_.data(),
                               static_cast<std::size_t>(device_.size()), host_.data(), host_.size(),
                               info_.data()));
    }
    /// Waits for the last solve and returns its status.
    int status() { return fetch(*context_, info_.data(), 1).front(); }

  private:
    SingleSolver(CudaContext& context, Index n, const Bytes& bytes)
        : context_(&context),
          n_(n),
          device_(context, static_cast<Index>(bytes.device)),
          host_(bytes.host),
          info_(context, 1) {}

    CudaContext* context_;
    Index n_;
    SolverParameters parameters_;
    Buffer<unsigned char, Space::device> device_;
    std::vector<unsigned char> host_;
    Buffer<int, Space::device> info_;
};

/// cusolverDnXsyevBatched, for contiguous matrices [count, n, n].
class BatchedSolver {
  public:
    BatchedSolver(CudaContext& context, Index n, Index count)
        : context_(&context), n_(n), info_(context, count) {
        const Buffer<double, Space::device> any(context, 1);
        std::size_t device = 0, host = 0;
        check(cusolverDnXsyevBatched_bufferSize(handle(), parameters_, CUSOLVER_EIG_MODE_NOVECTOR,
                                                CUBLAS_FILL_MODE_LOWER, n, CUDA_R_64F, any.data(), n,
                                                CUDA_R_64F, any.data(), CUDA_R_64F, &device, &host, count));
        device_ = Buffer<unsigned char, Space::device>(context, static_cast<Index>(device));
        host_.resize(host);
    }

    /// Destroys the matrices; `values` [count, n].
    void solve(double* matrices, double* values) {
        check(cusolverDnXsyevBatched(handle(), parameters_, CUSOLVER_EIG_MODE_NOVECTOR,
                                     CUBLAS_FILL_MODE_LOWER, n_, CUDA_R_64F, matrices, n_, CUDA_R_64F, values,
                                     CUDA_R_64F, device_.data(), static_cast<std::size_t>(device_.size()),
                                     host_.data(), host_.size(), info_.data(), info_.size()));
    }
    /// Waits for the last solve and returns the status of each matrix.
    std::vector<int> statuses() { return fetch(*context_, info_.data(), info_.size()); }

  private:
    cusolverDnHandle_t handle() { return static_cast<cusolverDnHandle_t>(context_->cusolver()); }

    CudaContext* context_;
    Index n_;
    SolverParameters parameters_;
    Buffer<int, Space::device> info_;
    Buffer<unsigned char, Space::device> device_;
    std::vector<unsigned char> host_;
};

/// cusolverDnDsytrd, the reduction to tridiagonal form alone, for one matrix [n, n] at a time.
class Reduction {
  public:
    Reduction(CudaContext& context, Index n)
        : context_(&context),
          n_(static_cast<int>(n)),
          diagonal_(context, n),
          beside_(context, n),
          scales_(context, n),
          info_(context, 1) {
        int numbers = 0;
        check(cusolverDnDsytrd_bufferSize(handle(), CUBLAS_FILL_MODE_LOWER, n_, diagonal_.data(), n_,
                                          diagonal_.data(), beside_.data(), scales_.data(), &numbers));
        work_ = Buffer<double, Space::device>(context, numbers);
    }

    /// Destroys the matrix.
    void reduce(double* matrix) {
        check(cusolverDnDsytrd(handle(), CUBLAS_FILL_MODE_LOWER, n_, matrix, n_, diagonal_.data(),
                               beside_.data(), scales_.data(), work_.data(), static_cast<int>(work_.size()),
                               info_.data()));
    }

  private:
    cusolverDnHandle_t handle() { return static_cast<cusolverDnHandle_t>(context_->cusolver()); }

    CudaContext* context_;
    int n_;
    Buffer<double, Space::device> diagonal_, beside_, scales_, work_;
    Buffer<int, Space::device> info_;
};

}  // namespace espectra
