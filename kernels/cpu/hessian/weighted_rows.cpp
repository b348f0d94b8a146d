#include "espectra/kernels/cpu/hessian/weighted_rows.hpp"

#include "espectra/kernels/cpu/hessian/example_products.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace espectra::weighted {

namespace {

using simd::lanes, simd::Vector;

/// Vectors of two sums at a time: AVX-512 has twice as many registers.
constexpr int most_vectors = lanes == 8 ? 12 : 6;

/// Adds V vectors of F sums, in registers.
template <int F, int V>
void add_tile(const WeightedExamples& list, const double* row_memory, Index width, double* const* out) {
    Vector sums[F][V];
#pragma GCC unroll 16
    for (int f = 0; f < F; ++f)
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) sums[f][v] = simd::at(out[f], v * lanes);
    for (Index n = 0; n < list.count; ++n) {
        const double* row = row_memory + list.example[n] * width;
        Vector weight[F];
#pragma GCC unroll 16
        for (int f = 0; f < F; ++f) weight[f] = simd::broadcast(list.weight[f][n]);
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) {
            Vector value = simd::at(row, v * lanes);
            if constexpr (F > 1) simd::keep_in_register(value);
#pragma GCC unroll 16
            for (int f = 0; f < F; ++f) sums[f][v] = simd::multiply_add(value, weight[f], sums[f][v]);
        }
    }
#pragma GCC unroll 16
    for (int f = 0; f < F; ++f)
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) simd::at(out[f], v * lanes) = sums[f][v];
}

/// Adds all vectors of the rows, in tiles of about the same size.
template <int F>
void add_tiles(const WeightedExamples& list, const double* row_memory, Index width, double* const* out) {
    static constexpr auto tile = []<int... V>(std::integer_sequence<int, V...>) {
        return std::array{&add_tile<F, V + 1>...};
    }
    (std::make_integer_sequence<int, most_vectors>{});
    const Index vectors = width / lanes, tiles = (vectors + most_vectors - 1) / most_vectors;
    for (Index t = 0; t < tiles; ++t) {
        const Index begin = vectors * t / tiles, end = vectors * (t + 1) / tiles;
        double* sums[F];
        for (int f = 0; f < F; ++f) sums[f] = out[f] + begin * lanes;
        tile[static_cast<std::size_t>(end - begin - 1)](list, row_memory + begin * lanes, width, sums);
    }
}

}  // namespace

std::vector<std::uint64_t> nonzero_bits(const double* values, Index examples) {
    std::vector<std::uint64_t> bits(static_cast<std::size_t>((examples + word - 1) / word));
    for (Index e = 0; e < examples; ++e)
        bits[static_cast<std::size_t>(e / word)] |= std::uint64_t{values[e] != 0} << (e % word);
    return bits;
}

std::vector<std::uint64_t> all_bits(Index examples) {
    std::vector<std::uint64_t> bits(static_cast<std::size_t>((examples + word - 1) / word),
                                    ~std::uint64_t{0});
    if (examples % word != 0) bits.back() = (std::uint64_t{1} << (examples % word)) - 1;
    return bits;
}

Index count(const std::vector<std::uint64_t>& bits) {
    Index sum = 0;
    for (const std::uint64_t w : bits) sum += std::popcount(w);
    return sum;
}

Index chunk_examples(Index width) {
    constexpr Index doubles = 96 * 1024;
    return std::clamp(doubles / width / word * word, word, most_examples);
}

Factor one() {
    static const std::vector<double> values(most_examples, 1.0);
    static const std::vector<std::uint64_t> nonzero = all_bits(most_examples);
    return {values.data(), nonzero.data()};
}

void gather(const Factor& x, const Factor& y, const Factor& z, Index words, WeightedExamples& list) {
    Index n = 0;
    for (Index w = 0; w < words; ++w) {
        std::uint64_t bits = x.nonzero[w] & (y.nonzero[w] | z.nonzero[w]);
        for (; bits != 0; bits &= bits - 1) {
            const Index e = w * word + std::countr_zero(bits);
            list.example[n] = static_cast<std::int32_t>(e);
            list.weight[0][n] = x.values[e] * y.values[e];
            list.weight[1][n] = x.values[e] * z.values[e];
            ++n;
        }
    }
    list.count = n;
}

void add_rows(const WeightedExamples& list, const double* rows, Index width, double* first, double* second) {
    double* const out[] = {first, second};
    if (second)
        add_tiles<2>(list, rows, width, out);
    else
        add_tiles<1>(list, rows, width, out);
}

void transpose(const double* const* columns, Index count, Index examples, Index width, double* out) {
    constexpr Index together = 8;  // columns: a cache line of a row
    for (Index begin = 0; begin < count; begin += together) {
        const Index some = std::min(together, count - begin);
        const double* from[together];
        for (Index c = 0; c < some; ++c) from[c] = columns[begin + c];
        if (some == together) {
            for (Index e = 0; e < examples; ++e)
#pragma GCC unroll 8
                for (Index c = 0; c < together; ++c) out[e * width + begin + c] = from[c][e];
        } else {
            for (Index e = 0; e < examples; ++e)
                for (Index c = 0; c < some; ++c) out[e * width + begin + c] = from[c][e];
        }
    }
}

}  // namespace espectra::weighted
