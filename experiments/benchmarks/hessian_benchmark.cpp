// The exact Hessian of the digits network (64-25-10, ESP, P = 1920, m = 1437) next to the matrix products
// that it consists of, by OpenBLAS alone: the ratio of the two is what the structure costs on top of its
// products. Batches of small networks next to their multiply-adds at the rate of each core.

#include "espectra/experiments/benchmarks/digits_benchmark.hpp"
#include "espectra/experiments/benchmarks/lab/hessian_variants.hpp"
#include "espectra/experiments/benchmarks/small_batch.hpp"
#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/kernels/cpu/hessian/example_products.hpp"
#include "espectra/kernels/fused_hessian.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/timer.hpp"

#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace espectra {
namespace {

/// Multiply-adds per second of one core: twelve independent sums in vector registers.
double multiply_add_rate() {
    constexpr Index rounds = 20000;
    constexpr int independent = 12;
    simd::Vector sums[independent] = {}, x = simd::broadcast(1.0), y = simd::broadcast(1e-9);
    asm volatile("" : "+x"(x), "+x"(y));  // values that the compiler cannot know
    const Timer timer;
    for (Index round = 0; round < rounds; ++round)
#pragma GCC unroll 12
        for (int i = 0; i < independent; ++i) sums[i] = simd::multiply_add(x, y, sums[i]);
    const double seconds = timer.seconds();
    for (const simd::Vector& sum : sums) benchmark::DoNotOptimize(sum);
    return static_cast<double>(rounds * independent * simd::lanes) / seconds;
}

/// Times `assemble`, and between its calls the rate of the cores: the fastest of each, since other programs
/// may run on the machine.
template <class Assemble>
void next_to_multiply_adds(benchmark::State& state, CpuContext& context, const Network& network,
                           Assemble&& assemble) {
    std::vector<double> rates(static_cast<std::size_t>(context.threads()));
    double fastest = std::numeric_limits<double>::infinity(), rate = 0;
    assemble();
    for (auto _ : state) {
        const Timer timer;
        assemble();
        const double seconds = timer.seconds();
        fastest = std::min(fastest, seconds);
        state.SetIterationTime(seconds);
        context.parallel_for(context.threads(), [&](Index task, int) {
            rates[static_cast<std::size_t>(task)] = multiply_add_rate();
        });
        rate = std::max(rate, std::ranges::min(rates));
    }
    const Index products = hessian_products(network.view());
    const double each = fastest / static_cast<double>(SmallBatch::replicas);
    const double least =
        static_cast<double>(products * SmallBatch::count) / (rate * static_cast<double>(context.threads()));
    state.counters["P"] = static_cast<double>(network.parameters());
    state.counters["products"] = static_cast<double>(products);
    state.counters["matrix_us"] = 1e6 * each;
    state.counters["floor_us"] = 1e6 * least;
    state.counters["ratio"] = each / least;
    state.counters["core_FMA/s"] = rate;
}

void small_networks(benchmark::State& state, CpuContext& context, const std::vector<Index>& widths) {
    SmallBatch batch(widths);
    HessianAssembler<CpuContext> assembler(context, batch.network, batch.examples(), SmallBatch::replicas);
    next_to_multiply_adds(state, context, batch.network,
                          [&] { assembler.assemble(batch.parameters(), batch.hessians()); });
}

/// The same by the steps that networks too large for fused_hessian take.
void small_networks_by_steps(benchmark::State& state, CpuContext& context, const std::vector<Index>& widths) {
    SmallBatch batch(widths);
    lab::HessianBySteps hessians(context, batch.network, batch.examples(), SmallBatch::replicas);
    next_to_multiply_adds(state, context, batch.network,
                          [&] { hessians.assemble(batch.parameters(), batch.hessians()); });
}

void products_alone(benchmark::State& state) {
    openblas_set_num_threads(static_cast<int>(state.range(0)));
    lab::OpenblasProducts products(digits().network, digits().data.train_examples);
    for (auto _ : state) {
        products.run();
        benchmark::ClobberMemory();
    }
    openblas_set_num_threads(1);
    state.counters["FLOP/s"] =
        benchmark::Counter(products.flops(), benchmark::Counter::kIsIterationInvariantRate);
}

template <class Work>
auto with_threads(Work work) {
    return [work](benchmark::State& state) {
        CpuContext context(static_cast<int>(state.range(0)));
        work(state, context);
    };
}

void by_threads(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgName("threads")->Unit(benchmark::kMillisecond)->UseRealTime()->Repetitions(5);
    for (int threads = 1; threads <= available_cores(); threads *= 2) benchmark->Arg(threads);
}

}  // namespace

void register_hessian_and_training() {
    by_threads(benchmark::RegisterBenchmark("hessian/exact", with_threads(exact_hessian<CpuContext>)));
    by_threads(benchmark::RegisterBenchmark("hessian/matrix_products_alone", products_alone));
    by_threads(
        benchmark::RegisterBenchmark("training/digits_epoch", with_threads(training_epoch<CpuContext>)));
    using Work = void (*)(benchmark::State&, CpuContext&, const std::vector<Index>&);
    const auto small = [](const std::string& name, Work work, const std::vector<Index>& widths) {
        auto* registered = benchmark::RegisterBenchmark(
            (name + Network(NetworkShape{widths, {Activation::esp}, true, 1.0, {}}).widths_text()).c_str(),
            with_threads(
                [=](benchmark::State& state, CpuContext& context) { work(state, context, widths); }));
        registered->ArgName("threads")->Unit(benchmark::kMicrosecond)->UseManualTime();
        registered->Arg(1);
        if (available_cores() > 1) registered->Arg(available_cores());
    };
    for (const std::vector<Index>& widths : small_widths()) {
        small("hessian/small/", small_networks, widths);
        small("hessian/small_by_steps/", small_networks_by_steps, widths);
    }
}

}  // namespace espectra
