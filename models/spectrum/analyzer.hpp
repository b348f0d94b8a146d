#pragma once

#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/fused_spectrum.hpp"
#include "espectra/kernels/spectrum.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/models/spectrum/indices.hpp"
#include "espectra/runtime/timer.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace espectra {

/// What the exact Hessian of one network says. NaN where it does not apply.
struct Spectrum {
    std::vector<double> eigenvalues;    ///< [P] ascending; deflated rows are exact zeros
    std::vector<double> gauss_newton;   ///< [P] of the Gauss–Newton part, if asked for
    std::vector<double> eigenvectors;   ///< [P, P] row e belongs to eigenvalue e, if asked for
    std::vector<double> participation;  ///< [P] inverse participation ratios, with eigenvectors
    double alpha = 0, gamma = 0;        ///< at `tolerance`
    double gamma_dead = 0;              ///< fraction of parameters whose Hessian row is exactly zero
    double gamma_dead_inputs = 0;       ///< of these: weights of features that are 0 in all examples
    double gamma_dead_units = 0;        ///< the rest of them: dead ReLU units
    double gamma_symmetry = 0;          ///< zeros that scaling symmetries explain, see symmetry_zero_modes
    double gamma_numerical = 0;         ///< zeros that nothing explains: γ less dead and symmetry
    double tolerance = 0;               ///< τ, relative to |λ|_max
    double trace = 0, frobenius = 0;
    double trace_error = 0;  ///< certificate, see trace_error()
    double symmetry_residual =
        std::numeric_limits<double>::quiet_NaN();   ///< certificate, see ScalingResidual
    double seconds_hessian = 0, seconds_eigen = 0;  ///< this network's share of its batch;
                                                    ///< all of it the latter's where it is one step
    std::string failure;  ///< why there is no spectrum, or empty; all other numbers are NaN then
};

struct SpectrumOptions {
    double tolerance = 0;  ///< 0: automatic_tolerance
    bool eigenvectors = false;
    bool gauss_newton = false;

    bool operator==(const SpectrumOptions&) const = default;
};

/// Exact spectra of R networks at a time. Holds R Hessians, and R more where they are deflated in a batch;
/// everything else is bounded. The context and the examples have to outlive it.
template <Backend B>
class SpectrumAnalyzer {
    template <class T, int Rank>
    using DeviceView = View<T, Rank, B::space>;

  public:
    SpectrumAnalyzer(B& context, const Network& network, Examples<B::space> examples, Index replicas,
                     const SpectrumOptions& options)
        : context_(&context),
          network_(network),
          examples_(examples),
          parameters_(network.parameters()),
          replicas_(replicas),
          options_(options),
          fused_(fuses(context, network, options)),
          assembler_(context, network, examples, replicas),
          hessian_(context, fused_ ? 0 : replicas * parameters_ * parameters_),
          statistics_(context, 3 * replicas + blocks_of_eight(replicas * parameters_)),
          results_(context, replicas * (parameters_ + 4)) {
        const std::vector<double> signs = network.scaling_directions();
        directions_ = static_cast<Index>(signs.size()) / parameters_;
        sparse_directions_ = scaling_directions(signs, parameters_);
        signs_ = Buffer<double, B::space>(context, static_cast<Index>(signs.size()));
        copy(context, signs.data(), signs_.data(), signs_.size());
        context.synchronize();
    }

    /// Memory that an analyzer takes on its device; `context` is a B.
    template <class Context>
    static std::size_t bytes(Context& context, const Network& network, Index examples, Index replicas,
                             const SpectrumOptions& options) {
        const auto p = static_cast<std::size_t>(network.parameters()), r = static_cast<std::size_t>(replicas);
        const bool fused = fuses(context, network, options);
        const std::size_t hessians = fused ? 0 : replicas > 1 && !options.eigenvectors ? 2 * r : r;
        int threads = 1;
        if constexpr (B::space == Space::host) threads = context.threads();
        // The scaling directions are on the host too while they are copied.
        const auto directions = static_cast<std::size_t>(network.scaling_direction_count());
        return (hessians * p * p + 2 * directions * p + scaling_residual_scratch * p) * sizeof(double) +
               eigen_workspace_bytes(context, options.eigenvectors ? 1 : replicas, network.parameters(),
                                     options.eigenvectors) +
               (fused ? 0 : HessianAssembler<B>::bytes(threads, network, examples, replicas));
    }

    /// How the spectra are computed: "in one step" (fused_spectrum) or "assembled, then solved".
    const char* method() const { return fused_ ? "in one step" : "assembled, then solved"; }

    /// Spectra of the networks θ [R, P] with gradients ∇ℓ(θ) [R, P]. A network whose Hessian, eigenvalues or
    /// gradient are not finite says so in Spectrum::failure, and the others have their spectra; a network
    /// that is alone throws NumericalError.
    std::vector<Spectrum> analyze(DeviceView<const double, 2> theta, DeviceView<const double, 2> gradient) {
        std::vector<Spectrum> spectra(static_cast<std::size_t>(replicas_));
        for (Spectrum& spectrum : spectra)
            spectrum.tolerance =
                options_.tolerance > 0 ? options_.tolerance : automatic_tolerance(parameters_);
        if (options_.gauss_newton) {
            solve(theta, gradient, HessianPart::gauss_newton, spectra);
            for (Spectrum& spectrum : spectra) {
                spectrum.gauss_newton = std::move(spectrum.eigenvalues);
                spectrum.symmetry_residual = nan;
            }
        }
        solve(theta, gradient, HessianPart::full, spectra);
        for (Spectrum& spectrum : spectra) {
            if (spectrum.failure.empty()) continue;
            if (replicas_ == 1) throw NumericalError(spectrum.failure);
            invalidate(spectrum);
        }
        return spectra;
    }

    /// The Hessians [R, P, P] at θ alone, both triangles; valid until the next call.
    DeviceView<const double, 3> hessian(DeviceView<const double, 2> theta,
                                        HessianPart part = HessianPart::full) {
        if (hessian_.size() == 0)
            hessian_ = Buffer<double, B::space>(*context_, replicas_ * parameters_ * parameters_);
        assembler_.assemble(theta, matrices(), part);
        symmetrize(*context_, matrices());
        return matrices();
    }

    /// Hands the Hessians [R, P, P] of every analysis over, both triangles, before the eigensolver overwrites
    /// them.
    void on_hessian(std::function<void(DeviceView<const double, 3>)> receive) {
        on_hessian_ = std::move(receive);
    }

    /// As HessianAssembler::on_chunk.
    void on_chunk(std::function<void(Index)> report) { assembler_.on_chunk(std::move(report)); }

  private:
    static constexpr double nan = std::numeric_limits<double>::quiet_NaN();

    /// What the host has to know before the eigensolver: tr H, ‖H‖_F, the scaling residuals, and which rows
    /// are not zero. In one buffer, for one transfer.
    struct Statistics {
        std::vector<double> numbers;
        Index replicas, parameters;

        double trace(Index r) const { return numbers[static_cast<std::size_t>(r)]; }
        double frobenius(Index r) const { return numbers[static_cast<std::size_t>(replicas + r)]; }
        double residual(Index r) const { return numbers[static_cast<std::size_t>(2 * replicas + r)]; }
        const unsigned char* keep(Index r) const {
            return reinterpret_cast<const unsigned char*>(numbers.data() + 3 * replicas) + r * parameters;
        }
        bool finite(Index r) const { return std::isfinite(frobenius(r)); }
        Index kept(Index r) const {
            return std::count(keep(r), keep(r) + parameters, static_cast<unsigned char>(1));
        }
    };

    /// [R, P] in host memory, or nothing.
    class HostRows {
      public:
        HostRows(B& context, DeviceView<const double, 2> rows, bool wanted)
            : stride_(rows.stride[0]), length_(rows.extent[1]) {
            if (wanted) values_ = fetch(context, rows.data, (rows.extent[0] - 1) * stride_ + length_);
        }
        std::span<const double> operator[](Index r) const {
            return {values_.data() + r * stride_, static_cast<std::size_t>(length_)};
        }

      private:
        Index stride_, length_;
        std::vector<double> values_;
    };

    static constexpr Index blocks_of_eight(Index bytes) { return (bytes + 7) / 8; }

    DeviceView<double, 3> matrices() { return hessian_.view(replicas_, parameters_, parameters_); }
    DeviceView<double, 1> statistic(Index i) {
        return make_view<B::space>(statistics_.data() + i * replicas_, replicas_);
    }
    DeviceView<unsigned char, 2> nonzero() {
        return make_view<B::space>(reinterpret_cast<unsigned char*>(statistics_.data() + 3 * replicas_),
                                   replicas_, parameters_);
    }

    void solve(DeviceView<const double, 2> theta, DeviceView<const double, 2> gradient, HessianPart part,
               std::vector<Spectrum>& spectra) {
        const bool handed_over = on_hessian_ && part == HessianPart::full;
        if (fused_ && handed_over) on_hessian_(hessian(theta));  // the one step holds none
        Timer timer;
        const bool symmetries = directions_ > 0 && part == HessianPart::full;
        const auto trace = statistic(0), frobenius = statistic(1), residual = statistic(2);
        if (fused_) {
            solve_in_one_step(theta, gradient, part);
        } else {
            assembler_.assemble(theta, matrices(), part);
            summarize(
                *context_,
                {.matrices = matrices(), .trace = trace, .frobenius = frobenius, .nonzero_row = nonzero()});
            if (symmetries)
                scaling_residual(*context_, {.matrices = matrices(),
                                             .signs = signs_.view(directions_, parameters_),
                                             .theta = theta,
                                             .gradient = gradient,
                                             .frobenius = frobenius,
                                             .residual = residual});
        }
        const Statistics statistics{fetch(*context_, statistics_.data(), statistics_.size()), replicas_,
                                    parameters_};
        double seconds_hessian = 0;
        if (!fused_) {
            seconds_hessian = timer.seconds() / static_cast<double>(replicas_);
            if (handed_over) {
                symmetrize(*context_, matrices());
                on_hessian_(matrices());
            }
            timer.restart();
        }
        const bool vectors = options_.eigenvectors && part == HessianPart::full;
        const auto values = fused_    ? results_.view(replicas_, parameters_)
                            : vectors ? solve_one_by_one(statistics)
                                      : solve_together(statistics);
        // Behind the eigenvalues, for one transfer: per network four numbers.
        const Index width = values.extent[1], count = replicas_ * width;
        const auto result = [&](Index i) {
            return make_view<B::space>(results_.data() + count + i * replicas_, replicas_);
        };
        summarize_spectra(*context_, {.eigenvalues = values,
                                      .keep = nonzero(),
                                      .trace = trace,
                                      .frobenius = frobenius,
                                      .tolerance = spectra.front().tolerance,
                                      .trace_error = result(0),
                                      .largest = result(1),
                                      .negative = result(2),
                                      .zero = result(3)});
        const std::vector<double> results = fetch(*context_, results_.data(), count + 4 * replicas_);
        const HostRows theta_rows(*context_, theta, symmetries),
            gradient_rows(*context_, gradient, symmetries);
        for (Index r = 0; r < replicas_; ++r) {
            Spectrum& spectrum = spectra[static_cast<std::size_t>(r)];
            const Index kept = statistics.kept(r);
            const auto number = [&](Index i) {
                return results[static_cast<std::size_t>(count + i * replicas_ + r)];
            };
            const auto fraction = [&](double rows) { return rows / static_cast<double>(parameters_); };
            spectrum.trace = statistics.trace(r);
            spectrum.frobenius = statistics.frobenius(r);
            spectrum.gamma_dead = fraction(static_cast<double>(parameters_ - kept));
            spectrum.trace_error = number(0);
            spectrum.alpha = fraction(number(2));
            spectrum.gamma = fraction(number(3));
            if (part == HessianPart::full) {
                const double limit = spectrum.tolerance * number(1);
                const Index modes = symmetries
                                        ? symmetry_zero_modes(sparse_directions_, theta_rows[r],
                                                              gradient_rows[r], statistics.keep(r), limit)
                                        : 0;
                take_zeros_apart(statistics.keep(r), kept, static_cast<Index>(number(3)), modes, spectrum);
            }
            if (symmetries) spectrum.symmetry_residual = statistics.residual(r);
            // A comparison with a limit would let NaN pass.
            if (!statistics.finite(r))
                fail(spectrum, "the Hessian has entries that are not finite");
            else if (!std::isfinite(spectrum.trace_error))
                fail(spectrum, "the eigenvalues are not finite");
            else if (symmetries && !std::isfinite(spectrum.symmetry_residual))
                fail(spectrum, "the gradient is not finite");
            else
                store_eigenvalues(r, results.data() + r * width, statistics.keep(r), kept, vectors, spectrum);
        }
        const double seconds_eigen = timer.seconds() / static_cast<double>(replicas_);
        for (Spectrum& spectrum : spectra) {
            spectrum.seconds_hessian += seconds_hessian;
            spectrum.seconds_eigen += seconds_eigen;
        }
    }

    /// Says of `zero` eigenvalues, P − kept of them rows that are exactly zero, where they come from;
    /// `modes`: what the scaling symmetries explain.
    void take_zeros_apart(const unsigned char* keep, Index kept, Index zero, Index modes,
                          Spectrum& spectrum) {
        const Layer& first = network_.layers().front();
        const auto row = [&](Index unit, Index input) {
            return keep[first.offsets.weights + unit * first.inputs + input];
        };
        Index inputs = 0;
        for (Index j = 0; j < first.inputs && kept < parameters_; ++j) {
            Index unit = 0;
            while (unit < first.units && !row(unit, j)) ++unit;
            if (unit == first.units && is_dead_feature(j)) inputs += first.units;
        }
        const Index dead = parameters_ - kept, symmetry = std::min(modes, zero - dead);
        const auto fraction = [&](Index rows) {
            return static_cast<double>(rows) / static_cast<double>(parameters_);
        };
        spectrum.gamma_dead_inputs = fraction(inputs);
        spectrum.gamma_dead_units = fraction(dead - inputs);
        spectrum.gamma_symmetry = fraction(symmetry);
        spectrum.gamma_numerical = fraction(zero - dead - symmetry);
    }

    /// Whether feature j is 0 in all examples; looked up once, for features whose weights are all dead.
    bool is_dead_feature(Index j) {
        if (dead_features_.empty()) dead_features_.resize(static_cast<std::size_t>(network_.inputs()));
        std::optional<bool>& dead = dead_features_[static_cast<std::size_t>(j)];
        if (!dead) {
            const auto values = fetch(*context_, examples_.features[j].data, examples_.count());
            dead = std::ranges::all_of(values, [](double value) { return value == 0; });
        }
        return *dead;
    }

    template <class Context>
    static bool fuses(Context& context, const Network& network, const SpectrumOptions& options) {
        return !options.eigenvectors &&
               fused_spectrum_fits(context, network.layers().data(), std::ssize(network.layers()));
    }

    void solve_in_one_step(DeviceView<const double, 2> theta, DeviceView<const double, 2> gradient,
                           HessianPart part) {
        const bool full = part == HessianPart::full;
        FusedSpectrum<B::space> step{.layers = {},
                                     .count = static_cast<int>(network_.layers().size()),
                                     .loss = network_.loss(),
                                     .full = full,
                                     .features = examples_.features,
                                     .targets = examples_.targets,
                                     .signs = signs_.view(full ? directions_ : 0, parameters_),
                                     .theta = theta,
                                     .gradient = gradient,
                                     .trace = statistic(0),
                                     .frobenius = statistic(1),
                                     .residual = statistic(2),
                                     .nonzero_row = nonzero(),
                                     .eigenvalues = results_.view(replicas_, parameters_)};
        std::ranges::copy(network_.layers(), step.layers);
        fused_spectrum(*context_, step);
    }

    static void fail(Spectrum& spectrum, const char* reason) {
        if (spectrum.failure.empty()) spectrum.failure = reason;
    }

    void invalidate(Spectrum& spectrum) const {
        Spectrum invalid;
        const auto p = static_cast<std::size_t>(parameters_);
        invalid.eigenvalues.assign(p, nan);
        if (options_.gauss_newton) invalid.gauss_newton.assign(p, nan);
        if (options_.eigenvectors) {
            invalid.eigenvectors.assign(p * p, nan);
            invalid.participation.assign(p, nan);
        }
        for (double* number :
             {&invalid.alpha, &invalid.gamma, &invalid.gamma_dead, &invalid.gamma_dead_inputs,
              &invalid.gamma_dead_units, &invalid.gamma_symmetry, &invalid.gamma_numerical, &invalid.trace,
              &invalid.frobenius, &invalid.trace_error})
            *number = nan;
        invalid.tolerance = spectrum.tolerance;
        invalid.seconds_hessian = spectrum.seconds_hessian;
        invalid.seconds_eigen = spectrum.seconds_eigen;
        invalid.failure = std::move(spectrum.failure);
        spectrum = std::move(invalid);
    }

    /// Matrix r without its exactly zero rows, in place.
    DeviceView<double, 3> deflated_in_place(Index r, Index kept) {
        if (kept < parameters_) compress_rows(*context_, matrices()[r], nonzero()[r]);
        return share(matrices()[r].slice(0, 0, kept).slice(1, 0, kept), 1);
    }

    /// Eigenvalues [R, n] of all matrices without their exactly zero rows, n those of the largest.
    DeviceView<double, 2> solve_together(const Statistics& statistics) {
        bool whole = true;
        Index width = 0;
        for (Index r = 0; r < replicas_; ++r) {
            whole = whole && statistics.finite(r) && statistics.kept(r) == parameters_;
            if (statistics.finite(r)) width = std::max(width, statistics.kept(r));
        }
        const auto values = results_.view(replicas_, width);
        if (width == 0) return values;
        if (whole) {
            symmetric_eigenvalues(*context_, matrices(), values);
        } else if (replicas_ == 1) {
            symmetric_eigenvalues(*context_, deflated_in_place(0, width), values);
        } else {
            Buffer<double, B::space> deflated(*context_, replicas_ * width * width);
            const auto batch = deflated.view(replicas_, width, width);
            deflate(
                *context_,
                {.matrices = matrices(), .keep = nonzero(), .frobenius = statistic(1), .deflated = batch});
            symmetric_eigenvalues(*context_, batch, values);
        }
        return values;
    }

    /// Eigenvalues [R, P], of each matrix as many as it has rows that are not zero, and its eigenvectors in
    /// its place.
    DeviceView<double, 2> solve_one_by_one(const Statistics& statistics) {
        const auto values = results_.view(replicas_, parameters_);
        for (Index r = 0; r < replicas_; ++r)
            if (const Index kept = statistics.kept(r); statistics.finite(r) && kept > 0)
                symmetric_eigenvectors(*context_, deflated_in_place(r, kept),
                                       values.slice(0, r, 1).slice(1, 0, kept));
        return values;
    }

    /// The zeros of the deflated rows go before the first eigenvalue ≥ 0.
    void store_eigenvalues(Index r, const double* solved, const unsigned char* keep, Index kept, bool vectors,
                           Spectrum& spectrum) {
        const Index before = std::lower_bound(solved, solved + kept, 0.0) - solved;
        if (vectors) store_vectors(matrices()[r], keep, kept, before, spectrum);
        spectrum.eigenvalues.assign(solved, solved + kept);
        spectrum.eigenvalues.insert(spectrum.eigenvalues.begin() + before,
                                    static_cast<std::size_t>(parameters_ - kept), 0.0);
    }

    void store_vectors(DeviceView<double, 2> matrix, const unsigned char* keep, Index kept, Index before,
                       Spectrum& spectrum) {
        Buffer<double, B::space> ratios(*context_, kept);
        inverse_participation_ratios(
            *context_, share(DeviceView<const double, 2>(matrix.slice(0, 0, kept).slice(1, 0, kept)), 1),
            ratios.view(1, kept));
        const std::vector<double> solved_ratios = fetch(*context_, ratios.data(), kept);
        spectrum.eigenvectors.assign(static_cast<std::size_t>(parameters_ * parameters_), 0.0);
        spectrum.participation.assign(static_cast<std::size_t>(parameters_), 1.0);  // of a unit vector
        const Index zeros = parameters_ - kept;
        Index dead = 0;
        for (Index p = 0; p < parameters_; ++p)  // each deflated row is its own eigenvector
            if (!keep[p])
                spectrum.eigenvectors[static_cast<std::size_t>((before + dead++) * parameters_ + p)] = 1.0;
        for (Index e = 0; e < kept; ++e) {
            const Index at = e < before ? e : e + zeros;
            const std::vector<double> row = fetch(*context_, matrix.data + e * matrix.stride[0], kept);
            Index i = 0;
            for (Index p = 0; p < parameters_; ++p)
                if (keep[p])
                    spectrum.eigenvectors[static_cast<std::size_t>(at * parameters_ + p)] =
                        row[static_cast<std::size_t>(i++)];
            spectrum.participation[static_cast<std::size_t>(at)] = solved_ratios[static_cast<std::size_t>(e)];
        }
    }

    B* context_;
    Network network_;
    Examples<B::space> examples_;
    Index parameters_, replicas_;
    SpectrumOptions options_;
    bool fused_;
    HessianAssembler<B> assembler_;
    Buffer<double, B::space> hessian_, statistics_, results_, signs_;
    std::function<void(DeviceView<const double, 3>)> on_hessian_;
    Index directions_ = 0;
    std::vector<ScalingDirection> sparse_directions_;  // as signs_, on the host
    std::vector<std::optional<bool>> dead_features_;
};

}  // namespace espectra
