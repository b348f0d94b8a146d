// The exact Hessian of the digits network (64-25-10, ESP, P = 1920, m = 1437) beside the matrix products that
// it consists of, done by OpenBLAS alone: the ratio of the two is what the structure costs on top of its
// products.

#include "espectra/experiments/benchmarks/digits_benchmark.hpp"
#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <benchmark/benchmark.h>
#include <cblas.h>

#include <vector>

namespace espectra {
namespace {

/// rows × columns products over m examples, both operands with the examples contiguous.
struct Product {
    Index rows, columns;
};

/// One product per block of the Hessian, as docs/mathematics.md counts them.
std::vector<Product> matrix_products(const Network& network) {
    std::vector<Product> products;
    const auto& layers = network.layers();
    for (std::size_t l = 0; l < layers.size(); ++l) {
        const Index n = layers[l].units, k = layers[l].inputs + 1;
        products.push_back({n * (n + 1) / 2, k * (k + 1) / 2});
        for (std::size_t later = l + 1; later < layers.size(); ++later) {
            const Layer& other = layers[later];
            const Index beta = layers[l].trainable_beta ? 1 : 0, other_beta = other.trainable_beta ? 1 : 0;
            products.push_back({k + beta, n * other.units * (other.inputs + 1 + other_beta)});
        }
    }
    return products;
}

void products_alone(benchmark::State& state) {
    const Index m = digits().data.train_examples;
    openblas_set_num_threads(static_cast<int>(state.range(0)));
    std::vector<std::vector<double>> left, right, result;
    double flops = 0;
    const std::vector<Product> products = matrix_products(digits().network);
    for (const Product& product : products) {
        left.emplace_back(static_cast<std::size_t>(product.rows * m), 0.5);
        right.emplace_back(static_cast<std::size_t>(product.columns * m), 0.5);
        result.emplace_back(static_cast<std::size_t>(product.rows * product.columns));
        flops += 2.0 * static_cast<double>(product.rows) * static_cast<double>(product.columns) *
                 static_cast<double>(m);
    }
    for (auto _ : state)
        for (std::size_t i = 0; i < products.size(); ++i) {
            const auto rows = static_cast<int>(products[i].rows),
                       columns = static_cast<int>(products[i].columns);
            const auto inner = static_cast<int>(m);
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, inner, 1.0, left[i].data(),
                        inner, right[i].data(), inner, 0.0, result[i].data(), columns);
            benchmark::DoNotOptimize(result[i].data());
        }
    openblas_set_num_threads(1);
    state.counters["FLOP/s"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
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
}

}  // namespace espectra
