#pragma once

#include "ptx/checks/findings.hpp"
#include "ptx/memory/device_memory.hpp"
#include "ptx/memory/initialized_bytes.hpp"
#include "ptx/memory/mapping.hpp"
#include "ptx/memory/race_shadow.hpp"
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace espectra::ptx {

/// Value of uninitialised memory: as float64 a quiet NaN, as an integer large.
inline constexpr std::uint64_t poison = 0x7FFA'DEAD'7FFA'DEADULL;

/// Fills memory with the poison.
void fill_with_poison(std::byte* first, std::size_t bytes);

/// Smallest range that holds all bytes that are added: [first, last).
struct Hull {
    std::size_t first = SIZE_MAX, last = 0;
    bool empty() const { return first >= last; }
    void add(std::size_t begin, std::size_t end) {
        if (begin < first) first = begin;
        if (end > last) last = end;
    }
};

/// The bytes that are read, and those that are written.
struct Hulls {
    Hull read, written;
    Hull& of(bool write) { return write ? written : read; }
    bool empty() const { return read.empty() && written.empty(); }
};

/// A range of bytes with its shadow; positions are counted from its begin.
struct ShadowedMemory {
    explicit ShadowedMemory(std::size_t bytes) : data(bytes), initialized(bytes), races(bytes) {}
    Mapping<std::byte> data;
    InitializedBytes initialized;
    RaceShadow races;
};

struct DeviceMemory::State {
    /// An allocation with what the memory knows of it. Positions are those of the device's range.
    struct Record {
        std::uint64_t number = 0;                   // from 1, in the order of allocation
        std::size_t first = 0, last = 0;            // its bytes
        std::size_t slot_first = 0, slot_last = 0;  // with the bytes around it
        bool live = false;                          // false: freed, or reserved and not committed
        bool reserved = false;
        Hulls uses;    // since take_uses(); if there are any, it is in `used`
        Hull stamped;  // by launches since commit()

        std::size_t bytes() const { return last - first; }
    };
    using Records = std::map<std::size_t, Record>;  // by `first`

    explicit State(Findings& sink);

    std::byte* address(std::size_t position) const { return memory.data.data() + position; }
    std::size_t position(const void* address) const {
        return static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(address) -
                                        reinterpret_cast<std::uintptr_t>(memory.data.data()));
    }
    bool contains(const void* address) const { return position(address) < memory.data.size(); }

    /// Returns the live allocation, or null, that has this position among its bytes.
    Record* live_at(std::size_t position);

    /// Returns the record, live or not, that has this position in its slot, or null.
    const Record* record_at(std::size_t position) const;

    /// Returns the finding for an access to bytes [position, position + bytes), which is not allowed: fault
    /// and detail, which begins with `what`.
    Finding refused(std::size_t position, std::size_t bytes, const std::string& what) const;

    /// Returns where a position is, such as "byte 24 of allocation 7 (80 bytes)".
    std::string describe(std::size_t position) const;

    /// Returns the live allocation that has bytes [address, address + bytes). If there is none, adds a
    /// finding that begins with `what` and returns null.
    Record* usable(const void* address, std::size_t bytes, const Place& call, const std::string& what);
    Record* usable(const MatrixRegion& region, const Place& call, const std::string& what);

    /// Notes that a library reads or writes the part of a matrix, and calls f(first, last) with the positions
    /// of each of its columns. If the region is not usable(), returns false.
    template <class F>
    bool use(const MatrixRegion& region, const Place& call, const std::string& what, bool written,
             const F& f);

    /// Takes a slot of the range for an allocation that cannot be accessed yet.
    Record& reserve(std::size_t bytes);
    void commit(Record& record);
    void release(Record& record);
    void keep_released(std::size_t first);

    /// Notes for take_uses() that bytes [begin, end) are used.
    void use(Record& record, std::size_t begin, std::size_t end, bool written);

    /// Numbers the phases of all stamps again. Returns the first ones that are in force then.
    Now renumber(const Now& now);

    Findings& findings;
    mutable std::recursive_mutex mutex;
    ShadowedMemory memory;
    /// Shared memory of the block that is executed: the most that a block can have on any device.
    ShadowedMemory shared{std::size_t{256} << 10};
    Records records;
    std::deque<std::size_t> released;  // records that are kept to explain accesses to freed memory
    std::vector<std::size_t> used;     // records with uses
    std::size_t cursor = 0;            // where the next slot is looked for
    std::uint64_t numbers = 0;         // of allocations
    Stamp phases = 0;                  // number of the last phase
};

}  // namespace espectra::ptx
