// Sections `eigenvalues`, `contexts` and `single`.

#include "espectra/experiments/benchmarks/cuda_meter.hpp"
#include "espectra/experiments/benchmarks/facts/eigen_solvers.hpp"
#include "espectra/experiments/benchmarks/facts/facts.hpp"
#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/runtime/cuda/device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace espectra {

namespace {

/// Rows, and the number of matrices that are solved at once.
struct EigenCase {
    Index n, matrices;
};

std::vector<EigenCase> eigen_cases(const FactOptions& options) {
    if (options.small) return {{8, 3}, {70, 2}};
    return {{52, 4096}, {64, 4096}, {96, 1024}, {128, 512}, {200, 256}, {256, 128},
            {384, 64},  {500, 64},  {768, 16},  {1024, 16}, {1920, 8}};
}

/// Waits for the solver, as production does after each matrix.
void require_result(SingleSolver& solver, Index matrix) {
    if (const int status = solver.status(); status != 0)
        throw NumericalError(fmt::format("matrix {}: cusolverDnXsyevd: info = {}", matrix, status));
}

/// Time of one solver by n.
class SolverTimes {
  public:
    SolverTimes(const FactOptions& options, CudaContext& context) : options_(&options), meter_(context) {}

    /// Returns {n, solver, seconds_per_matrix} of the function that make() returns, which solves the `source`
    /// [count, n, n] and destroys what it is given. The first call is not counted.
    Json measure(const char* solver, CudaContext& context, View<const double, 3, Space::device> source,
                 const std::function<std::function<void(double*)>()>& make) {
        const Index n = source.extent[1], count = source.extent[0];
        Json fact = {{"n", n}, {"solver", solver}, {"matrices", count}};
        const double work = static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n + 100);
        Known& known = known_[solver];
        // Twice the time that the last smaller n needed, scaled by the work, for the two calls.
        const double expected =
            known.work > 0 ? 4 * known.seconds_per_matrix * work / known.work * static_cast<double>(count)
                           : 0;
        if (!options_->allows(expected)) {
            fact["skipped"] = "time";
            return fact;
        }
        try {
            const std::function<void(double*)> solve = make();
            Buffer<double, Space::device> matrices(context, count * n * n);
            double seconds = 0;
            for (int repetition = 0; repetition < 2; ++repetition) {
                copy(context, source.data, matrices.data(), matrices.size());
                seconds = meter_.seconds([&] { solve(matrices.data()); });
            }
            known = {work, seconds / static_cast<double>(count)};
            fact["seconds_per_matrix"] = known.seconds_per_matrix;
        } catch (const Error& error) {
            fact["error"] = error.what();
        }
        return fact;
    }

  private:
    struct Known {
        double work = 0, seconds_per_matrix = 0;
    };
    const FactOptions* options_;
    CudaMeter meter_;
    std::map<std::string, Known> known_;
};

}  // namespace

Json eigenvalue_facts(const FactOptions& options) {
    CudaContext context;
    SolverTimes times(options, context);
    Json facts = Json::array();
    for (const auto& [n, matrices] : eigen_cases(options)) {
        Arrays<CudaContext> arrays(context);
        const auto source = arrays.array(matrices, n, n);
        Buffer<double, Space::device> values(context, matrices * n);
        const auto few =
            View<const double, 3, Space::device>(source).slice(0, 0, std::min<Index>(matrices, 16));
        if (n <= most_block_rows)
            facts.push_back(times.measure("own", context, source, [&, n = n, matrices = matrices] {
                return [&, n, matrices](double* first) {
                    symmetric_eigenvalues(
                        context, {make_view<Space::device>(first, matrices, n, n), values.view(matrices, n)});
                };
            }));
        facts.push_back(times.measure("batched", context, source, [&, n = n, matrices = matrices] {
            return [solver = std::make_shared<BatchedSolver>(context, n, matrices), &values](double* first) {
                solver->solve(first, values.data());
            };
        }));
        facts.push_back(times.measure("looped", context, few, [&, n = n] {
            return [solver = std::make_shared<SingleSolver>(context, n), &values, few, n](double* first) {
                for (Index r = 0; r < few.extent[0]; ++r) {
                    solver->solve(first + r * n * n, values.data() + r * n);
                    require_result(*solver, r);
                }
            };
        }));
        facts.push_back(times.measure("reduction", context, few, [&, n = n] {
            return [reduction = std::make_shared<Reduction>(context, n), few, n](double* first) {
                for (Index r = 0; r < few.extent[0]; ++r) reduction->reduce(first + r * n * n);
            };
        }));
    }
    return facts;
}

namespace {

/// A context with matrices and a solver of its own, used by one thread.
class Worker {
  public:
    Worker(Index n, Index matrices) : arrays_(context_), n_(n), matrices_(matrices), solver_(context_, n) {
        source_ = arrays_.array(matrices, n, n);
        work_ = arrays_.array(matrices, n, n);
        values_ = arrays_.array(n);
    }
    void restore() {
        copy(context_, source_.data, work_.data, work_.size());
        context_.synchronize();
    }
    void solve() {
        context_.activate();
        for (Index r = 0; r < matrices_; ++r) {
            solver_.solve(work_[r].data, values_.data);
            require_result(solver_, r);
        }
    }

  private:
    CudaContext context_;
    Arrays<CudaContext> arrays_;
    Index n_, matrices_;
    SingleSolver solver_;
    View<double, 3, Space::device> source_, work_;
    View<double, 1, Space::device> values_;
};

/// Returns the seconds in which all workers solve their matrices at the same time.
double seconds_together(std::vector<std::unique_ptr<Worker>>& workers) {
    for (const auto& worker : workers) worker->restore();
    std::vector<std::exception_ptr> failures(workers.size());
    const Timer timer;
    {
        std::vector<std::jthread> threads;
        for (std::size_t w = 0; w < workers.size(); ++w)
            threads.emplace_back([&, w] {
                try {
                    workers[w]->solve();
                } catch (...) {
                    failures[w] = std::current_exception();
                }
            });
    }
    const double seconds = timer.seconds();
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
    return seconds;
}

}  // namespace

Json context_facts(const FactOptions& options) {
    const std::vector<Index> sizes =
        options.small ? std::vector<Index>{70} : std::vector<Index>{200, 500, 1024, 1920};
    constexpr Index total = 16;  // matrices, of all contexts together
    Json facts = Json::array();
    double longest = 0;
    for (const Index n : sizes)
        for (const Index contexts : {1, 2, 4, 8}) {
            Json fact = {{"n", n}, {"contexts", contexts}};
            if (!options.allows(4 * longest)) {
                fact["skipped"] = "time";
                facts.push_back(fact);
                continue;
            }
            try {
                std::vector<std::unique_ptr<Worker>> workers;
                for (Index w = 0; w < contexts; ++w)
                    workers.push_back(std::make_unique<Worker>(n, total / contexts));
                seconds_together(workers);  // loads the library's kernels
                const double seconds = seconds_together(workers);
                longest = std::max(longest, seconds);
                fact["seconds_per_matrix"] = seconds / static_cast<double>(total);
            } catch (const std::exception& error) {
                fact["error"] = error.what();
            }
            facts.push_back(fact);
        }
    return facts;
}

namespace {

double thread_cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Solves one random matrix of n rows by cusolverDnXsyevd without vectors, and returns the time, the work of
/// the host (the waiting thread sleeps, see main.cpp, so that its CPU time is work), and the certificates.
Json single_matrix(CudaContext& context, Index n, const SingleSolver::Bytes& workspace) {
    Arrays<CudaContext> arrays(context);
    CudaMeter meter(context);
    const auto matrix = arrays.array(1, n, n);
    symmetrize(context, {matrix});
    Buffer<double, Space::device> values(context, n);
    SingleSolver solver(context, n);
    double norm = 0;
    check(cublasDnrm2_64(static_cast<cublasHandle_t>(context.cublas()), n * n, matrix.data, 1, &norm));
    const std::vector<double> diagonal =
        fetch(context, View<const double, 2, Space::device>{matrix.data, {n, 1}, {n + 1, 1}});

    const Timer timer;
    const double cpu_before = thread_cpu_seconds();
    double returned = 0;
    const double on_stream = meter.seconds([&] {
        solver.solve(matrix.data, values.data());
        returned = timer.seconds();
    });
    const double wall = timer.seconds(), host_cpu = thread_cpu_seconds() - cpu_before;

    const int status = solver.status();
    double sum = 0, squares = 0, trace = 0;
    for (const double value : fetch(context, values.data(), n)) {
        sum += value;
        squares += value * value;
    }
    for (const double value : diagonal) trace += value;
    const double trace_error = std::fabs(sum - trace) / (std::sqrt(static_cast<double>(n)) * norm);
    const double frobenius_error = std::fabs(squares - norm * norm) / (norm * norm);
    return {{"n", n},
            {"seconds", wall},
            {"seconds_until_return", returned},
            {"seconds_on_stream", on_stream},
            {"host_cpu_seconds", host_cpu},
            {"device_workspace_bytes", workspace.device},
            {"host_workspace_bytes", workspace.host},
            {"info", status},
            {"trace_error", number_or_null(trace_error)},
            {"frobenius_error", number_or_null(frobenius_error)},
            // The limits of the spectra of networks; NaN is above them.
            {"certified", status == 0 && trace_error <= 1e-10 && frobenius_error <= 1e-10}};
}

}  // namespace

Json single_matrix_facts(const FactOptions& options) {
    const std::vector<Index> sizes =
        options.small ? std::vector<Index>{100, 200} : std::vector<Index>{1024, 4096, 8192, 16384, 32768};
    Json facts = Json::array();
    double previous = 0;
    for (const Index n : sizes) {
        Json fact = {{"n", n}};
        try {
            CudaContext context;  // a new one, which has the memory to itself
            const SingleSolver::Bytes workspace = SingleSolver::workspace(context, n);
            const std::size_t needed =
                static_cast<std::size_t>(n) * static_cast<std::size_t>(n + 1) * sizeof(double) +
                workspace.device;
            // Eight times the work of half the size, and a margin for the parts that scale worse.
            if (needed > device_memory(context.device()).free / 100 * 95) {
                fact["skipped"] = "memory";
                fact["needed_bytes"] = needed;
            } else if (!options.allows(10 * previous)) {
                fact["skipped"] = "time";
            } else {
                print_progress(fmt::format("cusolverDnXsyevd, n = {}", n));
                if (facts.empty()) single_matrix(context, n, workspace);  // loads the library's kernels
                fact = single_matrix(context, n, workspace);
                previous = fact["seconds"].get<double>();
            }
        } catch (const Error& error) {
            fact["error"] = error.what();
        }
        facts.push_back(fact);
        if (!fact.contains("seconds")) break;
    }
    return facts;
}

}  // namespace espectra
