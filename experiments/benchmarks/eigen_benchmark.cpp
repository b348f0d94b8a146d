// Symmetric eigenvalues: ours beside every LAPACK driver, one matrix at a time and one matrix per core; many
// small ones beside dsyevd.

#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/kernels/eigen.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/random.hpp"
#include "espectra/runtime/timer.hpp"

#include <benchmark/benchmark.h>
#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace espectra {
namespace {

enum Driver { ours, dsyevd, dsyevd_2stage, dsyevr };

std::vector<double> random_symmetric(Index n) {
    const RandomStream random(1, 200);
    std::vector<double> matrix(static_cast<std::size_t>(n * n));
    for (Index i = 0; i < n; ++i)
        for (Index j = i; j < n; ++j)
            matrix[static_cast<std::size_t>(i * n + j)] = matrix[static_cast<std::size_t>(j * n + i)] =
                random.normal(static_cast<std::uint64_t>(i * n + j));
    return matrix;
}

void lapack(Driver driver, Index n, double* matrix, double* values) {
    const auto size = static_cast<lapack_int>(n);
    lapack_int found = 0;
    switch (driver) {
        case dsyevd:
            LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'N', 'L', size, matrix, size, values);
            break;
        case dsyevd_2stage:
            LAPACKE_dsyevd_2stage(LAPACK_COL_MAJOR, 'N', 'L', size, matrix, size, values);
            break;
        case dsyevr: {
            std::vector<lapack_int> support(static_cast<std::size_t>(2 * n));
            LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'N', 'A', 'L', size, matrix, size, 0, 0, 0, 0, 0, &found, values,
                           nullptr, size, support.data());
            break;
        }
        case ours:
            break;
    }
}

/// Arguments: driver, n, threads of the library on one matrix.
void one_matrix(benchmark::State& state, Driver driver) {
    const Index n = state.range(0);
    const int threads = static_cast<int>(state.range(1));
    CpuContext context(threads);
    const std::vector<double> matrix = random_symmetric(n);
    std::vector<double> work(matrix.size()), values(static_cast<std::size_t>(n));
    for (auto _ : state) {
        state.PauseTiming();
        work = matrix;
        openblas_set_num_threads(driver == ours ? 1 : threads);
        state.ResumeTiming();
        if (driver == ours)
            symmetric_eigenvalues(context, make_view(work.data(), 1, n, n), make_view(values.data(), 1, n));
        else
            lapack(driver, n, work.data(), values.data());
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
        if (driver == ours)
            symmetric_eigenvalues(context, make_view(work.data(), cores, n, n),
                                  make_view(values.data(), cores, n));
        else
            context.parallel_for(cores, [&](Index core, int) {
                lapack(driver, n, work.data() + core * n * n, values.data() + core * n);
            });
    }
}

/// Many small matrices at once on all cores, ours and dsyevd (one per core, its workspace allocated before)
/// by turns. The time is ours; counters: microseconds of wall time per matrix, the least of all repetitions.
void small_batch(benchmark::State& state) {
    const Index n = state.range(0), count = state.range(1);
    const int cores = available_cores();
    CpuContext context(cores);
    const RandomStream random(1, 201);
    std::vector<double> matrices(static_cast<std::size_t>(count * n * n));
    for (std::size_t i = 0; i < matrices.size(); ++i) matrices[i] = random.normal(i);
    std::vector<double> work(matrices.size()), values(static_cast<std::size_t>(count * n));
    const auto size = static_cast<lapack_int>(n);
    std::vector<std::vector<double>> scratch(static_cast<std::size_t>(cores),
                                             std::vector<double>(static_cast<std::size_t>(66 * n + 1)));
    openblas_set_num_threads(1);
    const auto seconds = [&](auto&& solve) {
        std::copy(matrices.begin(), matrices.end(), work.begin());
        Timer timer;
        solve();
        return timer.seconds() / static_cast<double>(count);
    };
    double ours_best = std::numeric_limits<double>::infinity(), dsyevd_best = ours_best;
    for (auto _ : state) {
        const double own = seconds([&] {
            symmetric_eigenvalues(context, make_view(work.data(), count, n, n),
                                  make_view(values.data(), count, n));
        });
        const double lapacks = seconds([&] {
            context.parallel_for(count, [&](Index r, int worker) {
                std::vector<double>& own_scratch = scratch[static_cast<std::size_t>(worker)];
                lapack_int integers = 0;
                LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'N', 'L', size, work.data() + r * n * n, size,
                                    values.data() + r * n, own_scratch.data(),
                                    static_cast<lapack_int>(own_scratch.size()), &integers, 1);
            });
        });
        ours_best = std::min(ours_best, own);
        dsyevd_best = std::min(dsyevd_best, lapacks);
        state.SetIterationTime(own * static_cast<double>(count));
    }
    state.counters["us"] = 1e6 * ours_best;
    state.counters["us_dsyevd"] = 1e6 * dsyevd_best;
    state.counters["ratio"] = dsyevd_best / ours_best;
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
        for (const int matrices : {1, 8, 128}) benchmark->Args({n, matrices});
}

}  // namespace

void register_eigen() {
    small_sizes(benchmark::RegisterBenchmark("eigen/small", small_batch));
    constexpr std::pair<const char*, Driver> drivers[] = {
        {"espectra", ours}, {"dsyevd", dsyevd}, {"dsyevd_2stage", dsyevd_2stage}, {"dsyevr", dsyevr}};
    for (const auto& [name, driver] : drivers)
        sizes(benchmark::RegisterBenchmark((std::string("eigen/one_per_core/") + name).c_str(), one_per_core,
                                           driver));
    for (const auto& [name, driver] : drivers)
        sizes_and_threads(benchmark::RegisterBenchmark((std::string("eigen/one_matrix/") + name).c_str(),
                                                       one_matrix, driver));
}

}  // namespace espectra
