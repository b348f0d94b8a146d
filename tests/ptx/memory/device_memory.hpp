#pragma once

#include "ptx/checks/findings.hpp"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace espectra::ptx {

/// Part of the memory that some work has used.
struct Use {
    std::byte* allocation;    ///< its base
    std::size_t first, last;  ///< bytes [first, last) from its base: the smallest range that holds all
    bool written;
};

/// A column-major matrix, or a triangle of it with its diagonal. A vector is a matrix of one row with the
/// increment as leading dimension, or of one column.
struct MatrixRegion {
    enum class Part { all, lower, upper };
    const void* address = nullptr;
    std::int64_t rows = 0, columns = 0, leading_dimension = 0;
    std::size_t element_bytes = 8;
    Part part = Part::all;
};

/// The memory of the device, in host memory: device addresses are host addresses in one range of their own.
/// Each byte has shadow memory: whether it is initialised, and which threads have read and written it in a
/// launch. Around an allocation are as many bytes, up to 1 GiB, that belong to nothing, and an address is
/// used again only when the whole range has been used: accesses beyond an allocation, and after its end, are
/// seen.
///
/// All functions can be called from all threads; each is done at once, and while a LaunchMemory exists, those
/// of other threads wait. `call` is the place of findings: the name of the call of the runtime or of the
/// library.
class DeviceMemory {
  public:
    /// Adds what it finds to `findings`.
    explicit DeviceMemory(Findings& findings);
    ~DeviceMemory();
    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;

    /// Returns memory of the device, aligned to 256 bytes, uninitialised and filled with the poison; of 0
    /// bytes too, an address of its own. Throws std::bad_alloc if no range of addresses is free.
    void* allocate(std::size_t bytes);

    /// Frees an allocation, in the order of its stream: from now on accesses to it are findings. If the
    /// address is not that of a live allocation, this is a finding, and false is returned.
    bool release(void* address, const Place& call);

    /// Returns an address for memory of `bytes` bytes that cannot be accessed yet, such as memory of graphs,
    /// which has its address from capture on and is allocated and freed by every launch. commit() allocates
    /// it (uninitialised, poisoned), release() frees it, and both can be repeated until withdraw(). commit()
    /// of what is allocated is a finding, and returns false.
    void* reserve(std::size_t bytes);
    bool commit(void* address, const Place& call);
    void withdraw(void* address);

    /// Returns true if the address lies in the device's range, whether it is allocated or not.
    bool is_device(const void* address) const;

    /// Copies bytes, and which of them are initialised, between host and device in any direction; those of
    /// the host count as initialised. Uninitialised bytes that are copied to the host are a finding that
    /// tells how many and where the first is; they are copied nevertheless. Out of bounds, or in freed
    /// memory, is a finding, nothing is copied, and false is returned.
    bool copy(void* target, const void* source, std::size_t bytes, const Place& call);

    /// The same for rows of `row_bytes` bytes, whose starts are a pitch apart.
    bool copy_rows(void* target, std::size_t target_pitch, const void* source, std::size_t source_pitch,
                   std::size_t row_bytes, std::size_t rows, const Place& call);

    /// Sets all bytes to a value.
    bool fill(void* target, unsigned char value, std::size_t bytes, const Place& call);

    /// Checks an argument of a library, which works on the host memory directly, before it is called.
    /// `argument` is the name of the library's argument. Only the elements of the part count. A leading
    /// dimension that is too small, out of bounds, freed, and misaligned are findings; then false is
    /// returned, and the library must not be called. read(): uninitialised elements are a finding.
    /// overwrite(): all elements will be written. destroy(): elements may be written and have no defined
    /// values afterwards (workspaces, and matrices that a routine destroys).
    bool read(const MatrixRegion& region, const Place& call, const std::string& argument);
    bool overwrite(const MatrixRegion& region, const Place& call, const std::string& argument);
    bool destroy(const MatrixRegion& region, const Place& call, const std::string& argument);

    /// Returns what has been used since the last call, by launches, copies and libraries: for each allocation
    /// at most one range that is read and one that is written.
    std::vector<Use> take_uses();

  private:
    friend class LaunchMemory;
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace espectra::ptx
