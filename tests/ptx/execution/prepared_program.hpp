#pragma once

#include "ptx/execution/strip.hpp"
#include "ptx/program/program.hpp"
#include <cstddef>
#include <cstdint>
#include <vector>

namespace espectra::ptx {

/// A program as steps. An instruction has one step, or more: checks whether registers that it reads have been
/// assigned come before, what its guard needs around it, notes of what it assigns after it.
struct PreparedProgram {
    explicit PreparedProgram(const Program& program);

    std::vector<Step> steps;
    /// For each step, the first from there on that may transfer control: a branch, a barrier or ret.
    std::vector<int> transfers;
    std::vector<int> first_steps;            ///< of each instruction
    std::vector<std::uint32_t> row_offsets;  ///< of each register, in bytes
    std::size_t row_bytes = 0;               ///< of all rows, a multiple of 64
    std::vector<int> tracked;                ///< registers with an entry in Strip::assigned
};

}  // namespace espectra::ptx
