// Symmetric eigenvalues: ours beside every LAPACK driver, one matrix at a time and one matrix per core; many
// small ones beside dsyevd.

#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/kernels/cpu/eigen/two_stage_lapack.hpp"
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
            symmetric_eigenvalues(context, {make_view(work.data(), 1, n, n), make_view(values.data(), 1, n)});
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
            symmetric_eigenvalues(context,
                                  {make_view(work.data(), cores, n, n), make_view(values.data(), cores, n)});
        else
            context.parallel_for(cores, [&](Index core, int) {
                lapack(driver, n, work.data() + core * n * n, values.data() + core * n);
            });
    }
}

/// Small matrices on one core, ours in a batch and dsyevd one after the other (with its workspace allocated
/// before), by turns. The time is ours; counters: microseconds per matrix, the least of all repetitions.
void small_batch(benchmark::State& state) {
    const Index n = state.range(0), count = state.range(1);
    CpuContext context(1);
    const RandomStream random(1, 201);
    std::vector<double> matrices(static_cast<std::size_t>(count * n * n));
    for (std::size_t i = 0; i < matrices.size(); ++i) matrices[i] = random.normal(i);
    std::vector<double> work(matrices.size()), values(static_cast<std::size_t>(count * n));
    std::vector<double> scratch(static_cast<std::size_t>(66 * n + 1));
    const auto size = static_cast<lapack_int>(n), scratch_size = static_cast<lapack_int>(scratch.size());
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
        const double others = seconds([&] {
            for (Index r = 0; r < count; ++r) {
                lapack_int integers = 0;
                LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'N', 'L', size, work.data() + r * n * n, size,
                                    values.data() + r * n, scratch.data(), scratch_size, &integers, 1);
            }
        });
        own_least = std::min(own_least, own);
        dsyevd_least = std::min(dsyevd_least, others);
        state.SetIterationTime(own);
    }
    const auto microseconds_each = [&](double total) { return 1e6 * total / static_cast<double>(count); };
    state.counters["us"] = microseconds_each(own_least);
    state.counters["us_dsyevd"] = microseconds_each(dsyevd_least);
    state.counters["ratio"] = dsyevd_least / own_least;
}

/// The reduction in two stages, step by step, for a width of the band between them: what
/// kernels/cpu/eigen/lapack.cpp does with one width for large matrices. Arguments: n, band. The first stage
/// takes all cores.
void two_stages(benchmark::State& state) {
    const int n = static_cast<int>(state.range(0)), band = static_cast<int>(state.range(1));
    const int ldab = band + 1, query = -1;
    const char lower = 'L';
    int info = 0;
    double first_size = 0, reflectors_size = 0, second_size = 0;
    dsytrd_sy2sb_(&lower, &n, &band, nullptr, &n, nullptr, &ldab, nullptr, &first_size, &query, &info, 1);
    dsytrd_sb2st_("Y", "N", &lower, &n, &band, nullptr, &ldab, nullptr, nullptr, &reflectors_size, &query,
                  &second_size, &query, &info, 1, 1, 1);
    const int first_length = static_cast<int>(first_size),
              reflectors_length = static_cast<int>(reflectors_size),
              second_length = static_cast<int>(second_size);
    const auto size = [](Index count) { return static_cast<std::size_t>(count); };
    std::vector<double> first(size(first_length)), reflectors(size(reflectors_length)),
        second(size(second_length)), ab(size(Index{ldab} * n)), tau(size(n)), values(size(n)),
        off_diagonal(size(n));
    double first_seconds = 0, second_seconds = 0, ql_seconds = 0;
    for (auto _ : state) {
        std::vector<double> matrix = random_symmetric(n);
        openblas_set_num_threads(available_cores());
        Timer timer;
        const auto lap = [&] {
            const double seconds = timer.seconds();
            timer.restart();
            return seconds;
        };
        dsytrd_sy2sb_(&lower, &n, &band, matrix.data(), &n, ab.data(), &ldab, tau.data(), first.data(),
                      &first_length, &info, 1);
        first_seconds = lap();
        openblas_set_num_threads(1);
        dsytrd_sb2st_("Y", "N", &lower, &n, &band, ab.data(), &ldab, values.data(), off_diagonal.data(),
                      reflectors.data(), &reflectors_length, second.data(), &second_length, &info, 1, 1, 1);
        second_seconds = lap();
        LAPACKE_dsterf(n, values.data(), off_diagonal.data());
        ql_seconds = lap();
        state.SetIterationTime(first_seconds + second_seconds + ql_seconds);
    }
    const double rows = n;
    state.counters["first_s"] = first_seconds;
    state.counters["first_FLOP/s"] = 4.0 / 3.0 * rows * rows * rows / first_seconds;
    state.counters["second_s"] = second_seconds;
    state.counters["QL_s"] = ql_seconds;
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
    small_sizes(benchmark::RegisterBenchmark("eigen/small", small_batch));
    constexpr std::pair<const char*, Driver> drivers[] = {
        {"espectra", ours}, {"dsyevd", dsyevd}, {"dsyevd_2stage", dsyevd_2stage}, {"dsyevr", dsyevr}};
    for (const auto& [name, driver] : drivers)
        sizes(benchmark::RegisterBenchmark((std::string("eigen/one_per_core/") + name).c_str(), one_per_core,
                                           driver));
    for (const auto& [name, driver] : drivers)
        sizes_and_threads(benchmark::RegisterBenchmark((std::string("eigen/one_matrix/") + name).c_str(),
                                                       one_matrix, driver));
    sizes_and_bands(benchmark::RegisterBenchmark("eigen/two_stages", two_stages));
}

}  // namespace espectra
