#pragma once

#include "ptx/execution/prepared_program.hpp"
#include "ptx/execution/strip.hpp"
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace espectra::ptx {

/// Executes blocks of one size of one kernel, one after the other. Registers and their constants are kept
/// between launches.
class BlockExecution {
  public:
    BlockExecution(const Program& program, const PreparedProgram& prepared, int threads);

    int threads() const { return threads_; }

    /// Executes a block: all threads up to their first barrier, then up to the next, and so on. `order` has
    /// the strips of the block in the order in which they are executed between barriers. Returns the number
    /// of thread instructions.
    std::uint64_t run(LaunchContext& launch, const std::vector<int>& order, std::int64_t dropped_barrier);

    int strip_count() const { return static_cast<int>(strips_.size()); }

  private:
    /// Threads at the same step.
    struct Threads {
        int step;
        LaneMask mask;
    };

    void begin(LaunchContext& launch);
    void run_to_barrier(std::size_t strip);
    int run_straight(Strip& strip, int step, int end);
    bool transfer(std::size_t strip, int& step, int next);
    bool pass_barrier(LaunchContext& launch);

    struct alignas(64) Line {
        std::byte bytes[64];
    };

    const Program& program_;
    const PreparedProgram& prepared_;
    int threads_;
    std::vector<Line> rows_;  ///< of all strips
    std::vector<Strip> strips_;
    std::optional<std::uint32_t> block_index_row_;  ///< nothing if the program does not read %ctaid.x
    std::vector<std::vector<Threads>> ready_;       ///< of each strip
    std::vector<std::vector<Threads>> waiting_;     ///< of each strip, at the step of their barrier
    int dropped_step_ = -1;
    std::uint64_t thread_instructions_ = 0;
};

}  // namespace espectra::ptx
