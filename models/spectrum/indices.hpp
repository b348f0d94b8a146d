#pragma once

#include "espectra/runtime/view.hpp"

#include <cstddef>
#include <span>
#include <vector>

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

/// The entries of a scaling direction T (Network::scaling_directions) that are not zero.
struct ScalingDirection {
    std::vector<Index> rows;    ///< ascending
    std::vector<double> signs;  ///< −1 or 1
};

/// Of the rows of `directions` [d, parameters].
std::vector<ScalingDirection> scaling_directions(std::span<const double> directions, Index parameters);

/// How many eigenvalues of H the scaling symmetries prove to have magnitude at most `threshold`: from
/// H·(T∘θ) = −T∘∇ℓ, without H, restricted to the rows marked in `keep` (the others are exactly zero). Taken
/// are the directions with ‖T∘∇ℓ‖ ≤ threshold·‖T∘θ‖, T∘θ ≠ 0; where they overlap, as many as the subspace
/// has dimensions on which ‖Hq‖ ≤ threshold·‖q‖ (docs/mathematics.md, section 8). θ, ∇ℓ and keep are [P].
Index symmetry_zero_modes(std::span<const ScalingDirection> directions, std::span<const double> theta,
                          std::span<const double> gradient, const unsigned char* keep, double threshold);

/// Largest trace_error or scaling residual that rounding explains: 100·P·ε. A larger one is a wrong result.
double certificate_limit(Index parameters);

}  // namespace espectra
