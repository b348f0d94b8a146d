#pragma once

#include "espectra/runtime/view.hpp"

#include <cmath>

namespace espectra {

class CpuContext;
class CudaContext;

// Spectra in batches: R matrices of one size, each with rows of its own that are exactly zero.

/// Brings R matrices without their zero rows into one size n, that of the largest. Of matrix r the kept rows
/// and columns come first, in order; in the rows behind them nothing but 2‖H‖_F stands on the diagonal: these
/// are exactly decoupled, and their eigenvalues come after all others. A matrix whose norm is not finite
/// becomes zero, so that it does no harm to an eigensolver.
template <Space S>
struct Deflation {
    View<const double, 3, S> matrices;     ///< [R, P, P], upper triangles
    View<const unsigned char, 2, S> keep;  ///< [R, P] 1 or 0
    View<const double, 1, S> frobenius;    ///< ‖H‖_F [R]
    View<double, 3, S> deflated;  ///< [R, n, n], upper triangles; n at least what any finite matrix keeps
};

void deflate(CpuContext& context, const Deflation<Space::host>& arguments);
void deflate(CudaContext& context, const Deflation<Space::device>& arguments);

/// Certificate and index counts of R spectra. Of row r of `eigenvalues` the first k_r count, k_r being the
/// number of rows kept, but at most n; the other P − k_r eigenvalues are exactly zero. Counts are whole
/// numbers.
template <Space S>
struct SpectrumSummary {
    View<const double, 2, S> eigenvalues;  ///< [R, n] ascending
    View<const unsigned char, 2, S> keep;  ///< [R, P] 1 or 0
    View<const double, 1, S> trace;        ///< tr H [R]
    View<const double, 1, S> frobenius;    ///< ‖H‖_F [R]
    double tolerance;                      ///< τ, relative to |λ|_max
    View<double, 1, S> trace_error;        ///< [R] see trace_error()
    View<double, 1, S> largest;            ///< |λ|_max [R]
    View<double, 1, S> negative;           ///< [R] eigenvalues λ < −τ|λ|_max
    View<double, 1, S> zero;               ///< [R] eigenvalues |λ| ≤ τ|λ|_max, of all P
};

void summarize_spectra(CpuContext& context, const SpectrumSummary<Space::host>& arguments);
void summarize_spectra(CudaContext& context, const SpectrumSummary<Space::device>& arguments);

/// max(|Σλ − tr H| / (√P ‖H‖_F), |Σ(λ/‖H‖_F)² − 1|) from the two sums; 0 for H = 0. A sum that is not finite
/// comes through.
ESPECTRA_HD inline double trace_error(double sum, double relative_squares, double trace, double frobenius,
                                      Index parameters) {
    if (!(frobenius > 0)) return 0;
    const double first = std::fabs(sum - trace) / (std::sqrt(static_cast<double>(parameters)) * frobenius);
    const double second = std::fabs(relative_squares - 1.0);
    return first < second ? second : first;
}

}  // namespace espectra
