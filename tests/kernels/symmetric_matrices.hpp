#pragma once

// Symmetric matrices with known properties, and their eigenvalues and eigenvectors on the CPU backend.

#include "espectra/kernels/eigen.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

namespace espectra {

inline constexpr double eps = std::numeric_limits<double>::epsilon();
inline constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Row-major n × n inside rows of `stride` elements; entries that are not read are NaN.
struct Matrix {
    Index n, stride;
    std::vector<double> data;
    explicit Matrix(Index size, Index row_stride = 0)
        : n(size),
          stride(row_stride > 0 ? row_stride : size),
          data(static_cast<std::size_t>(std::max<Index>(1, n * stride)), nan) {}
    double& operator()(Index i, Index j) { return data[static_cast<std::size_t>(i * stride + j)]; }
    /// Element of the symmetric matrix.
    double at(Index i, Index j) const {
        return data[static_cast<std::size_t>(std::min(i, j) * stride + std::max(i, j))];
    }
    View<double, 3> view() {
        auto whole = make_view(data.data(), 1, n, stride);
        return whole.slice(2, 0, n);
    }
    double frobenius() const {
        double sum = 0;
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < n; ++j) sum += at(i, j) * at(i, j);
        return std::sqrt(sum);
    }
};

/// Matrix with f(i, j) in the upper triangle and NaN everywhere else.
template <class F>
inline Matrix upper(Index n, F&& f, Index stride = 0) {
    Matrix matrix(n, stride);
    for (Index i = 0; i < n; ++i)
        for (Index j = i; j < n; ++j) matrix(i, j) = f(i, j);
    return matrix;
}

inline Matrix random_matrix(Index n, Index stride = 0, std::uint32_t stream = 0) {
    const RandomStream random(31, stream);
    return upper(
        n, [&](Index i, Index j) { return random.normal(static_cast<std::uint64_t>(i * n + j)); }, stride);
}

inline std::vector<double> eigenvalues(Matrix matrix, int threads = 1) {
    CpuContext context(threads);
    std::vector<double> values(static_cast<std::size_t>(matrix.n), nan);
    symmetric_eigenvalues(context, {matrix.view(), make_view(values.data(), 1, matrix.n)});
    return values;
}

struct Decomposition {
    std::vector<double> values;
    Matrix vectors;  // row e
};

inline Decomposition eigenvectors(Matrix matrix, int threads = 1) {
    CpuContext context(threads);
    std::vector<double> values(static_cast<std::size_t>(matrix.n), nan);
    symmetric_eigenvectors(context, {matrix.view(), make_view(values.data(), 1, matrix.n)});
    return {values, matrix};
}

/// Bound of dsyevd's backward error, which is p(n) ε ‖H‖₂ with a modest p (LAPACK Users' Guide, 4.7.1). The
/// bound 4·√n·ε·‖H‖_F ≥ 4·√n·ε·‖H‖₂ is observed at the sizes of these tests; models/spectrum/indices.cpp uses
/// 4·n·ε.
inline double backward_error(const Matrix& matrix) {
    return 4 * eps * std::sqrt(static_cast<double>(matrix.n)) * matrix.frobenius();
}

/// Second difference, 2 on the diagonal and −1 next to it: 2 − 2 cos(kπ/(n + 1)), k = 1 … n.
inline Matrix toeplitz(Index n) {
    return upper(n, [](Index i, Index j) { return i == j ? 2.0 : j == i + 1 ? -1.0 : 0.0; });
}
inline std::vector<double> toeplitz_values(Index n) {
    std::vector<double> values;
    for (Index k = 1; k <= n; ++k)
        values.push_back(4 * std::pow(std::sin(static_cast<double>(k) * std::numbers::pi /
                                               (2 * static_cast<double>(n + 1))),
                                      2));
    return values;
}

/// Σ_k b_k b_kᵀ over `rank` vectors with zeros in every third row, similar to the Hessian of a ReLU network.
inline Matrix rank_deficient(Index n, Index rank, std::uint32_t stream = 0) {
    const RandomStream random(77, stream);
    const auto b = [&](Index k, Index i) {
        return i % 3 == 1 ? 0.0 : random.normal(static_cast<std::uint64_t>(1000 * k + i));
    };
    return upper(n, [&](Index i, Index j) {
        double sum = 0;
        for (Index k = 0; k < rank; ++k) sum += b(k, i) * b(k, j);
        return sum;
    });
}

}  // namespace espectra
