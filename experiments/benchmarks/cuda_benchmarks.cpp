// The suites on the CUDA backend: device time by events, arguments from memory and not from the L2 cache,
// next to a large copy and a large matrix product of cuBLAS on the same device.

#include "espectra/experiments/benchmarks/digits_benchmark.hpp"
#include "espectra/experiments/benchmarks/kernel_suite.hpp"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"

namespace espectra {
namespace {

class CudaMeter {
  public:
    static constexpr Index planar_replicas = 1024;

    explicit CudaMeter(CudaContext& context) : context_(&context) {
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

    double copy_bytes_per_second() {
        constexpr Index size = Index{1} << 30;
        Buffer<char, Space::device> from(*context_, size), to(*context_, size);
        check(cudaMemsetAsync(from.data(), 1, size, stream()));
        const Operation operation{2.0 * size, 0, {}, [&] { copy(*context_, from.data(), to.data(), size); }};
        return operation.bytes / median_seconds(*this, operation);
    }

    double gemm_flops_per_second() {
        constexpr int n = 8192;
        Arrays<CudaContext> arrays(*context_);
        const auto a = arrays.array(n, n), b = arrays.array(n, n), c = arrays.array(n, n);
        const auto cublas = static_cast<cublasHandle_t>(context_->cublas());
        const double one = 1, zero = 0;
        const Operation operation{0, 2.0 * n * n * n, {}, [&] {
                                      check(cublasDgemm(cublas, CUBLAS_OP_T, CUBLAS_OP_N, n, n, n, &one,
                                                        a.data, n, b.data, n, &zero, c.data, n));
                                  }};
        return operation.flops / median_seconds(*this, operation);
    }

  private:
    cudaStream_t stream() const { return static_cast<cudaStream_t>(context_->stream()); }

    CudaContext* context_;
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
    Buffer<char, Space::device> flushed_;
};

/// `replicas` random symmetric matrices of size n, restored for every repetition.
void eigenvalues(benchmark::State& state, CudaContext& context) {
    const Index n = state.range(0), replicas = state.range(1);
    CudaMeter meter(context);
    Arrays<CudaContext> arrays(context);
    const auto original = arrays.array(replicas, n, n), matrices = arrays.array(replicas, n, n);
    const auto values = arrays.array(replicas, n);
    for (auto _ : state) {
        copy(context, original.data, matrices.data, matrices.size());
        state.SetIterationTime(meter.seconds([&] { symmetric_eigenvalues(context, {matrices, values}); }));
    }
}

/// A hundred epochs of many networks 2-10-1 on 690 examples.
void planar_epochs(benchmark::State& state, CudaContext& context) {
    const Index replicas = state.range(0);
    const Network network({{2, 10, 1}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy});
    Arrays<CudaContext> arrays(context);
    const Examples<Space::device> train{arrays.array(2, 690), arrays.positive(1, 690)};
    std::vector<double> theta;
    for (Index r = 0; r < replicas; ++r) {
        const std::vector<double> one = initial_theta(network, {}, static_cast<std::uint64_t>(r));
        theta.insert(theta.end(), one.begin(), one.end());
    }
    Trainer<CudaContext> trainer(context, network, train, {}, {}, theta);
    for (auto _ : state) {
        trainer.advance_to(trainer.epoch() + 100);
        context.synchronize();
    }
}

}  // namespace

void register_suites(CudaContext& context) {
    register_kernel_suite(context, std::make_shared<CudaMeter>(context));
    const auto add = [&context](const char* name, void (*work)(benchmark::State&, CudaContext&)) {
        return benchmark::RegisterBenchmark(name, [&context, work](benchmark::State& state) {
            try {
                work(state, context);
            } catch (const Error& error) {
                ++failed_benchmarks();
                state.SkipWithError(error.what());
            }
        });
    };
    add("hessian/exact", exact_hessian<CudaContext>)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->Repetitions(5);
    add("training/digits_epoch", training_epoch<CudaContext>)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->Repetitions(5);
    add("training/planar_100_epochs", planar_epochs)
        ->ArgName("networks")
        ->Arg(1)
        ->Arg(1000)
        ->Arg(10000)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->Repetitions(5);
    auto* eigen = add("eigen/cuda", eigenvalues);
    eigen->ArgNames({"n", "matrices"})->Unit(benchmark::kMillisecond)->UseManualTime();
    for (const auto& [n, matrices] :
         {std::pair{52, 1}, {52, 10000}, {500, 1}, {500, 64}, {1920, 1}, {1920, 16}, {4000, 1}, {8000, 1}})
        eigen->Args({n, matrices});
}

}  // namespace espectra
