// The exact Hessian of the digits network (64-25-10, ESP, P = 1920, m = 1437) beside the matrix products that
// it consists of, done by OpenBLAS alone: the ratio of the two is what the structure costs on top of its
// products.

#include "espectra/experiments/data_set.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/memory.hpp"

#include <benchmark/benchmark.h>
#include <cblas.h>

#include <map>
#include <vector>

namespace espectra {
namespace {

struct Digits {
    DataSet data = split_data(load_digits(), 0.2, 0, Scaling::unit, TargetEncoding::binary_when_two);
    Network network{NetworkShape{{64, 25, 10}, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}};
    std::vector<double> theta = initial_theta(network, {}, 1);

    Examples<Space::host> train() const {
        return {make_view(data.x_train.data(), data.features, data.train_examples),
                make_view(data.y_train.data(), data.outputs, data.train_examples)};
    }
};

const Digits& digits() {
    static const Digits instance;
    return instance;
}

void exact_hessian(benchmark::State& state) {
    const Digits& d = digits();
    CpuContext context(static_cast<int>(state.range(0)));
    const Index p = d.network.parameters();
    HessianAssembler<CpuContext> assembler(context, d.network, d.train(), 1);
    Buffer<double, Space::host> hessian(context, p * p);
    for (auto _ : state) {
        assembler.assemble(make_view(d.theta.data(), 1, p), hessian.view(1, p, p));
        benchmark::DoNotOptimize(hessian.data());
    }
    state.counters["resident_GB"] = static_cast<double>(resident_memory()) / 1e9;
    state.counters["P"] = static_cast<double>(p);
}

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
    const Digits& d = digits();
    const Index m = d.data.train_examples;
    openblas_set_num_threads(static_cast<int>(state.range(0)));
    std::vector<std::vector<double>> left, right, result;
    double flops = 0;
    const std::vector<Product> products = matrix_products(d.network);
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

void training_epoch(benchmark::State& state) {
    const Digits& d = digits();
    CpuContext context(static_cast<int>(state.range(0)));
    Trainer<CpuContext> trainer(context, d.network, d.train(), {}, {}, d.theta);
    for (auto _ : state) trainer.advance_to(trainer.epoch() + 1);
}

void by_threads(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgName("threads")->Unit(benchmark::kMillisecond)->UseRealTime()->Repetitions(5);
    for (int threads = 1; threads <= available_cores(); threads *= 2) benchmark->Arg(threads);
}

BENCHMARK(exact_hessian)->Name("hessian/exact")->Apply(by_threads);
BENCHMARK(products_alone)->Name("hessian/matrix_products_alone")->Apply(by_threads);
BENCHMARK(training_epoch)->Name("training/digits_epoch")->Apply(by_threads);

}  // namespace
}  // namespace espectra
