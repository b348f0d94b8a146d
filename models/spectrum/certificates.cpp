#include "espectra/models/spectrum/certificates.hpp"

#include "espectra/models/spectrum/indices.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

namespace espectra {

void check_certificates(const std::string& name, const Certificates& certificates) {
    const double limit = certificate_limit(certificates.parameters);
    const auto within = [&](double value) { return value <= limit; };  // which NaN is not
    if (!within(certificates.trace_error) ||
        (certificates.symmetric && !within(certificates.symmetry_residual)))
        throw NumericalError(
            fmt::format("{}: certificate above {:.2e}: trace {:.2e}, scaling symmetry {:.2e}", name, limit,
                        certificates.trace_error, certificates.symmetry_residual));
}

}  // namespace espectra
