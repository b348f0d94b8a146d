#pragma once

// Eigenvalues of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan, section 8.5): slow,
// simple, and without LAPACK.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace oracle {

/// Ascending eigenvalues of the row-major symmetric n × n matrix `a`.
inline std::vector<double> jacobi_eigenvalues(std::vector<double> a, std::size_t n) {
    for (int sweep = 0; sweep < 60; ++sweep) {
        double off = 0, all = 0;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j) {
                all += a[i * n + j] * a[i * n + j];
                if (i != j) off += a[i * n + j] * a[i * n + j];
            }
        if (off <= 1e-36 * all) break;
        for (std::size_t p = 0; p < n; ++p)
            for (std::size_t q = p + 1; q < n; ++q) {
                if (a[p * n + q] == 0) continue;
                const double ratio = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
                const double t = (ratio >= 0 ? 1 : -1) / (std::fabs(ratio) + std::hypot(1.0, ratio));
                const double c = 1 / std::hypot(1.0, t), s = t * c;
                for (std::size_t k = 0; k < n; ++k) {
                    const double x = a[k * n + p], y = a[k * n + q];
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                }
                for (std::size_t k = 0; k < n; ++k) {
                    const double x = a[p * n + k], y = a[q * n + k];
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                }
            }
    }
    std::vector<double> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = a[i * n + i];
    std::sort(values.begin(), values.end());
    return values;
}

}  // namespace oracle
