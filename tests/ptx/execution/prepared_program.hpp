#pragma once

#include "ptx/execution/row_layout.hpp"
#include "ptx/execution/strip.hpp"
#include "ptx/program/program.hpp"
#include <vector>

namespace espectra::ptx {

/// A program as steps. An instruction has one step, or more: checks whether registers that it reads have been
/// assigned come before, what its guard needs around it, notes of what it assigns after it.
struct PreparedProgram {
    explicit PreparedProgram(const Program& program);

    std::vector<Step> steps;
    std::vector<int> transfers;    ///< for each step, the first from there on that may transfer control
    std::vector<int> first_steps;  ///< of each instruction
    RowLayout rows;
    std::vector<int> tracked;  ///< registers with an entry in Strip::assigned
};

}  // namespace espectra::ptx
