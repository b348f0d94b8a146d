#pragma once

#include <cstddef>

namespace espectra {

/// Bytes that this process can still get without swapping: the smallest of what the system has available, its
/// control groups' limits and its address-space limit (ulimit -v) leave.
std::size_t available_memory();

/// What the address-space limit (ulimit -v) leaves of it; the largest number where there is none.
std::size_t address_space_left();

/// Peak and present resident memory of this process in bytes.
std::size_t peak_resident_memory();
std::size_t resident_memory();

}  // namespace espectra
