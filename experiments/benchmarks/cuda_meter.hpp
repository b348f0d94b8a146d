#pragma once

#include "espectra/experiments/benchmarks/median_seconds.hpp"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>

namespace espectra {

/// Measures work on a device by events, with arguments from memory and not from the L2 cache, and the
/// ceilings of its rates.
class CudaMeter {
  public:
    static constexpr CeilingSizes usual_ceilings = {Index{1} << 30, 8192},
                                  small_ceilings = {Index{1} << 20, 64};

    explicit CudaMeter(CudaContext& context, CeilingSizes ceilings = usual_ceilings)
        : context_(&context), ceilings_(ceilings) {
        check(cudaEventCreate(&begin_));
        check(cudaEventCreate(&end_));
        int cache = 0;
        check(cudaDeviceGetAttribute(&cache, cudaDevAttrL2CacheSize, context.device()));
        flushed_ = Buffer<char, Space::device>(context, std::max<Index>(2 * Index{cache}, Index{1} << 20));
    }
    CudaMeter(const CudaMeter&) = delete;
    CudaMeter& operator=(const CudaMeter&) = delete;
    ~CudaMeter() {
        cudaEventDestroy(begin_);
        cudaEventDestroy(end_);
    }

    /// Returns the seconds on the device between two events around work(), with its pauses for the host.
    double seconds(const std::function<void()>& work) {
        check(cudaEventRecord(begin_, stream()));
        work();
        check(cudaEventRecord(end_, stream()));
        check(cudaEventSynchronize(end_));
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, begin_, end_));
        return static_cast<double>(milliseconds) / 1e3;
    }

    void flush_cache() {
        check(cudaMemsetAsync(flushed_.data(), 1, static_cast<std::size_t>(flushed_.size()), stream()));
    }

    /// Returns the rate of a copy on the device; each byte is read and written, and counts twice.
    double copy_bytes_per_second() {
        const Index size = ceilings_.copy_bytes;
        Buffer<char, Space::device> from(*context_, size), to(*context_, size);
        check(cudaMemsetAsync(from.data(), 1, static_cast<std::size_t>(size), stream()));
        const Operation operation{
            2.0 * static_cast<double>(size), 0, {}, [&] { copy(*context_, from.data(), to.data(), size); }};
        return operation.bytes / median_seconds(*this, operation);
    }

    /// Returns the rate of a matrix product by cublasDgemm.
    double gemm_flops_per_second() {
        const auto n = static_cast<int>(ceilings_.product_rows);
        Arrays<CudaContext> arrays(*context_);
        const auto a = arrays.array(n, n), b = arrays.array(n, n), c = arrays.array(n, n);
        const double one = 1, zero = 0;
        const Operation operation{0, 2.0 * n * n * n, {}, [&] {
                                      check(cublasDgemm(cublas(), CUBLAS_OP_T, CUBLAS_OP_N, n, n, n, &one,
                                                        a.data, n, b.data, n, &zero, c.data, n));
                                  }};
        return operation.flops / median_seconds(*this, operation);
    }

    /// Returns the rate of a product of a matrix with its transpose by cublasDsyrk, of one triangle.
    double syrk_flops_per_second() {
        const auto n = static_cast<int>(ceilings_.product_rows);
        Arrays<CudaContext> arrays(*context_);
        const auto a = arrays.array(n, n), c = arrays.array(n, n);
        const double one = 1, zero = 0;
        const Operation operation{0, 1.0 * n * n * n, {}, [&] {
                                      check(cublasDsyrk(cublas(), CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_T, n, n,
                                                        &one, a.data, n, &zero, c.data, n));
                                  }};
        return operation.flops / median_seconds(*this, operation);
    }

  private:
    cudaStream_t stream() const { return static_cast<cudaStream_t>(context_->stream()); }
    cublasHandle_t cublas() const { return static_cast<cublasHandle_t>(context_->cublas()); }

    CudaContext* context_;
    CeilingSizes ceilings_;
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
    Buffer<char, Space::device> flushed_;
};

}  // namespace espectra
