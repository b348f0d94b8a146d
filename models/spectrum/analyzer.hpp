#pragma once

#include "espectra/models/hessian.hpp"
#include "espectra/models/network.hpp"
#include "espectra/models/spectrum/batch.hpp"
#include "espectra/models/spectrum/batch_solver.hpp"
#include "espectra/models/spectrum/deflation.hpp"
#include "espectra/models/spectrum/indices.hpp"
#include "espectra/models/spectrum/spectrum.hpp"
#include "espectra/models/spectrum/zeros.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/timer.hpp"

#include <cmath>
#include <cstddef>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace espectra {

/// Exact spectra of R networks at a time. Stores R Hessians, and R more where they are deflated in a batch;
/// everything else is bounded. The context and the examples have to outlive it.
template <Backend B>
class SpectrumAnalyzer {
    template <class T, int Rank>
    using DeviceView = View<T, Rank, B::space>;

  public:
    SpectrumAnalyzer(B& context, const Network& network, Examples<B::space> examples, Index replicas,
                     const SpectrumOptions& options)
        : context_(&context),
          first_layer_(network.layers().front()),
          parameters_(network.parameters()),
          replicas_(replicas),
          options_(options),
          tolerance_(options.tolerance > 0 ? options.tolerance : automatic_tolerance(parameters_)),
          directions_(scaling_directions(network.scaling_directions(), parameters_)),
          dead_features_(context, examples),
          solver_(context, network, examples, replicas, options) {}

    /// Bytes that an analyzer takes on its device; `context` is a B.
    template <class Context>
    static std::size_t bytes(Context& context, const Network& network, Index examples, Index replicas,
                             const SpectrumOptions& options) {
        return BatchSolver<B>::bytes(context, network, examples, replicas, options) +
               DeadFeatures<B>::bytes(network.inputs(), examples);
    }

    /// How the spectra are computed, for reports.
    const char* method() const { return solver_.one_step() ? "in one step" : "assembled, then solved"; }

    /// Spectra of the networks θ [R, P] with gradients ∇ℓ(θ) [R, P]. A network whose Hessian, eigenvalues or
    /// gradient are not finite has Spectrum::failure set, and the others have their spectra; if it is the
    /// only network, NumericalError is thrown.
    std::vector<Spectrum> analyze(DeviceView<const double, 2> theta, DeviceView<const double, 2> gradient) {
        std::vector<Spectrum> gauss_newton;
        if (options_.gauss_newton) gauss_newton = solve(theta, gradient, HessianPart::gauss_newton);
        std::vector<Spectrum> spectra = solve(theta, gradient, HessianPart::full);
        for (std::size_t r = 0; r < spectra.size(); ++r) {
            Spectrum& spectrum = spectra[r];
            if (options_.gauss_newton) add_gauss_newton(std::move(gauss_newton[r]), spectrum);
            if (spectrum.failure.empty()) continue;
            if (replicas_ == 1) throw NumericalError(spectrum.failure);
            invalidate(spectrum, parameters_, options_);
        }
        return spectra;
    }

    /// The Hessians [R, P, P] at θ, both triangles; valid until the next call.
    DeviceView<const double, 3> hessian(DeviceView<const double, 2> theta,
                                        HessianPart part = HessianPart::full) {
        return solver_.hessian(theta, part);
    }

    /// Calls receive(Hessians [R, P, P], both triangles) in every analysis, before the eigensolver overwrites
    /// them.
    void on_hessian(std::function<void(DeviceView<const double, 3>)> receive) {
        on_hessian_ = std::move(receive);
    }

    /// Like HessianAssembler::on_chunk.
    void on_chunk(std::function<void(Index)> report) { solver_.on_chunk(std::move(report)); }

  private:
    /// Spectra of one part of the Hessians, those of the full one with everything but the Gauss–Newton part.
    std::vector<Spectrum> solve(DeviceView<const double, 2> theta, DeviceView<const double, 2> gradient,
                                HessianPart part) {
        const bool full = part == HessianPart::full, handed_over = on_hessian_ && full;
        if (solver_.one_step() && handed_over)
            on_hessian_(hessian(theta));  // which the one step does not store
        Timer timer;
        const HessianSummaries<Space::host>& hessians = solver_.summarize_hessians(theta, gradient, part);
        double seconds_hessian = 0;
        if (!solver_.one_step()) {
            seconds_hessian = timer.seconds();
            if (handed_over) on_hessian_(solver_.symmetrized());
            timer.restart();
        }
        const SolvedSpectra<Space::host> solved = solver_.solve(tolerance_, options_.eigenvectors && full);
        HostRows theta_rows, gradient_rows;
        if (full && symmetric()) {
            theta_rows = HostRows(*context_, theta);
            gradient_rows = HostRows(*context_, gradient);
        }
        std::vector<Spectrum> spectra(static_cast<std::size_t>(replicas_));
        for (Index r = 0; r < replicas_; ++r) {
            Spectrum& spectrum = spectra[static_cast<std::size_t>(r)];
            set_numbers(hessians, solved, r, spectrum);
            if (full) {
                if (symmetric()) spectrum.symmetry_residual = hessians.symmetry_residual(r);
                const double limit = tolerance_ * solved.largest(r);
                const Index modes = symmetric()
                                        ? symmetry_zero_modes(directions_, theta_rows[r], gradient_rows[r],
                                                              hessians.keep(r), limit)
                                        : 0;
                set_zero_origins(hessians.keep(r), static_cast<Index>(solved.zero(r)), modes, spectrum);
            }
            spectrum.failure = failure(hessians, r, full && symmetric(), spectrum);
            if (spectrum.failure.empty()) set_eigenvalues(hessians, solved, r, full, spectrum);
        }
        const double share = 1 / static_cast<double>(replicas_);
        const double seconds_eigen = timer.seconds();
        for (Spectrum& spectrum : spectra) {
            spectrum.seconds_hessian = share * seconds_hessian;
            spectrum.seconds_eigen = share * seconds_eigen;
        }
        return spectra;
    }

    bool symmetric() const { return !directions_.empty(); }

    double fraction(double count) const { return count / static_cast<double>(parameters_); }
    double fraction(Index count) const { return fraction(static_cast<double>(count)); }

    void set_numbers(const HessianSummaries<Space::host>& hessians, const SolvedSpectra<Space::host>& solved,
                     Index r, Spectrum& spectrum) const {
        spectrum.tolerance = tolerance_;
        spectrum.trace = hessians.trace(r);
        spectrum.frobenius = hessians.frobenius(r);
        spectrum.gamma_dead = fraction(parameters_ - hessians.kept(r));
        spectrum.trace_error = solved.trace_error(r);
        spectrum.solved_again = solver_.solved_again(r) ? 1 : 0;
        spectrum.alpha = fraction(solved.negative(r));
        spectrum.gamma = fraction(solved.zero(r));
    }

    void set_zero_origins(std::span<const unsigned char> keep, Index zero, Index modes, Spectrum& spectrum) {
        const ZeroOrigins origins = zero_origins(first_layer_, keep, zero, modes,
                                                 [&](Index feature) { return dead_features_(feature); });
        spectrum.gamma_dead_inputs = fraction(origins.dead_inputs);
        spectrum.gamma_dead_units = fraction(origins.dead_units);
        spectrum.gamma_symmetry = fraction(origins.symmetry);
        spectrum.gamma_numerical = fraction(origins.numerical);
    }

    /// Reason why there is no spectrum, or "". Comparing a certificate with a limit would let NaN pass.
    static const char* failure(const HessianSummaries<Space::host>& hessians, Index r, bool symmetries,
                               const Spectrum& spectrum) {
        if (!hessians.finite(r)) return "the Hessian has entries that are not finite";
        if (!std::isfinite(spectrum.trace_error)) return "the eigenvalues are not finite";
        if (symmetries && !std::isfinite(spectrum.symmetry_residual)) return "the gradient is not finite";
        return "";
    }

    void set_eigenvalues(const HessianSummaries<Space::host>& hessians,
                         const SolvedSpectra<Space::host>& solved, Index r, bool full, Spectrum& spectrum) {
        const std::span<const double> values(solved.eigenvalues[r].data,
                                             static_cast<std::size_t>(hessians.kept(r)));
        if (options_.eigenvectors && full) solver_.restore_eigenvectors(r, values, spectrum);
        spectrum.eigenvalues = with_zeros(values, parameters_);
    }

    static void add_gauss_newton(Spectrum&& part, Spectrum& spectrum) {
        spectrum.gauss_newton = std::move(part.eigenvalues);
        spectrum.seconds_hessian += part.seconds_hessian;
        spectrum.seconds_eigen += part.seconds_eigen;
        spectrum.solved_again += part.solved_again;
        if (!part.failure.empty()) spectrum.failure = std::move(part.failure);
    }

    B* context_;
    Layer first_layer_;
    Index parameters_, replicas_;
    SpectrumOptions options_;
    double tolerance_;
    std::vector<ScalingDirection> directions_;
    DeadFeatures<B> dead_features_;
    BatchSolver<B> solver_;
    std::function<void(DeviceView<const double, 3>)> on_hessian_;
};

}  // namespace espectra
