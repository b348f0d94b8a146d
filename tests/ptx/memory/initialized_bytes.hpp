#pragma once

#include "ptx/memory/mapping.hpp"
#include <cstddef>
#include <cstdint>

namespace espectra::ptx {

/// Bytes that are accessed and checked together, if an access has all of them.
inline constexpr std::size_t granule_bytes = 8;

/// Keeps for each byte of a range whether it is initialised: one bit for a byte, in a mask for each granule.
class InitializedBytes {
  public:
    /// `bytes` is a multiple of granule_bytes. All are uninitialised.
    explicit InitializedBytes(std::size_t bytes) : masks_(bytes / granule_bytes) {}

    /// Returns true if bytes [first, last) are all initialised.
    bool all(std::size_t first, std::size_t last) const;

    /// Returns true if the granules [first, last) are initialised.
    bool all_granules(std::size_t first, std::size_t last) const;

    bool granule(std::size_t index) const { return masks_[index] == 0xFF; }

    void set(std::size_t first, std::size_t last);
    void set_granules(std::size_t first, std::size_t last);
    void set_granule(std::size_t index) { masks_[index] = 0xFF; }
    void clear(std::size_t first, std::size_t last);

    /// Gives [target, target + bytes) the state of [source, source + bytes); the ranges may overlap.
    void copy(std::size_t target, std::size_t source, std::size_t bytes);

    struct Missing {
        std::size_t count = 0, first = 0;
        /// Adds those of a later range.
        void add(const Missing& more) {
            if (count == 0) first = more.first;
            count += more.count;
        }
    };
    /// Returns the number of uninitialised bytes in [first, last), and the first one.
    Missing missing(std::size_t first, std::size_t last) const;

  private:
    bool at(std::size_t byte) const {
        return (masks_[byte / granule_bytes] >> byte % granule_bytes & 1U) != 0;
    }

    Mapping<std::uint8_t> masks_;
};

}  // namespace espectra::ptx
