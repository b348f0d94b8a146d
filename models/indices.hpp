#pragma once

#include "espectra/runtime/view.hpp"

#include <span>

namespace espectra {

/// The paper's indices as functions of a tolerance τ relative to |λ|_max.
struct SpectralIndices {
    double alpha = 0;  ///< fraction of eigenvalues λ < −τ|λ|_max
    double gamma = 0;  ///< fraction with |λ| ≤ τ|λ|_max
};

/// Of ascending eigenvalues. All zero: α = 0, γ = 1.
SpectralIndices spectral_indices(std::span<const double> eigenvalues, double tolerance);

/// τ where the user gives none: 4·P·ε, the rounding of a backward-stable eigensolver.
double automatic_tolerance(Index parameters);

/// max(|Σλ − tr H| / (√P ‖H‖_F), |Σλ² − ‖H‖_F²| / ‖H‖_F²): costs nothing and needs no reference. 0 for H = 0.
double trace_error(std::span<const double> eigenvalues, double trace, double frobenius);

/// Largest trace_error or scaling residual that rounding explains: 100·P·ε. A larger one is a wrong result.
double certificate_limit(Index parameters);

}  // namespace espectra
