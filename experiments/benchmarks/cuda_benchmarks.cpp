// The suites on the CUDA backend, next to a large copy and a large matrix product of cuBLAS on the same
// device.

#include "espectra/experiments/benchmarks/cuda_meter.hpp"
#include "espectra/experiments/benchmarks/digits_benchmark.hpp"
#include "espectra/experiments/benchmarks/kernel_suite.hpp"
#include "espectra/runtime/cuda/context.hpp"

namespace espectra {
namespace {

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

void register_suites(CudaContext& context, bool small) {
    const auto meter =
        std::make_shared<CudaMeter>(context, small ? CudaMeter::small_ceilings : CudaMeter::usual_ceilings);
    if (small) return register_kernel_suite(context, meter, small_kernel_suite);
    register_kernel_suite(context, meter, {1437, 690, 1024});
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
