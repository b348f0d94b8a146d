#pragma once

#include <cstddef>
#include <cstdint>

namespace espectra::ptx {

// Sketch of the contract; the owner of this room completes it.

/// The allocations of the device, in host memory, each with shadow memory: which bytes are initialised, and
/// who read and wrote them last.
class DeviceMemory {
  public:
    /// For the runtime: a new allocation (uninitialised, filled with a pattern), its end, a copy (before it
    /// is done: carries over what is initialised; a copy to the host of what is not is a finding), a write by
    /// a library.
    void allocate(void* address, std::size_t bytes);
    void release(void* address);
    void copied(void* target, const void* source, std::size_t bytes);
    void written(void* address, std::size_t bytes);
};

}  // namespace espectra::ptx
