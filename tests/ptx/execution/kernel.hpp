#pragma once

#include "ptx/checks/findings.hpp"
#include "ptx/memory/device_memory.hpp"
#include "ptx/program/program.hpp"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace espectra::ptx {

/// The order in which the blocks of a launch are executed, and the warps of a block between two barriers.
enum class BlockOrder { ascending, descending, shuffled };

struct Launch {
    std::int64_t blocks = 1;
    int threads = 32;
    std::size_t shared_bytes = 0;           ///< dynamic shared memory
    std::span<const std::byte> parameters;  ///< laid out as the kernel declares them
    BlockOrder order = BlockOrder::ascending;
    std::int64_t dropped_barrier = -1;  ///< index in Program::barriers of a bar.sync that is left out
};

/// Counts of what a kernel has executed so far.
struct Statistics {
    std::int64_t launches = 0, blocks = 0;
    std::uint64_t thread_instructions = 0;  ///< instructions, each counted once for each thread it ran in
    double seconds = 0;
};

/// A compiled kernel, prepared for execution.
class Kernel {
  public:
    explicit Kernel(Program program);
    ~Kernel();
    Kernel(Kernel&&) noexcept;
    Kernel& operator=(Kernel&&) noexcept;

    const Program& program() const;

    /// Executes all blocks of a launch. What the kernel does wrong is added to `findings`, and execution goes
    /// on with a marked value. Threads may call it at the same time; launches of one kernel then follow one
    /// another.
    void execute(const Launch& launch, DeviceMemory& memory, Findings& findings);

    Statistics statistics() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace espectra::ptx
