#pragma once

#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/spectrum.hpp"
#include "espectra/models/spectrum/batch.hpp"
#include "espectra/models/spectrum/spectrum.hpp"
#include "espectra/runtime/buffer.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace espectra {

// Rows of a Hessian that are exactly zero (dead inputs, dead units) are removed before the eigensolver; their
// eigenvalues are exact zeros and their eigenvectors unit vectors, which are put back afterwards.

/// Removes the rows and columns of a matrix [P, P] that are not marked in `keep`, in place. Returns the k × k
/// matrix that remains, as a batch of one.
template <Backend B>
View<double, 3, B::space> compress(B& context, View<double, 2, B::space> matrix,
                                   View<const unsigned char, 1, B::space> keep, Index kept) {
    if (kept < matrix.extent[0]) compress_rows(context, {matrix, keep});
    return share(matrix.slice(0, 0, kept).slice(1, 0, kept), 1);
}

/// Rows n of the largest deflated matrix among those that are finite.
inline Index deflated_rows(const HessianSummaries<Space::host>& hessians) {
    Index rows = 0;
    for (Index r = 0; r < hessians.frobenius.extent[0]; ++r)
        if (hessians.finite(r)) rows = std::max(rows, hessians.kept(r));
    return rows;
}

/// Eigenvalues [k] of one matrix [P, P] without the rows that are not marked in `keep`; destroys the matrix.
/// `vectors`: the eigenvectors, of which row e of the leading k × k part belongs to eigenvalue e.
template <Backend B>
void solve_deflated(B& context, View<double, 2, B::space> matrix, View<const unsigned char, 1, B::space> keep,
                    View<double, 1, B::space> eigenvalues, bool vectors) {
    const Index kept = eigenvalues.extent[0];
    if (kept == 0) return;
    const Eigenproblems<B::space> problem = {compress(context, matrix, keep, kept), share(eigenvalues, 1)};
    if (vectors)
        symmetric_eigenvectors(context, problem);
    else
        symmetric_eigenvalues(context, problem);
}

/// Number of ascending eigenvalues that come before the zeros of the deflated rows: those below 0.
inline Index eigenvalues_before_zeros(std::span<const double> solved) {
    return std::ranges::lower_bound(solved, 0.0) - solved.begin();
}

/// All P eigenvalues from those of the deflated matrix.
inline std::vector<double> with_zeros(std::span<const double> solved, Index parameters) {
    std::vector<double> eigenvalues(solved.begin(), solved.end());
    eigenvalues.insert(eigenvalues.begin() + eigenvalues_before_zeros(solved),
                       static_cast<std::size_t>(parameters - std::ssize(solved)), 0.0);
    return eigenvalues;
}

/// Sets eigenvectors [P, P] and participation ratios [P] from those of a deflated matrix: rows `first` to
/// `first` + k of `vectors`, of which the leading k numbers count, and their `ratios`. `solved` are its k
/// eigenvalues, `keep` [P] marks its rows.
inline void restore_eigenvectors(const HostRows& vectors, Index first, std::span<const double> ratios,
                                 std::span<const double> solved, std::span<const unsigned char> keep,
                                 Spectrum& spectrum) {
    const Index kept = std::ssize(solved), parameters = std::ssize(keep), zeros = parameters - kept;
    const Index before = eigenvalues_before_zeros(solved);
    spectrum.eigenvectors.assign(static_cast<std::size_t>(parameters * parameters), 0.0);
    spectrum.participation.assign(static_cast<std::size_t>(parameters), 1.0);  // of a unit vector
    const auto entry = [&](Index e, Index p) -> double& {
        return spectrum.eigenvectors[static_cast<std::size_t>(e * parameters + p)];
    };
    Index dead = 0;
    for (Index p = 0; p < parameters; ++p)  // each deflated row is its own eigenvector
        if (!keep[static_cast<std::size_t>(p)]) entry(before + dead++, p) = 1.0;
    for (Index e = 0; e < kept; ++e) {
        const Index at = e < before ? e : e + zeros;
        const std::span<const double> row = vectors[first + e];
        Index i = 0;
        for (Index p = 0; p < parameters; ++p)
            if (keep[static_cast<std::size_t>(p)]) entry(at, p) = row[static_cast<std::size_t>(i++)];
        spectrum.participation[static_cast<std::size_t>(at)] = ratios[static_cast<std::size_t>(e)];
    }
}

}  // namespace espectra
