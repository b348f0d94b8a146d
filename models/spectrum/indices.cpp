#include "espectra/models/spectrum/indices.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace espectra {

SpectralIndices spectral_indices(std::span<const double> eigenvalues, double tolerance) {
    if (eigenvalues.empty()) return {};
    const double largest = std::max(std::fabs(eigenvalues.front()), std::fabs(eigenvalues.back()));
    const double threshold = tolerance * largest;
    const auto negative = std::ranges::count_if(eigenvalues, [&](double v) { return v < -threshold; });
    const auto zero = std::ranges::count_if(eigenvalues, [&](double v) { return std::fabs(v) <= threshold; });
    const auto count = static_cast<double>(eigenvalues.size());
    return {static_cast<double>(negative) / count, static_cast<double>(zero) / count};
}

double automatic_tolerance(Index parameters) {
    return 4.0 * static_cast<double>(parameters) * std::numeric_limits<double>::epsilon();
}

}  // namespace espectra
