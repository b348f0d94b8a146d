#pragma once

#include "espectra/experiments/benchmarks/kernel_operations.hpp"
#include "espectra/experiments/benchmarks/median_seconds.hpp"
#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/runtime/error.hpp"

#include <benchmark/benchmark.h>

#include <functional>
#include <memory>
#include <string>

// The suite `kernels`, for any backend. A Meter measures on the backend (median_seconds.hpp), and the
// ceilings:
//   double copy_bytes_per_second();                      of a copy far larger than the caches, read + written
//   double gemm_flops_per_second();                      of a large float64 matrix product

namespace espectra {

/// The sizes of the suite: as usual, or so small that an emulated device takes seconds and times mean
/// nothing.
struct KernelSuiteSizes {
    Index digits_examples, planar_examples, planar_replicas;
};
inline constexpr KernelSuiteSizes small_kernel_suite = {16, 16, 2};

struct Ceilings {
    double copy = 0, gemm = 0;  ///< bytes and operations per second; 0: not measured yet
};

template <Backend B, class Meter>
void register_kernel_suite(B& context, std::shared_ptr<Meter> meter, const KernelSuiteSizes& sizes) {
    const auto ceilings = std::make_shared<Ceilings>();
    const auto measure_ceilings = [=] {
        if (ceilings->copy > 0) return;
        ceilings->copy = meter->copy_bytes_per_second();
        ceilings->gemm = meter->gemm_flops_per_second();
    };
    const auto add = [&](const std::string& name, const std::function<void(benchmark::State&)>& body) {
        benchmark::RegisterBenchmark(("kernels/" + name).c_str(),
                                     [body](benchmark::State& state) {
                                         try {
                                             body(state);
                                         } catch (const Error& error) {
                                             ++failed_benchmarks();
                                             state.SkipWithError(error.what());
                                         }
                                     })
            ->UseManualTime()
            ->Iterations(1)
            ->Unit(benchmark::kMicrosecond);
    };

    add("ceilings", [=](benchmark::State& state) {
        measure_ceilings();
        for (auto _ : state) state.SetIterationTime(0);
        state.counters["copy_B/s"] = ceilings->copy;
        state.counters["gemm_FLOP/s"] = ceilings->gemm;
    });
    const auto add_shape = [&](const std::string& shape, const Network& network, Index replicas,
                               Index examples) {
        for (const CaseOperation<B>& named : kernel_operations<B>(network, replicas, examples))
            add(shape + "/" + named.name,
                [&context, meter, ceilings, measure_ceilings, named](benchmark::State& state) {
                    measure_ceilings();
                    Arrays<B> arrays(context);
                    const Operation operation = named.make(arrays, named.on);
                    const double seconds = median_seconds(*meter, operation);
                    for (auto _ : state) state.SetIterationTime(seconds);
                    state.counters["bytes"] = operation.bytes;
                    state.counters["flops"] = operation.flops;
                    state.counters["of_copy"] = operation.bytes / seconds / ceilings->copy;
                    state.counters["of_gemm"] = operation.flops / seconds / ceilings->gemm;
                });
    };
    add_shape("digits", Network({{64, 25, 10}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}), 1,
              sizes.digits_examples);
    add_shape("planar_x" + std::to_string(sizes.planar_replicas),
              Network({{2, 10, 1}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}),
              sizes.planar_replicas, sizes.planar_examples);
}

}  // namespace espectra
