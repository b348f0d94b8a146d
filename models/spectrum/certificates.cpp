#include "espectra/models/spectrum/certificates.hpp"

#include "espectra/kernels/spectrum.hpp"
#include "espectra/models/spectrum/indices.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

namespace espectra {

double certificate_limit(Index parameters) { return 25.0 * automatic_tolerance(parameters); }

double trace_error(std::span<const double> eigenvalues, double trace, double frobenius) {
    if (!(frobenius > 0)) return 0;
    double sum = 0, squares = 0;
    for (const double value : eigenvalues) {
        sum += value;
        squares += (value / frobenius) * (value / frobenius);
    }
    return trace_error(sum, squares, trace, frobenius, static_cast<Index>(eigenvalues.size()));
}

void check_certificates(const std::string& name, const Certificates& certificates) {
    const double limit = certificate_limit(certificates.parameters);
    const auto within = [&](double value) { return value <= limit; };  // false for NaN
    if (!within(certificates.trace_error) ||
        (certificates.symmetric && !within(certificates.symmetry_residual)))
        throw NumericalError(
            fmt::format("{}: certificate above {:.2e}: trace {:.2e}, scaling symmetry {:.2e}", name, limit,
                        certificates.trace_error, certificates.symmetry_residual));
}

}  // namespace espectra
