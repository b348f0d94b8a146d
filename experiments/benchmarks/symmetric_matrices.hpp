#pragma once

#include "espectra/runtime/random.hpp"
#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <vector>

namespace espectra {

/// A symmetric matrix [n, n] of normally distributed numbers.
inline std::vector<double> random_symmetric(Index n) {
    const RandomStream random(1, 200);
    std::vector<double> matrix(static_cast<std::size_t>(n * n));
    for (Index i = 0; i < n; ++i)
        for (Index j = i; j < n; ++j)
            matrix[static_cast<std::size_t>(i * n + j)] = matrix[static_cast<std::size_t>(j * n + i)] =
                random.normal(static_cast<std::uint64_t>(i * n + j));
    return matrix;
}

/// `count` matrices [n, n] of normally distributed numbers, whose upper triangles define symmetric
/// matrices.
inline std::vector<double> random_upper_triangles(Index count, Index n) {
    const RandomStream random(1, 201);
    std::vector<double> matrices(static_cast<std::size_t>(count * n * n));
    for (std::size_t i = 0; i < matrices.size(); ++i) matrices[i] = random.normal(i);
    return matrices;
}

}  // namespace espectra
