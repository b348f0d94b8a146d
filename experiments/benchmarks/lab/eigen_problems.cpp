#include "espectra/experiments/benchmarks/lab/lapack_drivers.hpp"
#include "espectra/experiments/benchmarks/lab/problem.hpp"
#include "espectra/experiments/benchmarks/symmetric_matrices.hpp"
#include "espectra/kernels/eigen.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <memory>
#include <utility>

namespace espectra::lab {

namespace {

/// Matrices [count, n, n] to be solved, and room for their eigenvalues.
struct Matrices {
    Matrices(Index count_, Index n_, std::vector<double> original_, int threads)
        : count(count_),
          n(n_),
          original(std::move(original_)),
          work(original),
          values(static_cast<std::size_t>(count * n)),
          context(threads) {}

    /// A variant that calls solve() after the matrices have been restored.
    Variant variant(const std::shared_ptr<Matrices>& self, std::string name,
                    std::function<void(Matrices&)> solve) const {
        return {.name = std::move(name),
                .prepare = [self] { self->work = self->original; },
                .run = [self, solve = std::move(solve)] { solve(*self); },
                .result = [self] { return self->values; }};
    }

    Index count, n;
    std::vector<double> original, work, values;
    CpuContext context;
};

void solve_by_library(Matrices& m) {
    symmetric_eigenvalues(
        m.context, {make_view(m.work.data(), m.count, m.n, m.n), make_view(m.values.data(), m.count, m.n)});
}

/// Small matrices on one core.
Problem small_matrices(Index n) {
    constexpr Index count = 64;
    const auto matrices = std::make_shared<Matrices>(count, n, random_upper_triangles(count, n), 1);
    return {matrices->variant(matrices, "espectra, interleaved", solve_by_library),
            matrices->variant(matrices, "dsyevd, one matrix at a time",
                              [dsyevd = std::make_shared<DsyevdInTurn>(n)](Matrices& m) {
                                  (*dsyevd)(m.count, m.work.data(), m.values.data());
                              })};
}

/// One large matrix on all cores.
Problem large_matrix(Index n) {
    const auto matrix = std::make_shared<Matrices>(1, n, random_symmetric(n), available_cores());
    Problem problem = {matrix->variant(matrix, "espectra", solve_by_library)};
    for (const LapackDriver driver :
         {LapackDriver::dsyevd, LapackDriver::dsyevd_2stage, LapackDriver::dsyevr})
        problem.push_back(matrix->variant(matrix, name(driver), [driver](Matrices& m) {
            openblas_set_num_threads(available_cores());
            lapack_eigenvalues(driver, m.n, m.work.data(), m.values.data());
            openblas_set_num_threads(1);
        }));
    return problem;
}

/// Two stages with bands of several widths between them, the library's first.
Problem bands(int n) {
    const auto matrix = std::make_shared<Matrices>(1, n, random_symmetric(n), available_cores());
    Problem problem = {matrix->variant(matrix, "espectra, band of 48", solve_by_library)};
    for (const int band : {32, 64, 96, 128})
        problem.push_back(matrix->variant(matrix, fmt::format("band of {}", band),
                                          [two_stages = std::make_shared<TwoStages>(n, band)](Matrices& m) {
                                              (*two_stages)(m.work.data());
                                              m.values = two_stages->values();
                                          }));
    return problem;
}

}  // namespace

std::vector<NamedProblem> eigen_problems() {
    std::vector<NamedProblem> problems;
    for (const Index n : {17, 52, 200})
        problems.push_back(
            {fmt::format("eigen/64 matrices of {} rows, one core", n), [n] { return small_matrices(n); }});
    for (const Index n : {500, 1920, 2500})
        problems.push_back({fmt::format("eigen/one matrix of {} rows", n), [n] { return large_matrix(n); }});
    problems.push_back({"eigen/two stages, 4000 rows", [] { return bands(4000); }});
    return problems;
}

}  // namespace espectra::lab
