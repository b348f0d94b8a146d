#pragma once

#include "espectra/models/network.hpp"
#include "espectra/runtime/view.hpp"

#include <span>
#include <string>

namespace espectra {

// Certificates (docs/mathematics.md, section 9): errors of a spectrum that need no reference. The kernels
// compute them in batches (summarize_spectra, scaling_residual).

/// max(|Σλ − tr H| / (√P ‖H‖_F), |Σλ² − ‖H‖_F²| / ‖H‖_F²); 0 for H = 0.
double trace_error(std::span<const double> eigenvalues, double trace, double frobenius);

/// Largest trace_error or scaling residual that rounding explains: 100·P·ε. A larger one is a wrong result.
double certificate_limit(Index parameters);

/// Returns true if the network has a scaling symmetry, and its spectra a symmetry residual.
inline bool is_symmetric(const Network& network) { return network.scaling_direction_count() > 0; }

/// The certificates of one spectrum, or the largest of several.
struct Certificates {
    Index parameters = 0;
    double trace_error = 0, symmetry_residual = 0;
    bool symmetric = false;  ///< is_symmetric(): symmetry_residual is checked
};

/// Throws NumericalError if a certificate is NaN or beyond certificate_limit().
void check_certificates(const std::string& name, const Certificates& certificates);

}  // namespace espectra
