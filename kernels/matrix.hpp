#pragma once

#include "espectra/kernels/index_lists.hpp"
#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/view.hpp"

#include <algorithm>

namespace espectra {

// Symmetric matrices in a batch [R, n, n], row-major with rows at `stride[1]` elements; only the upper
// triangle is read.

/// Arguments of clear_upper, which sets the upper triangles to zero.
template <Space S>
struct UpperTriangles {
    View<double, 3, S> matrices;  ///< [R, n, n]
};

/// Arguments of symmetrize, which copies the upper triangles to the lower ones.
template <Space S>
struct SymmetricMatrices {
    View<double, 3, S> matrices;  ///< [R, n, n]
};

/// Arguments of summarize: tr H and ‖H‖_F of each matrix, and which of its rows have an entry other than
/// zero.
template <Space S>
struct MatrixSummary {
    View<const double, 3, S> matrices;      ///< [R, n, n]
    View<double, 1, S> trace, frobenius;    ///< [R]
    View<unsigned char, 2, S> nonzero_row;  ///< [R, n] 1 or 0
};

/// Arguments of scaling_residual, the residual of the scaling symmetries (docs/mathematics.md): each row T of
/// `signs` (entries −1, 0, 1) is a direction along which the loss does not change, so that H·(T∘θ) = −T∘∇ℓ at
/// every θ. The residual of a matrix is its largest ‖H(T∘θ) + T∘∇ℓ‖ / (‖H‖_F ‖T∘θ‖); a direction with T∘θ = 0
/// counts as 0.
template <Space S>
struct ScalingResidual {
    View<const double, 3, S> matrices;         ///< H [R, n, n]
    View<const double, 2, S> signs;            ///< T [d, n]
    View<const double, 2, S> theta, gradient;  ///< [R, n]
    View<const double, 1, S> frobenius;        ///< ‖H‖_F [R]
    View<double, 1, S> residual;               ///< [R]
};

/// Most vectors of length n that each worker of the host takes in scaling_residual.
inline constexpr Index scaling_residual_vectors = 128;

/// Rows of H(T∘θ) that a block of a device sums.
inline constexpr Index scaling_residual_rows = 128;

/// Returns the doubles that scaling_residual takes for d directions, on the host by one worker. On a device
/// these are the positions of the directions' entries, a share of the sums for every
/// scaling_residual_rows rows, and what the lists take.
template <Space S>
Index scaling_residual_scratch(Index replicas, Index directions, Index n) {
    if (S == Space::host) return scaling_residual_vectors * n;
    const Index shares = divide_up(n, scaling_residual_rows);
    return directions * (n + 1 + replicas * shares) + long_list_scratch(directions, n);
}

/// Arguments of compress_rows, which moves the rows and columns marked in `keep` to the front, in place and
/// in order: the leading count × count part then is the deflated matrix, with the row stride as before.
template <Space S>
struct RowCompression {
    View<double, 2, S> matrix;             ///< [n, n]
    View<const unsigned char, 1, S> keep;  ///< [n] 1 or 0
};

/// Rows of the result that compress_rows moves at a time on a device: parts of up to 256 MiB.
inline Index compressed_rows(Index n) {
    constexpr Index part_doubles = Index{1} << 25;
    return n < 1 ? 0 : std::clamp<Index>(part_doubles / n, 1, n);
}

/// Returns the doubles that compress_rows takes on a device: a part, and the list of the rows.
template <Space S>
Index compress_rows_scratch(Index n) {
    return S == Space::host ? 0 : compressed_rows(n) * n + n + 1 + long_list_scratch(1, n);
}

/// Arguments of count_nonzeros, which counts the entries of each row that are not zero; NaN is not zero.
template <Space S>
struct NonzeroCounts {
    View<const double, 2, S> rows;  ///< [k, n]
    View<Index, 1, S> counts;       ///< [k]
};

/// Returns the doubles that count_nonzeros takes on a device.
template <Space S>
Index count_nonzeros_scratch(Index rows, Index columns) {
    return S == Space::host ? 0 : long_list_scratch(rows, columns);
}

/// Arguments of inverse_participation_ratios: Σ_i v_i⁴ of each vector.
template <Space S>
struct ParticipationRatios {
    View<const double, 3, S> vectors;  ///< [R, e, n]
    View<double, 2, S> ratios;         ///< [R, e]
};

}  // namespace espectra
