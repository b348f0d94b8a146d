#pragma once

#include "espectra/runtime/view.hpp"

#include <span>

namespace espectra {

/// The paper's indices as functions of a tolerance τ relative to |λ|_max.
struct SpectralIndices {
    double alpha = 0;  ///< fraction of eigenvalues λ < −τ|λ|_max
    double gamma = 0;  ///< fraction with |λ| ≤ τ|λ|_max
};

/// Indices of ascending eigenvalues; α = 0 and γ = 1 if all are zero.
SpectralIndices spectral_indices(std::span<const double> eigenvalues, double tolerance);

/// τ where the user gives none: 4·P·ε, the rounding of a backward-stable eigensolver.
double automatic_tolerance(Index parameters);

}  // namespace espectra
