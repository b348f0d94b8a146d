#pragma once

#include "ptx/checks/findings.hpp"
#include "ptx/memory/device_memory.hpp"
#include "ptx/program/program.hpp"
#include <cstddef>
#include <span>

namespace espectra::ptx {

/// The order in which the blocks of a launch are executed.
enum class BlockOrder { ascending, descending, shuffled };

struct Launch {
    std::int64_t blocks = 1;
    int threads = 32;
    std::size_t shared_bytes = 0;           ///< dynamic shared memory
    std::span<const std::byte> parameters;  ///< laid out as the kernel declares them
    BlockOrder order = BlockOrder::ascending;
    std::int64_t dropped_barrier = -1;  ///< this bar.sync of the program, counted in the text, is left out
};

/// Executes all blocks of a launch of one compiled kernel. What the kernel does wrong is added to `findings`,
/// and execution goes on with a marked value.
void execute(const Program& program, const Launch& launch, DeviceMemory& memory, Findings& findings);

}  // namespace espectra::ptx
