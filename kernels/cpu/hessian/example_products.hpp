#pragma once

#include "espectra/kernels/cpu/simd.hpp"
#include "espectra/runtime/view.hpp"

// Products and sums over a chunk of examples that stays in the caches. A row holds one quantity for all
// examples of the chunk, aligned to a vector and padded to whole vectors; vectors run along the examples.

namespace espectra::rows {

/// out[c·column_stride + r] += Σ_e left_r[e] right_c[e] over rows of `length` examples.
void add_products(const double* const* left, Index left_count, const double* const* right, Index right_count,
                  Index length, double* out, Index column_stride);

/// out_o = constants[o] + Σ_q coefficients[o·output_stride + q·input_stride] in_q; rows of `out` are stored
/// consecutively; constants may be nullptr: 0.
void combine(const double* coefficients, Index output_stride, Index input_stride, const double* constants,
             const double* const* in, Index inputs, Index outputs, Index length, double* out);

}  // namespace espectra::rows
