#include "espectra/experiments/benchmarks/digits_benchmark.hpp"
#include "espectra/experiments/benchmarks/lab/hessian_variants.hpp"
#include "espectra/experiments/benchmarks/lab/problem.hpp"
#include "espectra/experiments/benchmarks/small_batch.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <cblas.h>

#include <memory>
#include <utility>

namespace espectra::lab {

namespace {

/// The digits network (64-25-10, P = 1920) on its 1437 examples.
Problem digits_hessian() {
    struct Work {
        CpuContext context{available_cores()};
        DigitsOn<CpuContext> on{context};
        Index p = digits().network.parameters();
        HessianAssembler<CpuContext> assembler{context, digits().network, on.train(), 1};
        Buffer<double, Space::host> hessian{context, p* p};
    };
    const auto work = std::make_shared<Work>();
    const auto products = std::make_shared<OpenblasProducts>(digits().network, digits().data.train_examples);
    return {
        {.name = "espectra, products by tiles",
         .prepare = {},
         .run =
             [work] { work->assembler.assemble(work->on.theta(), work->hessian.view(1, work->p, work->p)); },
         .result = [work] { return fetch(work->context, work->hessian.data(), work->hessian.size()); }},
        {.name = "products alone by OpenBLAS",
         .prepare = {},
         .run =
             [products] {
                 openblas_set_num_threads(available_cores());
                 products->run();
                 openblas_set_num_threads(1);
             },
         .result = {}}};
}

/// Eight small networks on one core.
Problem small_hessians(const std::vector<Index>& widths) {
    struct Work {
        explicit Work(const std::vector<Index>& widths_)
            : batch(widths_),
              fused(context, batch.network, batch.examples(), SmallBatch::replicas),
              by_steps(context, batch.network, batch.examples(), SmallBatch::replicas) {}
        CpuContext context{1};
        SmallBatch batch;
        HessianAssembler<CpuContext> fused;
        HessianBySteps by_steps;
    };
    const auto work = std::make_shared<Work>(widths);
    const auto variant = [&](const char* name, auto&& assemble) -> Variant {
        return {
            .name = name, .prepare = {}, .run = std::forward<decltype(assemble)>(assemble), .result = [work] {
                return work->batch.matrices;
            }};
    };
    return {variant("espectra, fused",
                    [work] { work->fused.assemble(work->batch.parameters(), work->batch.hessians()); }),
            variant("step by step",
                    [work] { work->by_steps.assemble(work->batch.parameters(), work->batch.hessians()); })};
}

}  // namespace

std::vector<NamedProblem> hessian_problems() {
    std::vector<NamedProblem> problems = {{"hessian/digits 64-25-10", digits_hessian}};
    for (const std::vector<Index>& widths : small_widths())
        problems.push_back({"hessian/8 networks " + SmallBatch(widths).network.widths_text() + ", one core",
                            [widths] { return small_hessians(widths); }});
    return problems;
}

}  // namespace espectra::lab
