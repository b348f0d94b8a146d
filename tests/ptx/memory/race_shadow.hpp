#pragma once

#include "ptx/memory/initialized_bytes.hpp"
#include "ptx/memory/mapping.hpp"
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace espectra::ptx {

/// A thread in a phase, or phases: the phase's number in the upper 20 bits, the number of the thread in the
/// block in the lower 11. Phases of all launches are numbered in the order of execution, from 1. Of stamps of
/// reads, bit 11 tells that a block before this one has read in the same launch.
using Stamp = std::uint32_t;

inline constexpr int stamp_thread_bits = 12;
inline constexpr Stamp stamp_other_block = Stamp{1} << (stamp_thread_bits - 1);
inline constexpr Stamp stamp_several_threads = stamp_other_block - 1;  ///< in place of a thread
inline constexpr Stamp most_phases = (Stamp{1} << (32 - stamp_thread_bits)) - 1;

/// The first stamps of the launch, of the block and of the phase that are executed. In the shared memory of a
/// block, the first stamp of the launch is that of the block.
struct Now {
    Stamp launch = 0, block = 0, phase = 0;
};

// Without branches, so that loops over granules are vectorised.

/// Returns true if an access with stamp `self` conflicts with the last write.
constexpr bool conflicts_with_write(Stamp write, Stamp self, const Now& now) {
    const bool other_block = write < now.block, this_phase = write >= now.phase;
    return (write >= now.launch) & (other_block | (this_phase & (write != self)));
}

/// Returns true if a write with stamp `self` conflicts with the reads.
constexpr bool conflicts_with_reads(Stamp read, Stamp self, const Now& now) {
    const bool only_this_block = (read >= now.block) & ((read & stamp_other_block) == 0);
    return (read >= now.launch) & !(only_this_block & ((read < now.phase) | (read == self)));
}

/// Returns the stamp of the reads after another one with stamp `self`.
constexpr Stamp with_read(Stamp read, Stamp self, const Now& now) {
    const bool other_block = (read >= now.launch) & ((read < now.block) | ((read & stamp_other_block) != 0));
    const Stamp first = self | (other_block ? stamp_other_block : 0);
    const Stamp again = read | ((read & ~stamp_other_block) == self ? 0 : stamp_several_threads);
    return read >= now.phase ? again : first;
}

/// Finds races. For each granule of memory it has the last write and the reads since, in two stamps; where
/// parts of a granule have different ones, the granule is split, with stamps for each byte.
///
/// As blocks, and phases, are executed one after the other, two stamps are enough: an access that conflicts
/// with an earlier one but not with the last write is preceded by a conflict of that last write, which has
/// been reported.
class RaceShadow {
  public:
    explicit RaceShadow(std::size_t bytes) : writes_(bytes / granule_bytes), reads_(bytes / granule_bytes) {}

    struct Conflict {
        std::size_t byte;
        bool with_write;  ///< otherwise with a read
        Stamp earlier;
    };

    /// Enters the read or write of bytes [first, last) by a thread. Returns the first conflict.
    std::optional<Conflict> access(std::size_t first, std::size_t last, bool write, Stamp thread,
                                   const Now& now);

    /// The same for whole granules from `granule`, of which number i is accessed with stamp stamps[i] (phase
    /// and thread). Returns false if there may be a conflict, or a granule is split: then access() has to be
    /// called for each, which it may be for those that have been entered already.
    bool read_granules(std::size_t granule, const Stamp* stamps, std::size_t count, const Now& now) const;
    bool write_granules(std::size_t granule, const Stamp* stamps, std::size_t count, const Now& now) const;

    /// The same for one granule.
    bool read_granule(std::size_t granule, Stamp stamp, const Now& now) const {
        if (conflicts_with_write(writes_[granule], stamp, now)) return false;
        reads_[granule] = with_read(reads_[granule], stamp, now);
        return true;
    }
    bool write_granule(std::size_t granule, Stamp stamp, const Now& now) const {
        if (conflicts_with_write(writes_[granule], stamp, now) ||
            conflicts_with_reads(reads_[granule], stamp, now))
            return false;
        writes_[granule] = stamp;
        return true;
    }

    /// Forgets what is known about bytes [first, last): whole granules.
    void discard(std::size_t first, std::size_t last);

    /// Returns the first stamps of launch, block and phase when phases are numbered again from 1.
    static Now renumbered(const Now& now);

    /// Numbers the phases in the stamps of bytes [first, last) again: afterwards `names` is in force.
    void renumber(std::size_t first, std::size_t last, const Now& now, const Now& names);

  private:
    struct Cell {
        Stamp write = 0, read = 0;
        bool operator==(const Cell&) const = default;
    };
    using Split = std::array<Cell, granule_bytes>;
    struct Touched {
        bool conflict = false, with_write = false;
        Stamp earlier = 0;
    };

    static Touched touch(Cell& cell, bool write, Stamp self, const Now& now);
    static Cell simplified(const Cell& cell, const Now& now, const Now& names);
    Split& split(std::size_t granule);
    void join(std::size_t granule, const Now& now);

    Mapping<Stamp> writes_;  // of a split granule: split_mark
    Mapping<Stamp> reads_;   // of a split granule: its index in splits_
    std::vector<Split> splits_;
    std::vector<Stamp> free_splits_;
};

}  // namespace espectra::ptx
