#pragma once

#include "ptx/checks/findings.hpp"
#include "ptx/memory/device_memory.hpp"
#include "ptx/program/instruction.hpp"
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace espectra::ptx {

/// The accesses of one instruction by threads of a block.
struct Access {
    Space space = Space::generic;  ///< generic, global or shared
    int bytes = 8;                 ///< of one thread: 1, 2, 4, 8, 16 or 32; a vector is one access
    int instruction = 0;           ///< its index, for messages
    std::span<const std::uint64_t> addresses;  ///< one for each thread, offset included
    std::span<const int> threads;              ///< numbers in the block, ascending
};

/// Places of the accesses of an instruction in host memory.
struct Located {
    enum class Pattern {
        same,        ///< all at `first`
        contiguous,  ///< access i at first + i·bytes
        scattered,   ///< access i at each[i]. Null: not allowed; a read gives any value, a write is left out
    };
    Pattern pattern = Pattern::scattered;
    std::byte* first = nullptr;
    std::byte* const* each = nullptr;  ///< valid until the next call
};

/// The memory as one launch sees it: global memory, and the shared memory of the block that is executed.
/// Blocks of a launch are executed one after the other, and the phases of a block (between two barriers) too;
/// the threads of a phase in any order. All accesses are checked: bounds, alignment, initialised bytes,
/// races.
///
/// Two accesses to a byte race if at least one is a write and they are made by different blocks, or by
/// different threads of a block in the same phase; also by threads of one warp, and also if equal values are
/// written. The later one is reported. The first race on a byte is always seen; after it, further ones may be
/// missed there.
class LaunchMemory {
  public:
    /// `shared_bytes`: all shared memory of a block, which starts at shared_memory_start. `place` returns the
    /// place of an instruction, for findings. Locks the memory until the end of the launch.
    LaunchMemory(DeviceMemory& memory, Findings& findings, std::size_t shared_bytes,
                 std::function<Place(int instruction)> place);
    ~LaunchMemory();
    LaunchMemory(const LaunchMemory&) = delete;
    LaunchMemory& operator=(const LaunchMemory&) = delete;

    /// Begins the first phase of a block; its shared memory is uninitialised and filled with the poison.
    void begin_block(std::int64_t block);

    /// Begins the next phase of the block: all of its threads have passed a barrier.
    void barrier();

    /// Checks what the instruction reads or writes; afterwards the caller copies the bytes.
    Located read(const Access& access);
    Located write(const Access& access);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace espectra::ptx
