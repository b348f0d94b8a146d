#pragma once

#include "espectra/models/network.hpp"

#include <string>

namespace espectra {

/// The certificates of one spectrum, or the largest of several (docs/mathematics.md, section 9).
struct Certificates {
    Index parameters = 0;
    double trace_error = 0, symmetry_residual = 0;
    bool symmetric = false;  ///< a network has a scaling symmetry: NaN is no symmetry_residual then
};

/// Whether the network has a scaling symmetry.
inline bool is_symmetric(const Network& network) { return network.scaling_direction_count() > 0; }

/// Throws NumericalError if a certificate is NaN or beyond the rounding that its number of parameters allows.
void check_certificates(const std::string& name, const Certificates& certificates);

}  // namespace espectra
