#pragma once

#include "espectra/runtime/view.hpp"

#include <limits>
#include <string>
#include <vector>

namespace espectra {

struct SpectrumOptions {
    double tolerance = 0;  ///< τ, relative to |λ|_max; 0: automatic_tolerance
    bool eigenvectors = false;
    bool gauss_newton = false;

    bool operator==(const SpectrumOptions&) const = default;
};

/// The spectrum of the exact Hessian of one network of P parameters. NaN where a number does not apply.
struct Spectrum {
    std::vector<double> eigenvalues;    ///< [P] ascending; deflated rows are exact zeros
    std::vector<double> gauss_newton;   ///< [P] of the Gauss–Newton part, if asked for
    std::vector<double> eigenvectors;   ///< [P, P] row e belongs to eigenvalue e, if asked for
    std::vector<double> participation;  ///< [P] inverse participation ratios, with eigenvectors
    double alpha = 0, gamma = 0;        ///< SpectralIndices at `tolerance`
    double gamma_dead = 0;              ///< fraction of parameters whose Hessian row is exactly zero
    // γ by ZeroOrigins:
    double gamma_dead_inputs = 0, gamma_dead_units = 0, gamma_symmetry = 0, gamma_numerical = 0;
    double tolerance = 0;             ///< τ, relative to |λ|_max
    double trace = 0, frobenius = 0;  ///< tr H, ‖H‖_F
    double trace_error = 0;           ///< certificate, see trace_error()
    int solved_again = 0;  ///< eigensolves repeated by themselves, since their certificate was violated in a
                           ///< batch; up to 2, with the Gauss–Newton part
    double symmetry_residual =
        std::numeric_limits<double>::quiet_NaN();   ///< certificate, see ScalingResidual
    double seconds_hessian = 0, seconds_eigen = 0;  ///< this network's share of its batch's time; the
                                                    ///< latter is all of it where both are one step
    std::string failure;  ///< reason why there is no spectrum, or empty; all other numbers are NaN then
};

/// Turns a spectrum whose `failure` is set into one that has NaN for every number and in every array that
/// `options` ask for. Tolerance and times remain.
void invalidate(Spectrum& spectrum, Index parameters, const SpectrumOptions& options);

}  // namespace espectra
