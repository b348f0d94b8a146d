#pragma once

#include "espectra/kernels/index_lists.hpp"
#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/view.hpp"

#include <cmath>

namespace espectra {

// Spectra in batches: R matrices of one size, each with rows of its own that are exactly zero.

/// Arguments of deflate, which brings R matrices without their zero rows to one size n, that of the largest.
/// The kept rows and columns of a matrix come first, in order; the rows behind them are zero except for
/// 2‖H‖_F on the diagonal, so that they are exactly decoupled and their eigenvalues come after all others. A
/// matrix whose norm is not finite becomes zero, which no eigensolver fails at.
template <Space S>
struct Deflation {
    View<const double, 3, S> matrices;     ///< [R, P, P], upper triangles
    View<const unsigned char, 2, S> keep;  ///< [R, P] 1 or 0
    View<const double, 1, S> frobenius;    ///< ‖H‖_F [R]
    View<double, 3, S> deflated;  ///< [R, n, n], upper triangles; n at least what any finite matrix keeps
};

/// Returns the doubles that deflate takes on a device: the positions of the rows, and what the lists take.
template <Space S>
Index deflate_scratch(Index replicas, Index parameters) {
    return S == Space::host ? 0 : replicas * (parameters + 1) + long_list_scratch(replicas, parameters);
}

/// Arguments of summarize_spectra, which computes the certificate and the index counts of R spectra. Row r of
/// `eigenvalues` has k_r values, the number of rows kept, but at most n, and none that is read where ‖H‖_F is
/// not finite; the other P − k_r eigenvalues are exactly zero. Counts are whole numbers.
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

/// max(|Σλ − tr H| / (√P ‖H‖_F), |Σ(λ/‖H‖_F)² − 1|) from the two sums; 0 for H = 0. A sum that is not finite
/// gives a result that is not finite.
ESPECTRA_HD inline double trace_error(double sum, double relative_squares, double trace, double frobenius,
                                      Index parameters) {
    if (!(frobenius > 0)) return 0;
    const double first = std::fabs(sum - trace) / (std::sqrt(static_cast<double>(parameters)) * frobenius);
    const double second = std::fabs(relative_squares - 1.0);
    return first < second ? second : first;
}

}  // namespace espectra
