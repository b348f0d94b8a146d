#pragma once

#include "espectra/kernels/cpu/hessian/example_products.hpp"
#include "espectra/kernels/cpu/hessian/weighted_rows.hpp"
#include "espectra/kernels/layer.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

// Parts that layer_block.cpp and cross_block.cpp share: contractions over examples as products of Khatri–Rao
// factors. The factors are formed for some columns of the Hessian and a chunk of examples at a time, as rows
// that register tiles read directly (example_products.hpp): they are never written out in full, and nothing
// is packed. Where the inputs are 0 at many examples, as pixels are, one factor is transposed to rows of
// examples, and only those are added at which a weight is not 0 (weighted_rows.hpp). Tiles are fixed by
// shapes and inputs alone, and each is added to the Hessian by one thread: results do not depend on the
// number of threads.

namespace espectra {

/// Examples that tiles multiply at a time; rows of 512 would compete for the same lines of the L1 cache.
inline constexpr Index inner_chunk = 360;
/// Rows of the second factor, in the L2 cache, that are multiplied with all rows of the first at a time.
inline constexpr Index streamed_rows = 64;
static_assert(inner_chunk % simd::lanes == 0);

/// Rows of `inner` examples in scratch memory, padded with zeros to whole vectors.
class Rows {
  public:
    Rows(Arena& arena, Index most)
        : memory_(arena.take<double>(most * inner_chunk)), rows_(arena.take<const double*>(most)) {}

    void clear(Index inner) {
        inner_ = inner;
        count_ = 0;
    }
    /// Returns the next row; the caller fills it.
    double* next() {
        double* row = memory_ + count_ * length();
        std::fill(row + inner_, row + length(), 0.0);
        rows_[count_++] = row;
        return row;
    }
    const double* const* data() const { return rows_; }
    Index count() const { return count_; }
    Index length() const { return simd::padded(inner_); }

  private:
    double* memory_;
    const double** rows_;
    Index inner_ = 0, count_ = 0;
};

/// out[r, c] += Σ_e left_r[e] right_c[e]; out has rows of `stride`.
void multiply(const Rows& left, const Rows& right, double* out, Index stride);

bool is_zero(const double* values, Index count);

/// An entry of ã: a row of the input that is not zero for all examples, or the bias (data = nullptr: 1).
struct Feature {
    Index index;         // input j; number of inputs for the bias
    const double* data;  // [m]
    std::vector<std::uint64_t> nonzero;

    weighted::Factor factor(Index begin) const {
        return {data ? data + begin : weighted::one().values, nonzero.data() + begin / weighted::word};
    }
};

/// Features of [k, m], the bias last.
std::vector<Feature> active_features(View<const double, 2> input);

/// Returns true if so many of the features' values are 0 that leaving them out is faster.
bool mostly_zero(const std::vector<Feature>& features, Index examples);

/// out = x ∘ y.
void multiply_rows(const double* x, const double* y, double* out, Index count);

/// out = x ∘ feature over examples [begin, begin + count).
void times_feature(const double* x, const Feature& feature, Index begin, Index count, double* out);

}  // namespace espectra
