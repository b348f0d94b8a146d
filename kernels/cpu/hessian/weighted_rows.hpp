#pragma once

#include "espectra/runtime/view.hpp"

#include <cstdint>
#include <vector>

// Contractions over examples that leave out those at which a factor is 0, as most pixels of an image are:
// sums of rows, one row of numbers for each example, with weights that are products of features. They run
// over one chunk of examples at a time, whose rows stay in the L2 cache.

namespace espectra::weighted {

inline constexpr Index word = 64;             // examples in a word of bits; chunks begin at multiples of it
inline constexpr Index most_examples = 1024;  // of a chunk

/// Bits of whole words: bit e is set where values[e] is not 0, and padding is 0.
std::vector<std::uint64_t> nonzero_bits(const double* values, Index examples);
/// Bits of all examples.
std::vector<std::uint64_t> all_bits(Index examples);
/// Number of bits that are set.
Index count(const std::vector<std::uint64_t>& bits);

/// Number of examples of a chunk, a multiple of `word`: their rows of `width` numbers fill up to three
/// quarters of a megabyte.
Index chunk_examples(Index width);

/// A factor of the weights over a chunk of examples.
struct Factor {
    const double* values;
    const std::uint64_t* nonzero;
};

/// The factor 1 at all examples of any chunk.
Factor one();

/// Examples of a chunk with two weights each.
struct WeightedExamples {
    Index count;
    std::int32_t example[most_examples];
    double weight[2][most_examples];
};

/// Lists the examples at which x and one of y and z are not 0, with weights x y and x z.
void gather(const Factor& x, const Factor& y, const Factor& z, Index words, WeightedExamples& list);

/// first += Σ weight[0] row and second += Σ weight[1] row over the list, or the first alone where `second` is
/// nullptr. Rows are consecutive and have `width` numbers, a multiple of simd::lanes; all are aligned to
/// vectors.
void add_rows(const WeightedExamples& list, const double* rows, Index width, double* first, double* second);

/// out[e, c] = columns[c][e] for c in [0, count); out has rows of `width`.
void transpose(const double* const* columns, Index count, Index examples, Index width, double* out);

}  // namespace espectra::weighted
