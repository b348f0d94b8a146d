#pragma once

#include "espectra/kernels/cpu/fused/row_products.hpp"
#include "espectra/kernels/cpu/simd.hpp"
#include "espectra/runtime/view.hpp"

// Sums over the examples of a chunk in sixteen lanes, each of which adds every sixteenth example: a strip is
// sixteen consecutive examples.

namespace espectra::training {

// Internal linkage lets GCC specialise and inline these functions for their callers.
namespace {

/// Vectors of one sum that are added together.
inline constexpr int vectors = 2;
static_assert(lanes % (vectors * simd::lanes) == 0);

/// partial[r, c, lane] += Σ x_r·y_c (Products) or Σ y_c over the full strips of `lanes` examples, in their
/// order, for neighbouring rows x_r and y_c. Several sums at a time hide the latency of an addition.
template <bool Products, int Rows, int Columns>
void add_strips(const double* x, const double* y, int count, int strips, double* partial, int row_stride) {
    constexpr int width = simd::lanes;
    for (int lane = 0; lane < lanes; lane += vectors * width) {
        simd::Vector sum[Rows][Columns][vectors];
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
            for (int c = 0; c < Columns; ++c)
#pragma GCC unroll 8
                for (int v = 0; v < vectors; ++v)
                    sum[r][c][v] = simd::at(partial + r * row_stride + c * lanes, lane + v * width);
        for (int e = lane; e < strips * lanes; e += lanes)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 8
                for (int c = 0; c < Columns; ++c) {
                    const simd::Vector right = simd::at(y + c * count, e + v * width);
#pragma GCC unroll 8
                    for (int r = 0; r < Rows; ++r)
                        if constexpr (Products)
                            sum[r][c][v] += simd::at(x + r * count, e + v * width) * right;
                        else
                            sum[r][c][v] += right;
                }
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
            for (int c = 0; c < Columns; ++c)
#pragma GCC unroll 8
                for (int v = 0; v < vectors; ++v)
                    simd::at(partial + r * row_stride + c * lanes, lane + v * width) = sum[r][c][v];
    }
}

/// Like add_strips, for one row x and any number of rows y.
template <bool Products>
void add_row_strips(const double* x, const double* y, int columns, int count, int strips, double* partial) {
    int c = 0;
    for (; c + 4 <= columns; c += 4)
        add_strips<Products, 1, 4>(x, y + c * count, count, strips, partial + c * lanes, 0);
    for (; c + 2 <= columns; c += 2)
        add_strips<Products, 1, 2>(x, y + c * count, count, strips, partial + c * lanes, 0);
    if (c < columns) add_strips<Products, 1, 1>(x, y + c * count, count, strips, partial + c * lanes, 0);
}

/// partial[row, lane] += Σ over each row of y.
inline void add_all_strips(const double* y, int rows, int count, int strips, double* partial) {
    add_row_strips<false>(nullptr, y, rows, count, strips, partial);
}

/// partial[row of x, row of y, lane] += Σ of the products of every row of x with every row of y.
inline void add_product_strips(const double* x, int rows, const double* y, int columns, int count, int strips,
                               double* partial) {
    const int row_stride = columns * lanes;
    int r = 0;
    for (; r + 2 <= rows; r += 2) {
        const double* pair = x + r * count;
        double* sums = partial + Index{r} * row_stride;
        int c = 0;
        for (; c + 2 <= columns; c += 2)
            add_strips<true, 2, 2>(pair, y + c * count, count, strips, sums + c * lanes, row_stride);
        if (c < columns)
            add_strips<true, 2, 1>(pair, y + c * count, count, strips, sums + c * lanes, row_stride);
    }
    if (r < rows)
        add_row_strips<true>(x + r * count, y, columns, count, strips, partial + Index{r} * row_stride);
}

}  // namespace

}  // namespace espectra::training
