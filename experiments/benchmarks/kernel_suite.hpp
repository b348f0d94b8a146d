#pragma once

#include "espectra/experiments/benchmarks/kernel_operations.hpp"
#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/timer.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// The suite `kernels`, for any backend. A Meter measures on the backend:
//   double seconds(const std::function<void()>& work);   time that work takes on the device
//   void flush_cache();                                  makes arguments come from memory
//   double copy_bytes_per_second();                      of a copy far larger than the caches, read + written
//   double gemm_flops_per_second();                      of a large float64 matrix product
//   static constexpr Index planar_replicas;              networks 2-10-1 in a batch

namespace espectra {

/// Median of at least five repetitions, of up to 51 if they take less than half a second.
template <class Meter>
double median_seconds(Meter& meter, const Operation& operation) {
    std::vector<double> seconds;
    const auto repetition = [&] {
        if (operation.restore) operation.restore();
        meter.flush_cache();
        return meter.seconds(operation.run);
    };
    repetition();  // libraries initialise themselves in the first call
    const Timer total;
    while (seconds.size() < 5 || (total.seconds() < 0.5 && seconds.size() < 51))
        seconds.push_back(repetition());
    const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::ranges::nth_element(seconds, middle);
    return *middle;
}

struct Ceilings {
    double copy = 0, gemm = 0;  ///< bytes and operations per second; 0: not measured yet
};

template <Backend B, class Meter>
void register_kernel_suite(B& context, std::shared_ptr<Meter> meter) {
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
              1437);
    add_shape("planar_x" + std::to_string(Meter::planar_replicas),
              Network({{2, 10, 1}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}),
              Meter::planar_replicas, 690);
}

}  // namespace espectra
