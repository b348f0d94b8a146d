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

    // The runtime needs further: what a library reads (a finding, named by the place of the call, if it is
    // outside an allocation or not initialised), a copy of which only one side is on the device, and the
    // allocations that the work between two calls has used, for the order of streams:
    //     void read(const void* address, std::size_t bytes, const Place& call, Findings& findings);
    //     struct Use { const void* allocation; bool read, written; };
    //     std::vector<Use> take_uses();
};

}  // namespace espectra::ptx
