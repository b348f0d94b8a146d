#include "espectra/experiments/replay.hpp"

#include "espectra/experiments/pipeline.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

namespace espectra {

namespace {

constexpr double negative_tolerance = 1e-6;

/// Largest so far, NaN counting as nothing.
void raise(double& largest, double value) { largest = std::fmax(largest, value); }

double relative_difference(const double* actual, const std::vector<double>& expected) {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

Index negative_count(const std::vector<double>& eigenvalues) {
    return static_cast<Index>(std::lround(spectral_indices(eigenvalues, negative_tolerance).alpha *
                                          static_cast<double>(eigenvalues.size())));
}

void compare_training(const RecordedRun& run, int cores, ReplayReport& report,
                      std::vector<double>& theta_errors) {
    if (!run.has("theta_initial") || run.snapshots() == 0) return;
    // Threads pay where an epoch takes longer than waking them: from about a million products on.
    const bool large = run.network.parameters() * run.data.train_examples > 1000000;
    CpuContext context(large ? cores : 1);
    const ResidentData<CpuContext> data(context, run.data);
    const std::vector<double> initial = run.theta_initial();
    Timer timer;
    Trainer<CpuContext> trainer(context, run.network, data.train(), {}, run.training, initial);
    std::map<std::int64_t, std::vector<Index>> costs, thetas;
    for (Index k = 0; k < run.snapshots(); ++k) {
        thetas[run.updates(k)].push_back(k);
        if (run.has("cost")) costs[run.cost_updates(k)].push_back(k);
    }
    const std::vector<double> recorded = run.has("cost") ? run.cost() : std::vector<double>{};
    const std::int64_t last = std::max(thetas.rbegin()->first, costs.empty() ? 0 : costs.rbegin()->first);
    for (std::int64_t t = 0; t <= last; ++t) {
        trainer.advance_to(t);
        if (costs.contains(t)) {
            trainer.evaluate();
            if (const std::int64_t diverged = trainer.diverged().front(); diverged >= 0)
                throw NumericalError(fmt::format(
                    "{}: retraining diverged: the cost is not finite at epoch {}", run.label, diverged));
            for (const Index k : costs[t]) {
                const double expected = recorded[static_cast<std::size_t>(k)],
                             actual = trainer.evaluator().cost()(0);
                raise(report.cost_error_max,
                      std::fabs(actual - expected) / std::max(std::fabs(expected), std::fabs(actual)));
            }
        }
        if (thetas.contains(t))
            for (const Index k : thetas[t])
                theta_errors.push_back(relative_difference(trainer.theta().data, run.theta(k)));
    }
    report.seconds_training += timer.seconds();
}

/// What one worker compares, one snapshot after the other.
class SnapshotComparison {
  public:
    explicit SnapshotComparison(const RecordedRun& run)
        : run_(run),
          context_(1),
          data_(context_, run.data),
          evaluator_(context_, run.network, data_.train(), 1),
          analyzer_(context_, run.network, data_.train(), 1, SpectrumOptions{}) {}

    /// Memory of one comparison.
    static std::size_t bytes(const RecordedRun& run) {
        const CpuContext context(1);
        const auto p = static_cast<std::size_t>(run.network.parameters());
        return SpectrumAnalyzer<CpuContext>::bytes(context, run.network, run.data.train_examples, 1, {}) +
               Evaluator<CpuContext>::bytes(run.network, run.data.train_examples, 1) +
               (run.has("hessian") ? p * p * sizeof(double) : 0);
    }

    /// `recorded` holds what the file says about snapshot k; read by the caller, HDF5 not being thread-safe.
    struct Recorded {
        std::vector<double> theta, eigenvalues, hessian, residual;
        double dead = ReplayReport::none;
    };

    ReplayReport compare(const Recorded& recorded) {
        ReplayReport report;
        const Index p = run_.network.parameters(), m = run_.data.train_examples;
        const auto theta = make_view(recorded.theta.data(), 1, p);
        evaluator_.evaluate(theta);
        if (!recorded.residual.empty()) {
            for (Index e = 0; e < m; ++e) {
                const double y = run_.data.y_train[static_cast<std::size_t>(e)];
                const Logistic sigma = logistic(evaluator_.logits()(0, 0, e));
                raise(report.residual_error_max,
                      std::fabs(sigma.s - y - recorded.residual[static_cast<std::size_t>(e)]));
            }
        }
        if (!recorded.hessian.empty())
            report.hessian_relative_error_max =
                relative_difference(analyzer_.hessian(theta).data, recorded.hessian);
        const Spectrum spectrum = analyzer_.analyze(theta, evaluator_.gradient()).front();
        if (!recorded.eigenvalues.empty()) {
            double largest = 0;
            for (const double value : recorded.eigenvalues) largest = std::max(largest, std::fabs(value));
            report.eigenvalue_error_max = 0;
            for (std::size_t i = 0; i < recorded.eigenvalues.size(); ++i)
                raise(report.eigenvalue_error_max,
                      std::fabs(spectrum.eigenvalues[i] - recorded.eigenvalues[i]) /
                          (largest > 0 ? largest : 1.0));
            if (negative_count(spectrum.eigenvalues) != negative_count(recorded.eigenvalues))
                ++report.negative_count_mismatches;
        }
        if (!std::isnan(recorded.dead)) {
            const auto count = [&](double fraction) {
                return std::lround(fraction * static_cast<double>(p));
            };
            if (count(recorded.dead) != count(spectrum.gamma_dead)) ++report.gamma_dead_mismatches;
        }
        report.symmetry_residual_max = spectrum.symmetry_residual;
        report.trace_error_max = spectrum.trace_error;
        report.seconds_hessian = spectrum.seconds_hessian;
        report.seconds_eigen = spectrum.seconds_eigen;
        return report;
    }

  private:
    const RecordedRun& run_;
    CpuContext context_;
    ResidentData<CpuContext> data_;
    Evaluator<CpuContext> evaluator_;
    SpectrumAnalyzer<CpuContext> analyzer_;
};

void merge(ReplayReport& all, const ReplayReport& one) {
    raise(all.hessian_relative_error_max, one.hessian_relative_error_max);
    raise(all.residual_error_max, one.residual_error_max);
    raise(all.eigenvalue_error_max, one.eigenvalue_error_max);
    all.gamma_dead_mismatches += one.gamma_dead_mismatches;
    all.negative_count_mismatches += one.negative_count_mismatches;
    raise(all.symmetry_residual_max, one.symmetry_residual_max);
    raise(all.trace_error_max, one.trace_error_max);
    all.seconds_hessian += one.seconds_hessian;
    all.seconds_eigen += one.seconds_eigen;
    ++all.snapshots;
}

}  // namespace

ReplayReport replay(const std::vector<RecordedRun>& runs, int cores,
                    const std::function<void(Index, Index)>& progress) {
    ReplayReport report;
    std::vector<double> theta_errors;
    Index total = 0, done = 0;
    for (const RecordedRun& run : runs) total += run.snapshots();
    std::size_t needed = 0;
    for (const RecordedRun& run : runs) {
        report.parameters = std::max(report.parameters, run.network.parameters());
        needed = std::max(needed, SnapshotComparison::bytes(run));
    }
    const std::size_t available = available_memory();
    if (needed > available)
        throw ResourceError(fmt::format(
            "memory: the exact Hessian of {} parameters needs {:.3f} GB, {:.3f} GB available",
            report.parameters, static_cast<double>(needed) / 1e9, static_cast<double>(available) / 1e9));
    const int workers_fitting =
        static_cast<int>(std::min(static_cast<std::size_t>(cores), available / needed));
    CpuContext context(workers_fitting);
    for (const RecordedRun& run : runs) {
        compare_training(run, cores, report, theta_errors);
        const std::vector<double> dead = run.has(run.cost_before_update ? "gamma" : "gamma_dead")
                                             ? run.dead_fraction()
                                             : std::vector<double>{};
        std::vector<std::unique_ptr<SnapshotComparison>> workers(static_cast<std::size_t>(workers_fitting));
        std::mutex mutex;
        context.parallel_for(run.snapshots(), [&](Index k, int worker) {
            auto& comparison = workers[static_cast<std::size_t>(worker)];
            if (!comparison) comparison = std::make_unique<SnapshotComparison>(run);
            SnapshotComparison::Recorded recorded;
            {
                const std::lock_guard lock(mutex);
                recorded.theta = run.theta(k);
                if (run.has("eigenvalues")) recorded.eigenvalues = run.eigenvalues(k);
                if (run.has("hessian")) recorded.hessian = run.hessian(k);
                if (run.has("residual") && run.network.outputs() == 1) recorded.residual = run.residual(k);
                if (!dead.empty()) recorded.dead = dead[static_cast<std::size_t>(k)];
            }
            const ReplayReport one = comparison->compare(recorded);
            const std::lock_guard lock(mutex);
            merge(report, one);
            if (progress) progress(++done, total);
        });
    }
    if (!theta_errors.empty()) {
        std::ranges::sort(theta_errors);
        const std::size_t middle = theta_errors.size() / 2;
        report.theta_error_median = theta_errors.size() % 2
                                        ? theta_errors[middle]
                                        : 0.5 * (theta_errors[middle - 1] + theta_errors[middle]);
        report.theta_error_max = theta_errors.back();
    }
    return report;
}

}  // namespace espectra
