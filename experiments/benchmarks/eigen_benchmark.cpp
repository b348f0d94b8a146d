// Symmetric eigenvalues: the library's solvers next to every LAPACK driver, one matrix at a time and one
// matrix per core; many small matrices next to dsyevd.

#include "espectra/experiments/benchmarks/lab/lapack_drivers.hpp"
#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/experiments/benchmarks/symmetric_matrices.hpp"
#include "espectra/kernels/eigen.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/timer.hpp"

#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace espectra {

namespace {

/// A driver of LAPACK, or none: the library.
using Driver = std::optional<lab::LapackDriver>;

constexpr Driver drivers[] = {std::nullopt, lab::LapackDriver::dsyevd, lab::LapackDriver::dsyevd_2stage,
                              lab::LapackDriver::dsyevr};

const char* driver_name(Driver driver) { return driver ? lab::name(*driver) : "espectra"; }

/// Arguments: n, threads of the library on one matrix.
void one_matrix(benchmark::State& state, Driver driver) {
    const Index n = state.range(0);
    const int threads = static_cast<int>(state.range(1));
    CpuContext context(threads);
    const std::vector<double> matrix = random_symmetric(n);
    std::vector<double> work(matrix.size()), values(static_cast<std::size_t>(n));
    for (auto _ : state) {
        state.PauseTiming();
        work = matrix;
        openblas_set_num_threads(driver ? threads : 1);
        state.ResumeTiming();
        if (driver)
            lab::lapack_eigenvalues(*driver, n, work.data(), values.data());
        else
            symmetric_eigenvalues(context, {make_view(work.data(), 1, n, n), make_view(values.data(), 1, n)});
    }
    openblas_set_num_threads(1);
}

/// One matrix per core, all at the same time; the figure is the time per matrix and core.
void one_per_core(benchmark::State& state, Driver driver) {
    const Index n = state.range(0);
    const int cores = available_cores();
    CpuContext context(cores);
    const std::vector<double> matrix = random_symmetric(n);
    std::vector<double> work(matrix.size() * static_cast<std::size_t>(cores)),
        values(static_cast<std::size_t>(n * cores));
    openblas_set_num_threads(1);
    for (auto _ : state) {
        state.PauseTiming();
        for (int core = 0; core < cores; ++core)
            std::copy(matrix.begin(), matrix.end(), work.begin() + core * n * n);
        state.ResumeTiming();
        if (driver)
            context.parallel_for(cores, [&](Index core, int) {
                lab::lapack_eigenvalues(*driver, n, work.data() + core * n * n, values.data() + core * n);
            });
        else
            symmetric_eigenvalues(context,
                                  {make_view(work.data(), cores, n, n), make_view(values.data(), cores, n)});
    }
}

/// Small matrices on one core, in a batch by the library and one at a time by dsyevd, in turn. The time is
/// the library's; counters: microseconds per matrix, the least of all repetitions.
void small_batch(benchmark::State& state) {
    const Index n = state.range(0), count = state.range(1);
    CpuContext context(1);
    lab::DsyevdInTurn dsyevd(n);
    const std::vector<double> matrices = random_upper_triangles(count, n);
    std::vector<double> work(matrices.size()), values(static_cast<std::size_t>(count * n));
    openblas_set_num_threads(1);
    const auto seconds = [&](auto&& solve) {
        std::copy(matrices.begin(), matrices.end(), work.begin());
        Timer timer;
        solve();
        return timer.seconds();
    };
    double own_least = std::numeric_limits<double>::infinity(), dsyevd_least = own_least;
    for (auto _ : state) {
        const double own = seconds([&] {
            symmetric_eigenvalues(context,
                                  {make_view(work.data(), count, n, n), make_view(values.data(), count, n)});
        });
        own_least = std::min(own_least, own);
        dsyevd_least = std::min(dsyevd_least, seconds([&] { dsyevd(count, work.data(), values.data()); }));
        state.SetIterationTime(own);
    }
    const auto microseconds_each = [&](double total) { return 1e6 * total / static_cast<double>(count); };
    state.counters["us"] = microseconds_each(own_least);
    state.counters["us_dsyevd"] = microseconds_each(dsyevd_least);
    state.counters["ratio"] = dsyevd_least / own_least;
}

/// The reduction in two stages, step by step, for a width of the band between them. Arguments: n, band.
void two_stages(benchmark::State& state) {
    const int n = static_cast<int>(state.range(0)), band = static_cast<int>(state.range(1));
    lab::TwoStages reduce(n, band);
    lab::TwoStages::Seconds seconds{};
    for (auto _ : state) {
        std::vector<double> matrix = random_symmetric(n);
        seconds = reduce(matrix.data());
        state.SetIterationTime(seconds.total());
    }
    const double rows = n;
    state.counters["first_s"] = seconds.first;
    state.counters["first_FLOP/s"] = 4.0 / 3.0 * rows * rows * rows / seconds.first;
    state.counters["second_s"] = seconds.second;
    state.counters["QL_s"] = seconds.ql;
}

void sizes_and_bands(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgNames({"n", "band"})->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(1);
    for (const int n : {4000, 8000})
        for (const int band : {32, 48, 64, 96, 128})
            if (n == 4000 || band % 48 == 0) benchmark->Args({n, band});
}

void sizes_and_threads(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgNames({"n", "threads"})->Unit(benchmark::kMillisecond)->UseRealTime();
    for (const int n : {52, 500, 1920, 4000})
        for (int threads = 1; threads <= available_cores(); threads *= 2)
            if (n >= 500 || threads == 1) benchmark->Args({n, threads});
}

void sizes(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgName("n")->Unit(benchmark::kMillisecond)->UseRealTime();
    for (const int n : {52, 500, 1920, 2500, 4000}) benchmark->Arg(n);
}

void small_sizes(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgNames({"n", "matrices"})->Unit(benchmark::kMillisecond)->UseManualTime()->MinTime(0.3);
    for (const int n : {17, 33, 52, 64, 100, 200})
        for (const int matrices : {1, 8, 64}) benchmark->Args({n, matrices});
}

}  // namespace

void register_eigen() {
    const auto add = [](const char* group, Driver driver, void (*work)(benchmark::State&, Driver)) {
        const std::string name = std::string("eigen/") + group + "/" + driver_name(driver);
        return benchmark::RegisterBenchmark(name.c_str(), work, driver);
    };
    small_sizes(benchmark::RegisterBenchmark("eigen/small", small_batch));
    for (const Driver driver : drivers) sizes(add("one_per_core", driver, one_per_core));
    for (const Driver driver : drivers) sizes_and_threads(add("one_matrix", driver, one_matrix));
    sizes_and_bands(benchmark::RegisterBenchmark("eigen/two_stages", two_stages));
}

}  // namespace espectra
