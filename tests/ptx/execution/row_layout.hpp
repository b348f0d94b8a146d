#pragma once

#include "ptx/program/program.hpp"
#include <cstddef>
#include <cstdint>
#include <vector>

namespace espectra::ptx {

/// Places of the rows of a program's registers in the memory of a strip. Variables that are never needed at
/// the same time share a row: nvcc assigns most registers once, and uses a new one for each value.
struct RowLayout {
    std::vector<std::uint32_t> offsets;  ///< of each register, in bytes
    std::size_t bytes = 0;               ///< of all rows, a multiple of 64
};

/// Returns the bytes of the row of a register of this width.
std::size_t row_bytes(int bits);

RowLayout lay_out_rows(const Program& program);

}  // namespace espectra::ptx
