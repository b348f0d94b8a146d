// Training of small networks in a batch (PlanarTask), 2300 epochs, by the fused kernel and by operations.

#include "espectra/experiments/benchmarks/planar_task.hpp"
#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/models/trainer.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>

namespace espectra {
namespace {

constexpr std::int64_t epochs = 2300, compared_epochs = 500;

void train_planar(benchmark::State& state, bool fused) {
    const PlanarTask task;
    CpuContext context(static_cast<int>(state.range(0)));
    double final_cost = 0;
    const char* method = "";
    const auto cost_after = [](Trainer<CpuContext>& trainer, std::int64_t count) {
        trainer.advance_to(count);
        trainer.evaluate();
        return trainer.evaluator().cost()(0);
    };
    for (auto _ : state) {
        Trainer<CpuContext> trainer(context, task.network, task.train(), {}, {.fused = fused}, task.theta);
        final_cost = cost_after(trainer, epochs);
        method = trainer.method();
    }
    const auto network_epochs = static_cast<double>(PlanarTask::replicas * epochs);
    state.SetLabel(method);
    state.counters["networks"] = static_cast<double>(PlanarTask::replicas);
    state.counters["network_epochs/s"] =
        benchmark::Counter(network_epochs, benchmark::Counter::kIsIterationInvariantRate);
    state.counters["s/example_epoch"] =
        benchmark::Counter(network_epochs * static_cast<double>(PlanarTask::examples),
                           benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    // Costs of the first network; the early one, since rounding errors grow with the epochs.
    Trainer<CpuContext> again(context, task.network, task.train(), {}, {.fused = fused}, task.theta);
    state.counters["early_cost"] = cost_after(again, compared_epochs);
    state.counters["cost"] = final_cost;
}

}  // namespace

void register_fused_training() {
    for (const bool fused : {true, false}) {
        auto* benchmark =
            benchmark::RegisterBenchmark(fused ? "training/planar_fused" : "training/planar_by_operations",
                                         [fused](benchmark::State& state) { train_planar(state, fused); });
        benchmark->ArgName("threads")->Unit(benchmark::kMillisecond)->UseRealTime()->Repetitions(5);
        for (int threads = 1; threads <= available_cores(); threads *= 2) benchmark->Arg(threads);
    }
}

}  // namespace espectra
