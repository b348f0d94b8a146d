#pragma once

#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/fused_spectrum.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/spectrum.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/models/network.hpp"
#include "espectra/models/spectrum/batch.hpp"
#include "espectra/models/spectrum/deflation.hpp"
#include "espectra/models/spectrum/spectrum.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace espectra {

/// The numerical work of SpectrumAnalyzer on a backend: Hessians of R networks and their summaries, then
/// their eigenvalues. Small networks take one step (fused_spectrum), which stores no Hessians. Context and
/// examples have to outlive it.
template <Backend B>
class BatchSolver {
    template <class T, int Rank>
    using DeviceView = View<T, Rank, B::space>;

  public:
    BatchSolver(B& context, const Network& network, Examples<B::space> examples, Index replicas,
                const SpectrumOptions& options)
        : context_(&context),
          network_(network),
          examples_(examples),
          parameters_(network.parameters()),
          replicas_(replicas),
          directions_(network.scaling_direction_count()),
          one_step_(fits_one_step(context, network, options)),
          assembler_(context, network, examples, replicas),
          hessian_(context, one_step_ ? 0 : replicas * parameters_ * parameters_),
          summaries_(context, HessianSummaries<B::space>::size(replicas, parameters_)),
          solved_(context, SolvedSpectra<B::space>::size(replicas, parameters_)),
          signs_(context, directions_ * parameters_) {
        const std::vector<double> signs = network.scaling_directions();
        copy(context, signs.data(), signs_.data(), signs_.size());
        // Values that no kernel sets are copied to the host with the others: eigenvalues of deflated rows,
        // the symmetry residual where there is none, and the end of the marks.
        const std::vector<double> zeros(
            static_cast<std::size_t>(std::max(summaries_.size(), solved_.size())));
        copy(context, zeros.data(), summaries_.data(), summaries_.size());
        copy(context, zeros.data(), solved_.data(), solved_.size());
        context.synchronize();
    }

    /// Bytes that a solver takes on its device; `context` is a B.
    template <class Context>
    static std::size_t bytes(Context& context, const Network& network, Index examples, Index replicas,
                             const SpectrumOptions& options) {
        constexpr Space S = B::space;
        const Index p = network.parameters(), directions = network.scaling_direction_count();
        const bool one_step = fits_one_step(context, network, options);
        const bool batch = replicas > 1 && !options.eigenvectors;  // copied where it is deflated
        const Index hessians = one_step ? 0 : (batch ? 2 : 1) * replicas * p * p;
        // The scaling directions and the zeros are stored on the host too while they are copied.
        const Index results =
            HessianSummaries<S>::size(replicas, p) + SolvedSpectra<S>::size(replicas, p) + 2 * directions * p;
        const Index summary = replicas * p + scaling_residual_scratch<S>(replicas, directions, p);
        const Index deflation = batch ? replicas * (p + 1) : compress_rows_scratch<S>(p) + p;
        int threads = 1;
        if constexpr (requires { context.threads(); }) threads = context.threads();
        return static_cast<std::size_t>(hessians + results + (one_step ? 0 : summary + deflation)) *
                   sizeof(double) +
               eigen_workspace_bytes(context, options.eigenvectors ? 1 : replicas, p, options.eigenvectors) +
               (one_step ? 0 : HessianAssembler<B>::bytes(threads, network, examples, replicas));
    }

    /// Returns true if the step from θ to eigenvalues is one kernel.
    bool one_step() const { return one_step_; }

    /// Hessians [R, P, P] at θ, both triangles; valid until the next call.
    DeviceView<const double, 3> hessian(DeviceView<const double, 2> theta, HessianPart part) {
        if (hessian_.size() == 0)
            hessian_ = Buffer<double, B::space>(*context_, replicas_ * parameters_ * parameters_);
        assembler_.assemble(theta, matrices(), part);
        return symmetrized();
    }

    /// Computes the Hessians at θ [R, P], with gradients ∇ℓ(θ) [R, P], and returns their summaries in host
    /// memory; valid until the next call. The one step computes the eigenvalues as well. There is no symmetry
    /// residual for the Gauss–Newton part, nor for networks without scaling symmetries.
    const HessianSummaries<Space::host>& summarize_hessians(DeviceView<const double, 2> theta,
                                                            DeviceView<const double, 2> gradient,
                                                            HessianPart part) {
        if (one_step_)
            solve_in_one_step(theta, gradient, part);
        else
            assemble_and_summarize(theta, gradient, part);
        known_memory_ = fetch(*context_, summaries_.data(), summaries_.size());
        known_ = HessianSummaries<Space::host>::at(known_memory_.data(), replicas_, parameters_);
        return known_;
    }

    /// Copies the upper triangles of the assembled Hessians to the lower ones and returns the Hessians.
    DeviceView<const double, 3> symmetrized() {
        symmetrize(*context_, {matrices()});
        return matrices();
    }

    /// Eigenvalues of the Hessians of the last summarize_hessians(), with certificates and with counts at
    /// `tolerance`, in host memory; valid until the next call. `vectors`: the eigenvectors, which replace
    /// the Hessians.
    SolvedSpectra<Space::host> solve(double tolerance, bool vectors) {
        const auto summaries = on_device();
        const Index n = one_step_ || vectors ? parameters_ : deflated_rows(known_);
        const auto solved = SolvedSpectra<B::space>::at(solved_.data(), replicas_, n);
        if (vectors)
            deflated_eigenvectors(*context_, matrices(), summaries, known_, solved.eigenvalues);
        else if (!one_step_)
            deflated_eigenvalues(*context_, matrices(), summaries, known_, solved.eigenvalues);
        summarize_spectra(*context_, {.eigenvalues = solved.eigenvalues,
                                      .keep = summaries.nonzero_row,
                                      .trace = summaries.trace,
                                      .frobenius = summaries.frobenius,
                                      .tolerance = tolerance,
                                      .trace_error = solved.trace_error,
                                      .largest = solved.largest,
                                      .negative = solved.negative,
                                      .zero = solved.zero});
        solved_memory_ = fetch(*context_, solved_.data(), SolvedSpectra<Space::host>::size(replicas_, n));
        return SolvedSpectra<Space::host>::at(solved_memory_.data(), replicas_, n);
    }

    /// The Hessians [R, P, P], or their eigenvectors after solve().
    DeviceView<double, 3> matrices() { return hessian_.view(replicas_, parameters_, parameters_); }

    /// Like HessianAssembler::on_chunk.
    void on_chunk(std::function<void(Index)> report) { assembler_.on_chunk(std::move(report)); }

  private:
    template <class Context>
    static bool fits_one_step(Context& context, const Network& network, const SpectrumOptions& options) {
        return !options.eigenvectors && fused_spectrum_fits(context, network.view());
    }

    HessianSummaries<B::space> on_device() {
        return HessianSummaries<B::space>::at(summaries_.data(), replicas_, parameters_);
    }

    void assemble_and_summarize(DeviceView<const double, 2> theta, DeviceView<const double, 2> gradient,
                                HessianPart part) {
        const auto summaries = on_device();
        assembler_.assemble(theta, matrices(), part);
        summarize(*context_, {.matrices = matrices(),
                              .trace = summaries.trace,
                              .frobenius = summaries.frobenius,
                              .nonzero_row = summaries.nonzero_row});
        if (directions_ > 0 && part == HessianPart::full)
            scaling_residual(*context_, {.matrices = matrices(),
                                         .signs = signs_.view(directions_, parameters_),
                                         .theta = theta,
                                         .gradient = gradient,
                                         .frobenius = summaries.frobenius,
                                         .residual = summaries.symmetry_residual});
    }

    void solve_in_one_step(DeviceView<const double, 2> theta, DeviceView<const double, 2> gradient,
                           HessianPart part) {
        const bool full = part == HessianPart::full;
        const auto summaries = on_device();
        fused_spectrum(*context_, {.network = network_.view(),
                                   .full = full,
                                   .features = examples_.features,
                                   .targets = examples_.targets,
                                   .signs = signs_.view(full ? directions_ : 0, parameters_),
                                   .theta = theta,
                                   .gradient = gradient,
                                   .trace = summaries.trace,
                                   .frobenius = summaries.frobenius,
                                   .residual = summaries.symmetry_residual,
                                   .nonzero_row = summaries.nonzero_row,
                                   .eigenvalues = solved_.view(replicas_, parameters_)});
    }

    B* context_;
    Network network_;
    Examples<B::space> examples_;
    Index parameters_, replicas_, directions_;
    bool one_step_;
    HessianAssembler<B> assembler_;
    Buffer<double, B::space> hessian_, summaries_, solved_;
    Buffer<double, B::space> signs_;  // scaling directions [d, P]
    std::vector<double> known_memory_, solved_memory_;
    HessianSummaries<Space::host> known_{};  // the host's copy of summaries_
};

}  // namespace espectra
