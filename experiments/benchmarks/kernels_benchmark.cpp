// Every kernel operation on the CPU, next to a large copy and a large matrix product with the same threads.

#include "espectra/experiments/benchmarks/kernel_suite.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <cblas.h>
#include <unistd.h>

#include <cstring>

namespace espectra {
namespace {

class CpuMeter {
  public:
    static constexpr CeilingSizes usual_ceilings = {Index{1} << 28, 2048},
                                  small_ceilings = {Index{1} << 20, 64};

    CpuMeter(CpuContext& context, CeilingSizes ceilings) : context_(&context), ceilings_(ceilings) {
        const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
        flushed_.resize(static_cast<std::size_t>(std::max(2 * cache, 64L << 20)));
    }

    double seconds(const std::function<void()>& work) const {
        const Timer timer;
        work();
        return timer.seconds();
    }

    void flush_cache() {
        std::memset(flushed_.data(), ++value_, flushed_.size());
        benchmark::ClobberMemory();
    }

    double copy_bytes_per_second() {
        constexpr Index part = Index{1} << 20;
        const Index parts = ceilings_.copy_bytes / part;
        Buffer<char, Space::host> from(*context_, part * parts), to(*context_, part * parts);
        std::memset(from.data(), 1, static_cast<std::size_t>(from.size()));
        const Operation operation{2.0 * static_cast<double>(from.size()), 0, {}, [&] {
                                      context_->parallel_for(parts, [&](Index i, int) {
                                          std::memcpy(to.data() + i * part, from.data() + i * part, part);
                                      });
                                  }};
        return operation.bytes / median_seconds(*this, operation);
    }

    double gemm_flops_per_second() {
        const auto n = static_cast<int>(ceilings_.product_rows);
        Arrays<CpuContext> arrays(*context_);
        const auto a = arrays.array(n, n), b = arrays.array(n, n), c = arrays.array(n, n);
        const Operation operation{0, 2.0 * n * n * n, {}, [&] {
                                      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, n, 1.0,
                                                  a.data, n, b.data, n, 0.0, c.data, n);
                                  }};
        openblas_set_num_threads(context_->threads());
        const double seconds = median_seconds(*this, operation);
        openblas_set_num_threads(1);
        return operation.flops / seconds;
    }

  private:
    CpuContext* context_;
    CeilingSizes ceilings_;
    std::vector<char> flushed_;
    int value_ = 0;
};

}  // namespace

int& failed_benchmarks() {
    static int count = 0;
    return count;
}

void register_suites(CpuContext& context, bool small) {
    const auto meter =
        std::make_shared<CpuMeter>(context, small ? CpuMeter::small_ceilings : CpuMeter::usual_ceilings);
    if (small) return register_kernel_suite(context, meter, small_kernel_suite);
    register_kernel_suite(context, meter, {1437, 690, 64});
    register_hessian_and_training();
    register_fused_training();
    register_eigen();
}

}  // namespace espectra
