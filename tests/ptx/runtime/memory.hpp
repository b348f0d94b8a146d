#pragma once

#include "ptx/runtime/streams.hpp"
#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <vector>

namespace espectra::ptx {

/// Value of the host's bytes that have not been written yet: pinned memory, targets of copies, workspaces.
inline constexpr int host_poison = 0xF7;

/// Addresses of the device for one allocation, which can be allocated and freed repeatedly.
class Reservation {
  public:
    explicit Reservation(std::size_t bytes);
    ~Reservation();
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;

    void* const address;
    const std::size_t bytes;
};

/// An allocation in the order of the calls, whether its work has been done or not.
struct LiveBlock {
    std::shared_ptr<Reservation> reservation;
    cudaMemPool_t pool;  ///< null: of a graph
};

/// Bytes of allocations that live at one time.
class LiveBytes {
  public:
    void add(std::size_t bytes) { most_ = std::max(most_, live_ += bytes); }
    void remove(std::size_t bytes) { live_ -= bytes; }
    void trim() { most_ = live_; }
    std::size_t most() const { return most_; }
    /// Returns by how much more bytes would increase the most of them.
    std::size_t growth(std::size_t bytes) const { return live_ + bytes - std::min(most_, live_ + bytes); }

  private:
    std::size_t live_ = 0, most_ = 0;
};

/// Returns the live allocations by address.
std::map<void*, LiveBlock>& live_blocks();

/// Returns true if the address lies in pinned memory.
bool is_pinned(const void* address);

}  // namespace espectra::ptx

struct CUgraph_st::OwnMemory {
    std::map<void*, std::shared_ptr<espectra::ptx::Reservation>> blocks;  ///< not yet freed in the capture
    espectra::ptx::LiveBytes bytes;  ///< blocks that follow one another share memory
};
