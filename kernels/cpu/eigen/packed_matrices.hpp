#pragma once

#include "espectra/kernels/cpu/simd.hpp"
#include "espectra/runtime/view.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

// Symmetric matrices in the lanes of vectors: one matrix per lane, lower triangles, scaled. A lane type V is
// double or a vector of doubles (simd.hpp); the same code runs on all of them, element by element, so that a
// matrix has the same bits in each.

namespace espectra::interleaved {

// Internal linkage lets GCC specialise and inline these functions for their callers.
namespace {

using simd::lane_count;

template <class V>
double& lane_of(V* values, int lane) {
    return reinterpret_cast<double*>(values)[lane];
}

/// Position of row `row` of a packed lower triangle, whose rows 0 … n − 1 are stored consecutively.
constexpr Index row_begin(Index row) { return row * (row + 1) / 2; }

/// Extent and scale of a matrix, needed before it is packed.
struct Shape {
    Index coupled = 0;   ///< rows up to the last one with a non-zero off-diagonal entry; 0: not finite
    double scale = 0;    ///< power of two that brings the largest entry of these rows into [1, 2), or near
    double inverse = 0;  ///< 1 / scale
};

inline std::int64_t magnitude_bits(double value) {
    return std::bit_cast<std::int64_t>(value) & std::numeric_limits<std::int64_t>::max();
}

/// `largest`: scratch [n].
inline Shape shape_of(View<const double, 2> matrix, std::int64_t* largest) {
    const Index n = matrix.extent[0];
    // The bits of magnitudes have the order of the magnitudes, with NaN above infinity.
    std::int64_t diagonal = 0;
    std::fill_n(largest, n, 0);
    for (Index i = 0; i < n; ++i) {
        const double* row = &matrix(i, 0);
        diagonal = std::max(diagonal, magnitude_bits(row[i]));
        for (Index j = i + 1; j < n; ++j) largest[j] = std::max(largest[j], magnitude_bits(row[j]));
    }
    Shape shape;
    for (Index j = 0; j < n; ++j) {
        diagonal = std::max(diagonal, largest[j]);
        if (largest[j] > 0) shape.coupled = j + 1;
    }
    if (diagonal >= std::bit_cast<std::int64_t>(std::numeric_limits<double>::infinity())) return {};
    shape.coupled = std::max<Index>(shape.coupled, 1);
    std::int64_t most = 0;
    for (Index j = 0; j < shape.coupled; ++j)
        most = std::max({most, largest[j], magnitude_bits(matrix(j, j))});
    const int exponent = std::clamp(1023 - static_cast<int>(most >> 52), -1022, 1022);
    shape.scale = std::ldexp(1.0, exponent);
    shape.inverse = std::ldexp(1.0, -exponent);
    return shape;
}

/// One step of a transposition: exchanges the lanes of a and b that are `Distance` apart.
template <int Distance, class V, int... Lane>
void exchange_lanes(V& a, V& b, std::integer_sequence<int, Lane...>) {
    constexpr int width = lane_count<V>;
    const V first = __builtin_shufflevector(a, b, (Lane & Distance ? width + Lane - Distance : Lane)...);
    b = __builtin_shufflevector(a, b, (Lane & Distance ? width + Lane : Lane + Distance)...);
    a = first;
}

/// Transposes the square of lanes × lanes entries in `rows`.
template <int Distance, class V>
void transpose(V* rows) {
    for (int i = 0; i < lane_count<V>; ++i)
        if ((i & Distance) == 0)
            exchange_lanes<Distance>(rows[i], rows[i + Distance],
                                     std::make_integer_sequence<int, lane_count<V>>{});
    if constexpr (2 * Distance < lane_count<V>) transpose<2 * Distance>(rows);
}

/// Packs n rows of the upper triangles, scaled, as lower triangles [row, column, lane]. A lane has zeros
/// after its coupled rows.
template <class V>
void pack(const View<const double, 2>* matrices, const Shape* shapes, Index n, V* packed) {
    constexpr int width = lane_count<V>;
    V scale;
    for (int lane = 0; lane < width; ++lane) lane_of(&scale, lane) = shapes[lane].scale;
    for (Index begin = 0; begin < n; begin += width) {
        const Index end = std::min<Index>(begin + width, n);
        Index i = 0;
        if constexpr (width > 1)
            for (; i < begin && end == begin + width; ++i) {
                V rows[width];
                for (int lane = 0; lane < width; ++lane)
                    std::memcpy(rows + lane, &matrices[lane](i, begin), sizeof(V));
                transpose<1>(rows);
                for (int j = 0; j < width; ++j) packed[row_begin(begin + j) + i] = rows[j] * scale;
            }
        for (; i < end; ++i)
            for (Index j = std::max(begin, i); j < end; ++j)
                for (int lane = 0; lane < width; ++lane)
                    lane_of(packed + row_begin(j) + i, lane) = matrices[lane](i, j) * shapes[lane].scale;
    }
    for (int lane = 0; lane < width; ++lane)
        for (Index i = shapes[lane].coupled; i < n; ++i) lane_of(packed + row_begin(i) + i, lane) = 0;
}

}  // namespace

}  // namespace espectra::interleaved
