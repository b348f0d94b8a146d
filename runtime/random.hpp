#pragma once

#include <Random123/philox.h>

#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>

namespace espectra {

/// Counter-based random numbers (Philox 4×32-10, Salmon et al., SC'11): number `index` of stream `stream` of
/// `seed` is a pure function of the three, on every backend and in every order of evaluation.
class RandomStream {
  public:
    RandomStream(std::uint64_t seed, std::uint32_t stream) : seed_(seed), stream_(stream) {}

    /// Returns 64 random bits.
    std::uint64_t bits(std::uint64_t index) const {
        const auto words = draw(index);
        return (static_cast<std::uint64_t>(words.v[1]) << 32) | words.v[0];
    }

    /// Returns a number uniform on [0, 1), of 53 bits.
    double uniform(std::uint64_t index) const { return static_cast<double>(bits(index) >> 11) * 0x1p-53; }

    /// Returns a standard normal number (Box–Muller: the first of the pair of an index).
    double normal(std::uint64_t index) const {
        const auto words = draw(index);
        const std::uint64_t a = (static_cast<std::uint64_t>(words.v[1]) << 32) | words.v[0];
        const std::uint64_t b = (static_cast<std::uint64_t>(words.v[3]) << 32) | words.v[2];
        const double u = (static_cast<double>(a >> 11) + 1.0) * 0x1p-53;  // (0, 1]
        const double v = static_cast<double>(b >> 11) * 0x1p-53;
        return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
    }

    /// Shuffles any random-access range (Fisher–Yates).
    template <class Range>
    void shuffle(Range& range) const {
        for (std::uint64_t i = range.size(); i > 1; --i) {
            const auto j = static_cast<std::uint64_t>(uniform(i) * static_cast<double>(i));
            std::swap(range[i - 1], range[j]);
        }
    }

  private:
    r123::Philox4x32::ctr_type draw(std::uint64_t index) const {
        const r123::Philox4x32::ctr_type counter = {
            {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), stream_, 0u}};
        const r123::Philox4x32::key_type key = {
            {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)}};
        return r123::Philox4x32()(counter, key);
    }

    std::uint64_t seed_;
    std::uint32_t stream_;
};

/// Streams of a seed by their use. A new use gets a new number, so that the others keep their random numbers.
enum RandomStreamId : std::uint32_t {
    weights_stream = 0,
    beta_stream = 1,
    split_stream = 2,
    generator_stream = 3,
    bootstrap_stream = 4,
    bias_stream = 5
};

}  // namespace espectra
