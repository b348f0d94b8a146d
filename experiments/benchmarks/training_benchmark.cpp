// Small networks trained side by side: 2-10-1 with ESP on 690 examples, 2300 epochs, the size of the paper's
// planar experiments. Examples and initial θ follow formulas that training_numpy.py repeats, so that both do
// the same work.

#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/models/trainer.hpp"

#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

namespace espectra {
namespace {

constexpr Index examples = 690, replicas = 8;
constexpr std::int64_t epochs = 2300, compared_epochs = 500;

struct PlanarTask {
    Network network{NetworkShape{{2, 10, 1}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}};
    std::vector<double> features, targets, theta;

    PlanarTask() : features(2 * examples), targets(examples) {
        // A grid of points, folded; inside or outside an ellipse, with one label in eleven the wrong way
        // round.
        for (Index e = 0; e < examples; ++e) {
            const double x = (static_cast<double>(e * 37 % 101) - 50) / 50;
            const double y = (static_cast<double>(e * 53 % 89) - 44) / 44;
            const bool inside = x * x + 2 * y * y < 0.75;
            features[static_cast<std::size_t>(e)] = x;
            features[static_cast<std::size_t>(examples + e)] = y;
            targets[static_cast<std::size_t>(e)] = inside != (e % 11 == 0) ? 1 : 0;
        }
        for (Index i = 0; i < replicas * network.parameters(); ++i)
            theta.push_back((static_cast<double>((i + 1) * 7919 % 1009) - 504) / 504);
    }
    Examples<Space::host> train() const {
        return {make_view(features.data(), 2, examples), make_view(targets.data(), 1, examples)};
    }
};

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
    const auto network_epochs = static_cast<double>(replicas * epochs);
    state.SetLabel(method);
    state.counters["networks"] = static_cast<double>(replicas);
    state.counters["network_epochs/s"] =
        benchmark::Counter(network_epochs, benchmark::Counter::kIsIterationInvariantRate);
    state.counters["s/example_epoch"] =
        benchmark::Counter(network_epochs * static_cast<double>(examples),
                           benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    // Of the first network; rounding errors grow in the course of the epochs.
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
