#pragma once

#include "espectra/kernels/eigen.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/models/indices.hpp"
#include "espectra/runtime/timer.hpp"

#include <cmath>
#include <limits>
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
    double tolerance = 0;               ///< τ, relative to |λ|_max
    double trace = 0, frobenius = 0;
    double trace_error = 0;  ///< certificate, see trace_error()
    double symmetry_residual =
        std::numeric_limits<double>::quiet_NaN();  ///< certificate, see ScalingResidual
    double seconds_hessian = 0, seconds_eigen = 0;
};

struct SpectrumOptions {
    double tolerance = 0;  ///< 0: automatic_tolerance
    bool eigenvectors = false;
    bool gauss_newton = false;
};

/// Exact spectra of R networks at a time. Holds R Hessians; everything else is bounded. The context and the
/// examples have to outlive it.
template <Backend B>
class SpectrumAnalyzer {
  public:
    SpectrumAnalyzer(B& context, const Network& network, Examples<B::space> examples, Index replicas,
                     const SpectrumOptions& options)
        : context_(&context),
          parameters_(network.parameters()),
          replicas_(replicas),
          options_(options),
          assembler_(context, network, examples, replicas),
          hessian_(context, replicas * parameters_ * parameters_),
          eigenvalues_(context, replicas * parameters_),
          trace_(context, replicas),
          frobenius_(context, replicas),
          residual_(context, replicas),
          nonzero_(context, replicas * parameters_) {
        const std::vector<double> signs = network.scaling_directions();
        directions_ = static_cast<Index>(signs.size()) / parameters_;
        signs_ = Buffer<double, B::space>(context, static_cast<Index>(signs.size()));
        copy(context, signs.data(), signs_.data(), signs_.size());
        context.synchronize();
    }

    /// Memory that an analyzer takes on its device.
    static std::size_t bytes(const B& context, const Network& network, Index examples, Index replicas,
                             const SpectrumOptions& options) {
        const auto p = static_cast<std::size_t>(network.parameters()), r = static_cast<std::size_t>(replicas);
        // The scaling directions are on the host too while they are copied.
        const auto directions = static_cast<std::size_t>(network.scaling_direction_count());
        return (r * p * p + 2 * directions * p + scaling_residual_scratch * p) * sizeof(double) +
               eigen_workspace_bytes(context, network.parameters(), options.eigenvectors) +
               HessianAssembler<B>::bytes(network, examples, replicas);
    }

    /// Spectra of the networks θ [R, P] with gradients ∇ℓ(θ) [R, P].
    std::vector<Spectrum> analyze(View<const double, 2, B::space> theta,
                                  View<const double, 2, B::space> gradient) {
        std::vector<Spectrum> spectra(static_cast<std::size_t>(replicas_));
        if (options_.gauss_newton) {
            solve(theta, gradient, HessianPart::gauss_newton, spectra);
            for (Spectrum& spectrum : spectra) {
                spectrum.gauss_newton = std::move(spectrum.eigenvalues);
                spectrum.symmetry_residual = std::numeric_limits<double>::quiet_NaN();
            }
        }
        solve(theta, gradient, HessianPart::full, spectra);
        for (Spectrum& spectrum : spectra) {
            spectrum.tolerance =
                options_.tolerance > 0 ? options_.tolerance : automatic_tolerance(parameters_);
            const SpectralIndices indices = spectral_indices(spectrum.eigenvalues, spectrum.tolerance);
            spectrum.alpha = indices.alpha;
            spectrum.gamma = indices.gamma;
        }
        return spectra;
    }

    /// The Hessians [R, P, P] at θ alone, both triangles; valid until the next call.
    View<const double, 3, B::space> hessian(View<const double, 2, B::space> theta,
                                            HessianPart part = HessianPart::full) {
        assembler_.assemble(theta, matrices(), part);
        symmetrize(*context_, matrices());
        return matrices();
    }

  private:
    View<double, 3, B::space> matrices() { return hessian_.view(replicas_, parameters_, parameters_); }

    template <class T>
    std::vector<T> fetch(const Buffer<T, B::space>& buffer) {
        std::vector<T> values(static_cast<std::size_t>(buffer.size()));
        copy(*context_, buffer.data(), values.data(), buffer.size());
        context_->synchronize();
        return values;
    }

    void solve(View<const double, 2, B::space> theta, View<const double, 2, B::space> gradient,
               HessianPart part, std::vector<Spectrum>& spectra) {
        Timer timer;
        assembler_.assemble(theta, matrices(), part);
        summarize(*context_, {.matrices = matrices(),
                              .trace = trace_.view(replicas_),
                              .frobenius = frobenius_.view(replicas_),
                              .nonzero_row = nonzero_.view(replicas_, parameters_)});
        if (directions_ > 0 && part == HessianPart::full)
            scaling_residual(*context_, {.matrices = matrices(),
                                         .signs = signs_.view(directions_, parameters_),
                                         .theta = theta,
                                         .gradient = gradient,
                                         .frobenius = frobenius_.view(replicas_),
                                         .residual = residual_.view(replicas_)});
        const auto trace = fetch(trace_), frobenius = fetch(frobenius_), residual = fetch(residual_);
        const auto nonzero = fetch(nonzero_);
        const double seconds_hessian = timer.seconds() / static_cast<double>(replicas_);
        for (Index r = 0; r < replicas_; ++r) {
            if (!std::isfinite(frobenius[static_cast<std::size_t>(r)]))
                throw NumericalError("the Hessian has entries that are not finite");
        }

        timer.restart();
        for (Index r = 0; r < replicas_; ++r) {
            Spectrum& spectrum = spectra[static_cast<std::size_t>(r)];
            const unsigned char* keep = nonzero.data() + r * parameters_;
            const Index kept = std::count(keep, keep + parameters_, static_cast<unsigned char>(1));
            solve_deflated(r, keep, kept, part, spectrum);
            spectrum.gamma_dead = static_cast<double>(parameters_ - kept) / static_cast<double>(parameters_);
            spectrum.trace = trace[static_cast<std::size_t>(r)];
            spectrum.frobenius = frobenius[static_cast<std::size_t>(r)];
            spectrum.trace_error = trace_error(spectrum.eigenvalues, spectrum.trace, spectrum.frobenius);
            if (directions_ > 0 && part == HessianPart::full)
                spectrum.symmetry_residual = residual[static_cast<std::size_t>(r)];
            // A comparison with a limit would let NaN pass.
            if (!std::isfinite(spectrum.trace_error)) throw NumericalError("the eigenvalues are not finite");
            if (directions_ > 0 && part == HessianPart::full && !std::isfinite(spectrum.symmetry_residual))
                throw NumericalError("the gradient is not finite");
            spectrum.seconds_hessian += seconds_hessian;
        }
        const double seconds_eigen = timer.seconds() / static_cast<double>(replicas_);
        for (Spectrum& spectrum : spectra) spectrum.seconds_eigen += seconds_eigen;
    }

    /// Eigenvalues (and vectors) of matrix r without its exactly zero rows, then the zeros put back.
    void solve_deflated(Index r, const unsigned char* keep, Index kept, HessianPart part,
                        Spectrum& spectrum) {
        const bool vectors = options_.eigenvectors && part == HessianPart::full;
        auto matrix = matrices()[r];
        if (kept < parameters_) compress_rows(*context_, matrix, nonzero_.view(replicas_, parameters_)[r]);
        const auto part_of = [&](View<double, 2, B::space> view) {
            return share(view.slice(0, 0, kept).slice(1, 0, kept), 1);
        };
        const auto values = eigenvalues_.view(1, kept);
        if (vectors)
            symmetric_eigenvectors(*context_, part_of(matrix), values);
        else
            symmetric_eigenvalues(*context_, part_of(matrix), values);

        std::vector<double> solved(static_cast<std::size_t>(kept));
        copy(*context_, eigenvalues_.data(), solved.data(), kept);
        context_->synchronize();
        // The zeros of the deflated rows stand before the first eigenvalue ≥ 0.
        const auto at = std::lower_bound(solved.begin(), solved.end(), 0.0);
        const Index before = at - solved.begin(), zeros = parameters_ - kept;
        if (vectors) store_vectors(matrix, keep, kept, before, spectrum);
        solved.insert(at, static_cast<std::size_t>(zeros), 0.0);
        spectrum.eigenvalues = std::move(solved);
    }

    void store_vectors(View<double, 2, B::space> matrix, const unsigned char* keep, Index kept, Index before,
                       Spectrum& spectrum) {
        Buffer<double, B::space> ratios(*context_, kept);
        inverse_participation_ratios(
            *context_, share(View<const double, 2, B::space>(matrix.slice(0, 0, kept).slice(1, 0, kept)), 1),
            ratios.view(1, kept));
        const std::vector<double> solved_ratios = fetch(ratios);
        std::vector<double> row(static_cast<std::size_t>(kept));
        spectrum.eigenvectors.assign(static_cast<std::size_t>(parameters_ * parameters_), 0.0);
        spectrum.participation.assign(static_cast<std::size_t>(parameters_), 1.0);  // of a unit vector
        const Index zeros = parameters_ - kept;
        Index dead = 0;
        for (Index p = 0; p < parameters_; ++p)  // each deflated row is its own eigenvector
            if (!keep[p])
                spectrum.eigenvectors[static_cast<std::size_t>((before + dead++) * parameters_ + p)] = 1.0;
        for (Index e = 0; e < kept; ++e) {
            const Index at = e < before ? e : e + zeros;
            copy(*context_, matrix.data + e * matrix.stride[0], row.data(), kept);
            context_->synchronize();
            Index i = 0;
            for (Index p = 0; p < parameters_; ++p)
                if (keep[p])
                    spectrum.eigenvectors[static_cast<std::size_t>(at * parameters_ + p)] =
                        row[static_cast<std::size_t>(i++)];
            spectrum.participation[static_cast<std::size_t>(at)] = solved_ratios[static_cast<std::size_t>(e)];
        }
    }

    B* context_;
    Index parameters_, replicas_;
    SpectrumOptions options_;
    HessianAssembler<B> assembler_;
    Buffer<double, B::space> hessian_, eigenvalues_, trace_, frobenius_, residual_, signs_;
    Buffer<unsigned char, B::space> nonzero_;
    Index directions_ = 0;
};

}  // namespace espectra
