#include "espectra/experiments/replay/replay.hpp"

#include "espectra/experiments/data/resident_data.hpp"
#include "espectra/kernels/math/elementary.hpp"
#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/spectrum/indices.hpp"
#include "espectra/models/trainer.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <span>

namespace espectra {

namespace {

constexpr double negative_tolerance = 1e-6;

/// Sets `largest` to the larger value; NaN is ignored.
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

template <class D>
void compare_training(const RecordedRun& run, const D& device, ReplayReport& report,
                      std::vector<double>& theta_errors) {
    using B = typename D::Context;
    if (!run.has("theta_initial") || run.snapshots() == 0) return;
    // Several threads are faster if an epoch takes longer than waking them: from about a million products on.
    const bool large = run.network.parameters() * run.data.train_examples > 1000000;
    B context = device.context(large ? device.threads : 1);
    const ResidentData<B> data(context, run.data);
    const std::vector<double> initial = run.theta_initial();
    Timer timer;
    Trainer<B> trainer(context, run.network, data.train(), {}, run.training, initial);
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
            const double actual = fetch(context, trainer.evaluator().cost().data, 1).front();
            for (const Index k : costs[t]) {
                const double expected = recorded[static_cast<std::size_t>(k)];
                raise(report.cost_error_max,
                      std::fabs(actual - expected) / std::max(std::fabs(expected), std::fabs(actual)));
            }
        }
        if (thetas.contains(t)) {
            const auto theta = fetch(context, trainer.theta().data, run.network.parameters());
            for (const Index k : thetas[t])
                theta_errors.push_back(relative_difference(theta.data(), run.theta(k)));
        }
    }
    report.seconds_training += timer.seconds();
}

/// The recorded numbers of one snapshot; read by one thread at a time, since HDF5 is not thread-safe.
struct Recorded {
    std::vector<double> theta, eigenvalues, hessian, residual;
    double dead = ReplayReport::none;
};

/// Compares snapshots of one run, a fixed number at a time; each worker has one.
template <Backend B>
class SnapshotComparison {
  public:
    SnapshotComparison(B context, const RecordedRun& run, Index snapshots)
        : run_(run),
          snapshots_(snapshots),
          context_(std::move(context)),
          data_(context_, run.data),
          theta_(context_, snapshots * run.network.parameters()),
          evaluator_(context_, run.network, data_.train(), snapshots),
          analyzer_(context_, run.network, data_.train(), snapshots, SpectrumOptions{}) {}

    Index snapshots() const { return snapshots_; }

    /// Bytes on the backend, and on the host in addition.
    static std::size_t bytes(B& context, const RecordedRun& run, Index snapshots) {
        return SpectrumAnalyzer<B>::bytes(context, run.network, run.data.train_examples, snapshots, {}) +
               Evaluator<B>::bytes(run.network, run.data.train_examples, snapshots);
    }
    static std::size_t host_bytes(const RecordedRun& run, Index snapshots) {
        const auto p = static_cast<std::size_t>(run.network.parameters());
        return run.has("hessian") ? static_cast<std::size_t>(snapshots) * p * p * sizeof(double) : 0;
    }

    std::vector<ReplayReport> compare(std::span<const Recorded> recorded) {
        const Index p = run_.network.parameters(), m = run_.data.train_examples;
        std::vector<double> thetas;
        for (const Recorded& one : recorded) thetas.insert(thetas.end(), one.theta.begin(), one.theta.end());
        copy(context_, thetas.data(), theta_.data(), theta_.size());
        const auto theta = theta_.view(snapshots_, p);
        evaluator_.evaluate(theta);
        std::vector<ReplayReport> reports(recorded.size());
        if (!recorded.front().residual.empty()) {
            const auto logits = fetch(context_, evaluator_.logits().data, snapshots_ * m);
            for (std::size_t k = 0; k < recorded.size(); ++k)
                raise(reports[k].residual_error_max,
                      residual_error(logits.data() + static_cast<Index>(k) * m, recorded[k].residual));
        }
        if (!recorded.front().hessian.empty()) {
            analyzer_.on_hessian([&](View<const double, 3, B::space> hessians) {
                for (std::size_t k = 0; k < recorded.size(); ++k)
                    reports[k].hessian_relative_error_max = relative_difference(
                        fetch(context_, hessians[static_cast<Index>(k)].data, p * p).data(),
                        recorded[k].hessian);
            });
        }
        const auto spectra = analyzer_.analyze(theta, evaluator_.gradient());
        analyzer_.on_hessian({});
        for (std::size_t k = 0; k < recorded.size(); ++k) {
            if (!spectra[k].failure.empty())
                throw NumericalError(fmt::format("{}: {}", run_.label, spectra[k].failure));
            compare_spectrum(recorded[k], spectra[k], reports[k]);
        }
        return reports;
    }

  private:
    double residual_error(const double* logits, const std::vector<double>& recorded) const {
        double largest = ReplayReport::none;
        for (std::size_t e = 0; e < recorded.size(); ++e)
            raise(largest, std::fabs(logistic(logits[e]).s - run_.data.y_train[e] - recorded[e]));
        return largest;
    }

    void compare_spectrum(const Recorded& recorded, const Spectrum& spectrum, ReplayReport& report) const {
        const Index p = run_.network.parameters();
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
    }

    const RecordedRun& run_;
    Index snapshots_;
    B context_;
    ResidentData<B> data_;
    Buffer<double, B::space> theta_;
    Evaluator<B> evaluator_;
    SpectrumAnalyzer<B> analyzer_;
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

/// Distribution of the snapshots of a run over workers.
struct Spread {
    int workers = 1;
    Index snapshots = 1;  ///< of each worker at a time
};

/// One worker per core on the CPU, as far as their Hessians fit into memory; one with several snapshots on a
/// device. Throws ResourceError if not even one snapshot fits.
template <class D>
Spread spread(const D& device, const RecordedRun& run) {
    using B = typename D::Context;
    using Comparison = SnapshotComparison<B>;
    B context = device.context(1);
    const auto bytes = [&](Index snapshots) { return Comparison::bytes(context, run, snapshots); };
    require_memory(device, run.network.parameters(), bytes(1), Comparison::host_bytes(run, 1));
    Spread spread;
    if constexpr (D::worker_per_core) {
        const std::size_t fitting = available_memory() / (bytes(1) + Comparison::host_bytes(run, 1));
        spread.workers =
            static_cast<int>(std::clamp<std::size_t>(fitting, 1, static_cast<std::size_t>(device.threads)));
    } else {
        constexpr Index most = 64;  // so that progress is reported
        const std::size_t memory = device.memory(), host = available_memory();
        spread.snapshots = std::clamp<Index>(run.snapshots(), 1, most);
        while (spread.snapshots > 1 &&
               (bytes(spread.snapshots) > memory || Comparison::host_bytes(run, spread.snapshots) > host))
            spread.snapshots /= 2;
    }
    return spread;
}

Recorded read(const RecordedRun& run, Index k, const std::vector<double>& dead) {
    Recorded recorded;
    recorded.theta = run.theta(k);
    if (run.has("eigenvalues")) recorded.eigenvalues = run.eigenvalues(k);
    if (run.has("hessian")) recorded.hessian = run.hessian(k);
    if (run.has("residual") && run.network.outputs() == 1) recorded.residual = run.residual(k);
    if (!dead.empty()) recorded.dead = dead[static_cast<std::size_t>(k)];
    return recorded;
}

template <class D>
ReplayReport replay_on(const D& device, const std::vector<RecordedRun>& runs,
                       const std::function<void(Index, Index)>& progress) {
    using Comparison = SnapshotComparison<typename D::Context>;
    ReplayReport report;
    std::vector<double> theta_errors;
    Index total = 0, done = 0;
    for (const RecordedRun& run : runs) {
        total += run.snapshots();
        report.parameters = std::max(report.parameters, run.network.parameters());
        spread(device, run);  // too little memory is an error before the work begins
    }
    for (const RecordedRun& run : runs) {
        compare_training(run, device, report, theta_errors);
        const std::vector<double> dead = run.has(run.cost_before_update ? "gamma" : "gamma_dead")
                                             ? run.dead_fraction()
                                             : std::vector<double>{};
        const Spread plan = spread(device, run);
        const Index batch = plan.snapshots;
        std::vector<std::unique_ptr<Comparison>> comparisons(static_cast<std::size_t>(plan.workers));
        std::mutex mutex;
        CpuContext threads(plan.workers);
        threads.parallel_for((run.snapshots() + batch - 1) / batch, [&](Index task, int worker) {
            const Index first = task * batch, count = std::min(batch, run.snapshots() - first);
            auto& comparison = comparisons[static_cast<std::size_t>(worker)];
            if (!comparison || comparison->snapshots() != count) {
                comparison.reset();  // frees its memory before the next one allocates
                comparison = std::make_unique<Comparison>(device.context(1), run, count);
            }
            std::vector<Recorded> recorded;
            {
                const std::lock_guard lock(mutex);
                for (Index k = first; k < first + count; ++k) recorded.push_back(read(run, k, dead));
            }
            const std::vector<ReplayReport> reports = comparison->compare(recorded);
            const std::lock_guard lock(mutex);
            for (const ReplayReport& one : reports) merge(report, one);
            done += count;
            if (progress) progress(done, total);
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

}  // namespace

ReplayReport replay(const std::vector<RecordedRun>& runs, const Device& device,
                    const std::function<void(Index, Index)>& progress) {
    return std::visit([&](const auto& chosen) { return replay_on(chosen, runs, progress); }, device);
}

}  // namespace espectra
