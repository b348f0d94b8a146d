#include "espectra/models/spectrum/spectrum.hpp"

#include <cstddef>
#include <utility>

namespace espectra {

void invalidate(Spectrum& spectrum, Index parameters, const SpectrumOptions& options) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const auto p = static_cast<std::size_t>(parameters);
    Spectrum invalid;
    invalid.eigenvalues.assign(p, nan);
    if (options.gauss_newton) invalid.gauss_newton.assign(p, nan);
    if (options.eigenvectors) {
        invalid.eigenvectors.assign(p * p, nan);
        invalid.participation.assign(p, nan);
    }
    for (double* number : {&invalid.alpha, &invalid.gamma, &invalid.gamma_dead, &invalid.gamma_dead_inputs,
                           &invalid.gamma_dead_units, &invalid.gamma_symmetry, &invalid.gamma_numerical,
                           &invalid.trace, &invalid.frobenius, &invalid.trace_error})
        *number = nan;
    invalid.tolerance = spectrum.tolerance;
    invalid.solved_again = spectrum.solved_again;
    invalid.seconds_hessian = spectrum.seconds_hessian;
    invalid.seconds_eigen = spectrum.seconds_eigen;
    invalid.failure = std::move(spectrum.failure);
    spectrum = std::move(invalid);
}

}  // namespace espectra
