#pragma once

#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/fused_spectrum.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/spectrum.hpp"
#include "espectra/models/hessian.hpp"
#include "espectra/models/network.hpp"
#include "espectra/models/spectrum/batch.hpp"
#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/models/spectrum/deflation.hpp"
#include "espectra/models/spectrum/spectrum.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
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
        // A batch is copied where it is deflated, which may leave any number of rows, and for eigenvectors.
        const bool vectors = options.eigenvectors, batch = solves_together(context, replicas, 1, vectors);
        const Index copied = !batch ? 0 : vectors ? std::min(p, most_batched_rows) : p;
        const Index hessians = one_step ? 0 : replicas * (p * p + copied * copied);
        // The scaling directions and the zeros are stored on the host too while they are copied.
        const Index results =
            HessianSummaries<S>::size(replicas, p) + SolvedSpectra<S>::size(replicas, p) + 2 * directions * p;
        const Index summary = replicas * p + scaling_residual_scratch<S>(replicas, directions, p);
        const Index ratios = vectors ? replicas * p : 0;
        // A matrix of a batch may be compressed and solved again.
        const Index alone = compress_rows_scratch<S>(p) + p;
        const Index deflation = (batch ? std::max(deflate_scratch<S>(replicas, p), alone) : alone) + ratios;
        return static_cast<std::size_t>(hessians + results + (one_step ? 0 : summary + deflation)) *
                   sizeof(double) +
               eigen_workspace_bytes(context, batch ? replicas : 1, p, vectors) +
               (one_step ? 0 : HessianAssembler<B>::bytes(context, network, examples, replicas));
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
    /// residual for the Gauss–Newton part, nor for networks without scaling symmetries. θ has to remain until
    /// solve().
    const HessianSummaries<Space::host>& summarize_hessians(DeviceView<const double, 2> theta,
                                                            DeviceView<const double, 2> gradient,
                                                            HessianPart part) {
        theta_ = theta;
        part_ = part;
        deflated_ = {};
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
    /// `tolerance`, in host memory; valid until the next call. `vectors`: the eigenvectors as well. The
    /// Hessians are destroyed.
    ///
    /// Where a batch was solved together, eigenvalues that violate their certificate are not taken: these
    /// matrices are solved again, each by itself. Solvers of batches are other routines than those of single
    /// matrices, and cuSOLVER's was reported wrong where matrices lack rank.
    SolvedSpectra<Space::host> solve(double tolerance, bool vectors) {
        const Index n = one_step_ ? parameters_ : deflated_rows(known_);
        const auto solved = SolvedSpectra<B::space>::at(solved_.data(), replicas_, n);
        again_.assign(static_cast<std::size_t>(replicas_), false);
        together_ = !one_step_ && solves_together(*context_, replicas_, n, vectors);
        if (together_)
            solve_batch(solved.eigenvalues, vectors);
        else if (!one_step_)
            for (Index r = 0; r < replicas_; ++r) solve_alone(r, solved.eigenvalues, vectors);
        auto found = summarized(solved, tolerance);
        if (together_ && find_violations(found)) {
            solve_again(solved.eigenvalues, vectors);
            found = summarized(solved, tolerance);
        }
        if (vectors) fetch_vectors(n);
        return found;
    }

    /// Returns true if the last solve() solved this matrix a second time.
    bool solved_again(Index replica) const { return again_[static_cast<std::size_t>(replica)]; }

    /// Sets the eigenvectors of a replica after solve() with vectors, and their participation ratios.
    /// `solved`: the eigenvalues of its deflated Hessian.
    void restore_eigenvectors(Index replica, std::span<const double> solved, Spectrum& spectrum) {
        const std::span<const unsigned char> keep = known_.keep(replica);
        if (together_ && !solved_again(replica)) {
            const Index first = replica * ratios_[replica].size();
            espectra::restore_eigenvectors(vectors_, first, ratios_[replica], solved, keep, spectrum);
            return;
        }
        const Index kept = std::ssize(solved);
        const auto rows = matrices()[replica].slice(0, 0, kept).slice(1, 0, kept);
        Buffer<double, B::space> memory(*context_, kept);
        const HostRows ratios = participation(share(rows, 1), memory);
        espectra::restore_eigenvectors(HostRows(*context_, rows), 0, ratios[0], solved, keep, spectrum);
    }

    /// Like HessianAssembler::on_chunk.
    void on_chunk(std::function<void(Index)> report) { assembler_.on_chunk(std::move(report)); }

  private:
    template <class Context>
    static bool fits_one_step(Context& context, const Network& network, const SpectrumOptions& options) {
        return !options.eigenvectors && fused_spectrum_fits(context, network.view());
    }

    /// Returns true if the matrices of a batch are solved by one call, from a copy where they are deflated.
    template <class Context>
    static bool solves_together(const Context& context, Index replicas, Index n, bool vectors) {
        return replicas > 1 && (!vectors || batches_eigenvectors(context, replicas, n));
    }

    /// The Hessians [R, P, P].
    DeviceView<double, 3> matrices() { return hessian_.view(replicas_, parameters_, parameters_); }

    /// Solves all matrices together, brought to n rows. Eigenvectors are in `deflated_` afterwards.
    void solve_batch(DeviceView<double, 2> eigenvalues, bool vectors) {
        const Index n = eigenvalues.extent[1];
        if (n == 0) return;
        bool whole = !vectors;
        for (Index r = 0; r < replicas_; ++r)
            whole = whole && known_.finite(r) && known_.kept(r) == parameters_;
        if (whole) return symmetric_eigenvalues(*context_, {matrices(), eigenvalues});
        deflated_ = Buffer<double, B::space>(*context_, replicas_ * n * n);
        const auto deflated = deflated_.view(replicas_, n, n);
        const auto summaries = on_device();
        deflate(*context_, {.matrices = matrices(),
                            .keep = summaries.nonzero_row,
                            .frobenius = summaries.frobenius,
                            .deflated = deflated});
        if (vectors) return symmetric_eigenvectors(*context_, {deflated, eigenvalues});
        symmetric_eigenvalues(*context_, {deflated, eigenvalues});
        deflated_ = {};
    }

    /// Solves one matrix if it is finite. Eigenvectors are in the leading part of matrices() afterwards.
    void solve_alone(Index r, DeviceView<double, 2> eigenvalues, bool vectors) {
        if (!known_.finite(r)) return;
        solve_deflated<B>(*context_, matrices()[r], on_device().nonzero_row[r],
                          eigenvalues[r].slice(0, 0, known_.kept(r)), vectors);
    }

    SolvedSpectra<Space::host> summarized(const SolvedSpectra<B::space>& solved, double tolerance) {
        const auto summaries = on_device();
        summarize_spectra(*context_, {.eigenvalues = solved.eigenvalues,
                                      .keep = summaries.nonzero_row,
                                      .trace = summaries.trace,
                                      .frobenius = summaries.frobenius,
                                      .tolerance = tolerance,
                                      .trace_error = solved.trace_error,
                                      .largest = solved.largest,
                                      .negative = solved.negative,
                                      .zero = solved.zero});
        const Index n = solved.eigenvalues.extent[1];
        solved_memory_ = fetch(*context_, solved_.data(), SolvedSpectra<Space::host>::size(replicas_, n));
        return SolvedSpectra<Space::host>::at(solved_memory_.data(), replicas_, n);
    }

    /// Notes which finite matrices have eigenvalues beyond certificate_limit() and returns true if any has.
    bool find_violations(const SolvedSpectra<Space::host>& found) {
        bool any = false;
        for (Index r = 0; r < replicas_; ++r) {
            const bool within = found.trace_error(r) <= certificate_limit(parameters_);  // false for NaN
            again_[static_cast<std::size_t>(r)] = known_.finite(r) && !within;
            any = any || solved_again(r);
        }
        return any;
    }

    /// Solves the noted matrices by themselves. The first solve has destroyed them: all Hessians are
    /// assembled anew, to the same bits, which takes no further memory.
    void solve_again(DeviceView<double, 2> eigenvalues, bool vectors) {
        assembler_.assemble(theta_, matrices(), part_);
        for (Index r = 0; r < replicas_; ++r)
            if (solved_again(r)) solve_alone(r, eigenvalues, vectors);
    }

    /// Brings the eigenvectors of a batch to the host, all of them at once.
    void fetch_vectors(Index n) {
        if (!together_ || n == 0) return;
        vectors_ = HostRows(*context_, std::as_const(deflated_).view(replicas_ * n, n));
        ratios_memory_ = Buffer<double, B::space>(*context_, replicas_ * n);
        ratios_ = participation(deflated_.view(replicas_, n, n), ratios_memory_);
    }

    /// Computes inverse participation ratios [R, e] of vectors [R, e, n] in `memory`.
    HostRows participation(DeviceView<const double, 3> vectors, Buffer<double, B::space>& memory) {
        const auto ratios = memory.view(vectors.extent[0], vectors.extent[1]);
        inverse_participation_ratios(*context_, {vectors, ratios});
        return HostRows(*context_, ratios);
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
    Buffer<double, B::space> deflated_;       // eigenvectors of a batch [R, n, n], until the next Hessians
    Buffer<double, B::space> ratios_memory_;  // their participation ratios [R, n]
    Buffer<double, B::space> signs_;          // scaling directions [d, P]
    std::vector<double> known_memory_, solved_memory_;
    HessianSummaries<Space::host> known_{};  // the host's copy of summaries_
    DeviceView<const double, 2> theta_;      // of the Hessians
    HessianPart part_ = HessianPart::full;
    bool together_ = false;      // the last solve was one of a batch
    std::vector<bool> again_;    // by replica
    HostRows vectors_, ratios_;  // the host's copies of deflated_ [R·n, n] and ratios_memory_ [R, n]
};

}  // namespace espectra
