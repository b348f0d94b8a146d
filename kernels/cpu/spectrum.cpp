#include "espectra/kernels/spectrum.hpp"

#include "espectra/runtime/cpu_context.hpp"

#include <algorithm>
#include <cmath>

namespace espectra {

void deflate(CpuContext& context, const Deflation<Space::host>& a) {
    const Index parameters = a.matrices.extent[1], n = a.deflated.extent[1];
    context.parallel_for(a.deflated.extent[0], [&](Index r, int) {
        const bool finite = std::isfinite(a.frobenius(r));
        Index row = 0;
        for (Index p = 0; p < parameters && finite; ++p) {
            if (!a.keep(r, p)) continue;
            Index column = row;
            for (Index q = p; q < parameters; ++q)
                if (a.keep(r, q)) a.deflated(r, row, column++) = a.matrices(r, p, q);
            std::fill_n(&a.deflated(r, row, column), n - column, 0.0);
            ++row;
        }
        for (; row < n; ++row) {
            std::fill_n(&a.deflated(r, row, row), n - row, 0.0);
            a.deflated(r, row, row) = finite ? 2.0 * a.frobenius(r) : 0.0;
        }
    });
}

void summarize_spectra(CpuContext& context, const SpectrumSummary<Space::host>& a) {
    const Index parameters = a.keep.extent[1];
    context.parallel_for(a.keep.extent[0], [&](Index r, int) {
        Index kept = 0;
        for (Index p = 0; p < parameters; ++p) kept += a.keep(r, p);
        kept = std::isfinite(a.frobenius(r)) ? std::min(kept, a.eigenvalues.extent[1]) : 0;
        const double* values = a.eigenvalues[r].data;
        const double largest = kept > 0 ? std::max(std::fabs(values[0]), std::fabs(values[kept - 1])) : 0.0;
        const double threshold = a.tolerance * largest;
        double sum = 0, squares = 0;
        Index negative = 0, zero = parameters - kept;
        for (Index i = 0; i < kept; ++i) {
            const double relative = values[i] / a.frobenius(r);
            sum += values[i];
            squares += relative * relative;
            negative += values[i] < -threshold;
            zero += std::fabs(values[i]) <= threshold;
        }
        a.trace_error(r) = trace_error(sum, squares, a.trace(r), a.frobenius(r), parameters);
        a.largest(r) = largest;
        a.negative(r) = static_cast<double>(negative);
        a.zero(r) = static_cast<double>(zero);
    });
}

}  // namespace espectra
