#pragma once

#include <cstddef>

namespace espectra {

/// Returns the bytes that this process can still allocate without swapping: the least of the system's
/// available memory and of what the limits of its control groups and its address-space limit (ulimit -v)
/// leave.
std::size_t available_memory();

/// Returns the bytes that the address-space limit (ulimit -v) leaves; the largest number without a limit.
std::size_t address_space_left();

/// Return the peak and the present resident memory of this process in bytes.
std::size_t peak_resident_memory();
std::size_t resident_memory();

}  // namespace espectra
