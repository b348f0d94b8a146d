#include "espectra/experiments/benchmarks/lab/problem.hpp"
#include "espectra/experiments/benchmarks/planar_task.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <memory>

namespace espectra::lab {

namespace {

/// Epochs of eight networks 2-10-1 on one core.
Problem planar_epochs() {
    constexpr std::int64_t epochs = 500;
    struct Work {
        PlanarTask task;
        CpuContext context{1};
        std::vector<double> theta;

        void train(bool fused) {
            Trainer<CpuContext> trainer(context, task.network, task.train(), {}, {.fused = fused},
                                        task.theta);
            trainer.advance_to(epochs);
            theta = fetch(context, trainer.theta().data, static_cast<Index>(task.theta.size()));
        }
    };
    const auto work = std::make_shared<Work>();
    const auto variant = [&](const char* name, bool fused) -> Variant {
        return {.name = name,
                .prepare = {},
                .run = [work, fused] { work->train(fused); },
                .result = [work] { return work->theta; }};
    };
    return {variant("espectra, fused", true), variant("kernels per operation", false)};
}

}  // namespace

std::vector<NamedProblem> training_problems() {
    return {{"training/8 networks 2-10-1, one core, 500 epochs", planar_epochs}};
}

}  // namespace espectra::lab
