// The exact Hessian of the digits network (64-25-10, ESP, P = 1920, m = 1437) beside the matrix products that
// it consists of, done by OpenBLAS alone: the ratio of the two is what the structure costs on top of its
// products. Batches of small networks beside their multiply-adds at the rate that each core has for them.

#include "espectra/experiments/benchmarks/digits_benchmark.hpp"
#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/kernels/cpu/hessian/example_products.hpp"
#include "espectra/kernels/fused_hessian.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/random.hpp"
#include "espectra/runtime/timer.hpp"

#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace espectra {
namespace {

constexpr Index small_examples = 690, small_replicas = 8;  // examples of the paper's 2-10-1 runs

/// Multiply-adds per second of one core: twelve independent sums in vector registers.
double multiply_add_rate() {
    constexpr Index rounds = 20000;
    constexpr int independent = 12;
    simd::Vector sums[independent] = {}, x = simd::broadcast(1.0), y = simd::broadcast(1e-9);
    asm volatile("" : "+x"(x), "+x"(y));  // not known to the compiler
    const Timer timer;
    for (Index round = 0; round < rounds; ++round)
#pragma GCC unroll 12
        for (int i = 0; i < independent; ++i) sums[i] = simd::multiply_add(x, y, sums[i]);
    const double seconds = timer.seconds();
    for (const simd::Vector& sum : sums) benchmark::DoNotOptimize(sum);
    return static_cast<double>(rounds * independent * simd::lanes) / seconds;
}

std::vector<double> normal_numbers(Index count, std::uint32_t stream) {
    std::vector<double> numbers(static_cast<std::size_t>(count));
    const RandomStream random(1, stream);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = random.normal(i);
    return numbers;
}

/// A batch of networks with random θ on random examples.
struct SmallBatch {
    explicit SmallBatch(const std::vector<Index>& widths)
        : network(NetworkShape{widths, {Activation::esp}, true, 1.0, Loss::sigmoid_cross_entropy}),
          x(normal_numbers(network.inputs() * small_examples, 1)),
          y(normal_numbers(network.outputs() * small_examples, 2)),
          theta(normal_numbers(small_replicas * network.parameters(), 3)),
          matrices(static_cast<std::size_t>(small_replicas * network.parameters() * network.parameters())) {
        for (double& target : y) target = target > 0 ? 1.0 : 0.0;
    }
    Examples<Space::host> examples() const {
        return {make_view(x.data(), network.inputs(), small_examples),
                make_view(y.data(), network.outputs(), small_examples)};
    }
    View<const double, 2> parameters() const {
        return make_view(theta.data(), small_replicas, network.parameters());
    }
    View<double, 3> hessians() {
        return make_view(matrices.data(), small_replicas, network.parameters(), network.parameters());
    }

    Network network;
    std::vector<double> x, y, theta, matrices;
};

/// Times `assemble`, and between its calls the cores' rate: the fastest of each, for others may use the
/// machine.
template <class Assemble>
void beside_multiply_adds(benchmark::State& state, CpuContext& context, const Network& network,
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
    const double each = fastest / static_cast<double>(small_replicas);
    const double least =
        static_cast<double>(products * small_examples) / (rate * static_cast<double>(context.threads()));
    state.counters["P"] = static_cast<double>(network.parameters());
    state.counters["products"] = static_cast<double>(products);
    state.counters["matrix_us"] = 1e6 * each;
    state.counters["floor_us"] = 1e6 * least;
    state.counters["ratio"] = each / least;
    state.counters["core_FMA/s"] = rate;
}

void small_networks(benchmark::State& state, CpuContext& context, const std::vector<Index>& widths) {
    SmallBatch batch(widths);
    HessianAssembler<CpuContext> assembler(context, batch.network, batch.examples(), small_replicas);
    beside_multiply_adds(state, context, batch.network,
                         [&] { assembler.assemble(batch.parameters(), batch.hessians()); });
}

/// The same by the steps that networks too large for fused_hessian take.
void small_networks_by_steps(benchmark::State& state, CpuContext& context, const std::vector<Index>& widths) {
    SmallBatch batch(widths);
    Buffer<double, Space::host> memory(
        context, small_replicas * small_examples * hessian_sizes(batch.network.view()).total());
    beside_multiply_adds(state, context, batch.network, [&] {
        clear_upper(context, {batch.hessians()});
        add_hessian_chunk(
            context, HessianChunk<Space::host>{.network = batch.network.view(),
                                               .total_examples = small_examples,
                                               .full = true,
                                               .features = share(batch.examples().features, small_replicas),
                                               .targets = share(batch.examples().targets, small_replicas),
                                               .theta = batch.parameters(),
                                               .hessian = batch.hessians(),
                                               .memory = memory.data()});
    });
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
    for (const std::vector<Index>& widths : std::vector<std::vector<Index>>{{2, 10, 1},
                                                                            {2, 8, 2, 1},
                                                                            {2, 16, 1},
                                                                            {2, 8, 8, 1},
                                                                            {2, 30, 1},
                                                                            {2, 10, 10, 10, 1},
                                                                            {16, 24, 4}}) {
        small("hessian/small/", small_networks, widths);
        small("hessian/small_by_steps/", small_networks_by_steps, widths);
    }
}

}  // namespace espectra
