// Section `known-spectra`.

#include "espectra/experiments/benchmarks/facts/eigen_solvers.hpp"
#include "espectra/experiments/benchmarks/facts/facts.hpp"
#include "espectra/kernels/eigen.hpp"
#include "espectra/runtime/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <string_view>
#include <vector>

namespace espectra {

namespace {

/// `matrices` of each kind, of n rows.
struct KnownCase {
    Index n, matrices;
};

std::vector<KnownCase> known_cases(const FactOptions& options) {
    if (options.small) return {{8, 2}, {70, 1}};
    return {{52, 1024}, {64, 256}, {130, 64}, {500, 8}, {1000, 2}};
}

constexpr std::string_view kinds[] = {"full_rank", "half_rank", "half_rank_dead_rows", "rank_1", "zero",
                                      "repeated",  "graded"};

/// Returns the eigenvalues of a matrix of this kind. With dead rows, those from `alive` on are zero.
std::vector<double> spectrum_of(std::string_view kind, Index n, Index alive,
                                const std::function<double()>& uniform) {
    const Index rank = kind == "zero"                  ? 0
                       : kind == "rank_1"              ? 1
                       : kind.starts_with("half_rank") ? std::min(n / 2 + 1, alive)
                                                       : n;
    std::vector<double> values(static_cast<std::size_t>(n), 0.0);
    for (Index i = 0; i < rank; ++i) {
        double& value = values[static_cast<std::size_t>(i)];
        if (kind == "repeated")
            value = static_cast<double>(i % 3) - 1;
        else if (kind == "graded")  // over sixteen decades
            value = std::pow(10.0, -16.0 * static_cast<double>(i) / static_cast<double>(n));
        else
            value = uniform();
    }
    return values;
}

/// Writes H diag(λ) H with the reflection H of v: a matrix of known spectrum.
void reflect(const std::vector<double>& eigenvalues, const std::vector<double>& v, double* matrix) {
    const std::size_t n = v.size();
    double square = 0, weighted = 0;
    for (std::size_t i = 0; i < n; ++i) {
        square += v[i] * v[i];
        weighted += v[i] * v[i] * eigenvalues[i];
    }
    const double tau = 2 / square;
    std::vector<double> w(n);
    for (std::size_t i = 0; i < n; ++i) w[i] = tau * (eigenvalues[i] - tau / 2 * weighted) * v[i];
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
            matrix[i * n + j] = (i == j ? eigenvalues[i] : 0.0) - v[i] * w[j] - w[i] * v[j];
}

struct KnownBatch {
    Index n, matrices;                        ///< of each kind
    std::vector<double> values, eigenvalues;  ///< [kinds · matrices, n, n], [kinds · matrices, n] ascending

    Index count() const { return static_cast<Index>(std::size(kinds)) * matrices; }
};

KnownBatch known_batch(const KnownCase& known) {
    KnownBatch batch{known.n, known.matrices, {}, {}};
    const Index n = known.n, alive = n - n / 4;
    batch.values.resize(static_cast<std::size_t>(batch.count() * n * n));
    const RandomStream random(1, 202);
    std::uint64_t drawn = 0;
    const auto uniform = [&] { return random.uniform(drawn++) - 0.5; };
    for (Index item = 0; item < batch.count(); ++item) {
        const std::string_view kind = kinds[item / known.matrices];
        std::vector<double> v(static_cast<std::size_t>(n));
        for (double& entry : v) entry = uniform();
        if (kind.ends_with("dead_rows")) std::fill(v.begin() + alive, v.end(), 0.0);
        std::vector<double> values = spectrum_of(kind, n, alive, uniform);
        reflect(values, v, batch.values.data() + item * n * n);
        std::ranges::sort(values);
        batch.eigenvalues.insert(batch.eigenvalues.end(), values.begin(), values.end());
    }
    return batch;
}

/// Returns by kind the largest error relative to |λ|_max, and the number of matrices where it exceeds 100 n
/// ε: a backward stable solver stays below n ε times a small number, a wrong one does not.
Json errors_by_kind(const KnownBatch& batch, const std::vector<double>& found) {
    const double limit = 100 * static_cast<double>(batch.n) * std::numeric_limits<double>::epsilon();
    Json facts;
    for (std::size_t kind = 0; kind < std::size(kinds); ++kind) {
        double largest = 0;
        int wrong = 0;
        for (Index item = 0; item < batch.matrices; ++item) {
            const auto begin =
                static_cast<std::size_t>((static_cast<Index>(kind) * batch.matrices + item) * batch.n);
            double scale = 0, error = 0;
            for (std::size_t i = begin; i < begin + static_cast<std::size_t>(batch.n); ++i) {
                scale = std::max(scale, std::fabs(batch.eigenvalues[i]));
                const double difference = std::fabs(found[i] - batch.eigenvalues[i]);
                if (difference > error || std::isnan(difference)) error = difference;  // NaN is kept
            }
            const double relative = scale > 0 ? error / scale : error;
            wrong += !(relative <= limit);
            if (relative > largest || std::isnan(relative)) largest = relative;
        }
        facts[std::string(kinds[kind])] = {
            {"largest_error", number_or_null(largest)}, {"wrong", wrong}, {"of", batch.matrices}};
    }
    return facts;
}

/// Solves the batch by `solve(matrices, values)`, on copies, and compares.
Json solver_facts(CudaContext& context, const KnownBatch& batch, const char* solver,
                  const std::function<long(double*, double*)>& solve) {
    Json fact = {{"n", batch.n}, {"solver", solver}};
    try {
        Buffer<double, Space::device> matrices(context, batch.count() * batch.n * batch.n),
            values(context, batch.count() * batch.n);
        copy(context, batch.values.data(), matrices.data(), matrices.size());
        fact["refused"] = solve(matrices.data(), values.data());  // matrices whose status is not 0
        fact["kinds"] = errors_by_kind(batch, fetch(context, values.data(), values.size()));
    } catch (const Error& error) {
        fact["error"] = error.what();
    }
    return fact;
}

}  // namespace

Json known_spectra_facts(const FactOptions& options) {
    CudaContext context;
    Json facts = Json::array();
    for (const KnownCase& known : known_cases(options)) {
        const Index n = known.n;
        const KnownBatch batch = known_batch(known);
        if (n <= most_block_rows)
            facts.push_back(solver_facts(context, batch, "own", [&](double* matrices, double* values) {
                symmetric_eigenvalues(context, {make_view<Space::device>(matrices, batch.count(), n, n),
                                                make_view<Space::device>(values, batch.count(), n)});
                return 0L;
            }));
        facts.push_back(solver_facts(context, batch, "batched", [&](double* matrices, double* values) {
            BatchedSolver solver(context, n, batch.count());
            solver.solve(matrices, values);
            const std::vector<int> statuses = solver.statuses();
            return static_cast<long>(statuses.size()) - std::ranges::count(statuses, 0);
        }));
        facts.push_back(solver_facts(context, batch, "single", [&](double* matrices, double* values) {
            SingleSolver solver(context, n);
            long refused = 0;
            for (Index item = 0; item < batch.count(); ++item) {
                solver.solve(matrices + item * n * n, values + item * n);
                refused += solver.status() != 0;
            }
            return refused;
        }));
    }
    return facts;
}

}  // namespace espectra
