// `espectra-benchmark lab [TEXT]`: variants that are slower than the library's way, or were when they were
// measured, next to it (lab/README.md). TEXT chooses the problems whose names contain it.

#include "espectra/experiments/benchmarks/lab/problem.hpp"
#include "espectra/experiments/benchmarks/suites.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/timer.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <optional>

namespace espectra {

namespace {

using lab::NamedProblem;
using lab::Problem;
using lab::Variant;

constexpr std::size_t least_rounds = 3, most_rounds = 51;
constexpr double seconds_per_problem = 2;  // after which no further round begins

double seconds(const Variant& variant) {
    if (variant.prepare) variant.prepare();
    const Timer timer;
    variant.run();
    return timer.seconds();
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

/// Largest |x − y| relative to the largest |y|.
double difference(const std::vector<double>& x, const std::vector<double>& y) {
    double largest = 0, scale = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        largest = std::max(largest, std::fabs(x[i] - y[i]));
        scale = std::max(scale, std::fabs(y[i]));
    }
    return scale > 0 ? largest / scale : largest;
}

/// Times all variants in turn, several rounds, and prints a line for each.
void print_problem(const NamedProblem& named) {
    const Problem problem = named.make();
    std::vector<std::vector<double>> times(problem.size());
    std::vector<std::optional<double>> differences(problem.size());
    std::vector<double> reference;
    for (std::size_t v = 0; v < problem.size(); ++v) {  // the first round is not timed
        seconds(problem[v]);
        if (!problem[v].result) continue;
        const std::vector<double> result = problem[v].result();
        if (v == 0) reference = result;
        differences[v] = difference(result, reference);
    }
    const Timer total;
    for (std::size_t round = 0;
         round < least_rounds || (round < most_rounds && total.seconds() < seconds_per_problem); ++round)
        for (std::size_t v = 0; v < problem.size(); ++v) times[v].push_back(seconds(problem[v]));
    const double expected = median(times.front());
    fmt::print("{}\n", named.name);
    for (std::size_t v = 0; v < problem.size(); ++v) {
        const double time = median(times[v]);
        fmt::print("    {:<32}{:>12.3f} ms{:>9.2f}{:>12}\n", problem[v].name, 1e3 * time, time / expected,
                   differences[v] ? fmt::format("{:.1e}", *differences[v]) : "a part");
    }
    std::fflush(stdout);
}

}  // namespace

int run_lab(const std::vector<std::string>& arguments) {
    if (arguments.size() > 1) throw InputError("lab: expected up to one TEXT of the names of problems");
    const std::string text = arguments.empty() ? "" : arguments.front();
    openblas_set_num_threads(1);  // variants that take more restore this
    bool found = false;
    for (const auto& problems : {lab::eigen_problems(), lab::hessian_problems(), lab::training_problems()})
        for (const NamedProblem& problem : problems) {
            if (problem.name.find(text) == std::string::npos) continue;
            if (!found)
                fmt::print("    {:<32}{:>15}{:>9}{:>12}\n", "variant, the library's first", "median", "ratio",
                           "difference");
            found = true;
            print_problem(problem);
        }
    if (!found) throw InputError(fmt::format("lab: no problem contains \"{}\"", text));
    return 0;
}

}  // namespace espectra
