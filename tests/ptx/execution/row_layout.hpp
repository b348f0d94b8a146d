#pragma once

#include "ptx/program/program.hpp"
#include <cstddef>
#include <cstdint>
#include <vector>

namespace espectra::ptx {

/// Where the rows of a program's registers are in the memory of a strip. Variables that are never needed at
/// the same time share a row, as nvcc writes each register once and would fill megabytes.
struct RowLayout {
    std::vector<std::uint32_t> offsets;  ///< of each register, in bytes
    std::size_t bytes = 0;               ///< of all rows, a multiple of 64
};

/// Bytes of the row of a register of this width.
std::size_t row_bytes(int bits);

RowLayout lay_out_rows(const Program& program);

}  // namespace espectra::ptx
