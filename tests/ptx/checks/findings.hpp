#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace espectra::ptx {

/// What a kernel, or a call of the runtime or of a library, did wrong.
enum class Fault {
    out_of_bounds,
    misaligned,
    uninitialized_memory,
    uninitialized_register,
    race,
    divergent_barrier,
    incomplete_warp,
    division_by_zero,
    parameter,
    invalid_launch,
    invalid_argument,  ///< of a library
    stream_order,      ///< memory used or freed before the work on it is done
    leak,
};

/// Where it happened. Lines are those of the PTX file, from 1.
struct Place {
    std::string kernel;       ///< readable name, or the name of the call
    int line = 0;             ///< 0: not in a kernel
    std::string instruction;  ///< text of the line
};

struct Finding {
    Fault fault;
    Place place;
    std::int64_t block = -1, thread = -1;  ///< -1: none
    std::uint64_t address = 0;
    std::string detail;  ///< a sentence with the values
};

/// Collects the findings of all threads of a process. Each place and fault is kept once, with the number of
/// times.
class Findings {
  public:
    void add(const Finding& finding);
    std::size_t count() const;             ///< of different places and faults
    std::size_t count(Fault fault) const;  ///< of different places with this fault
    std::vector<std::string> lines() const;
    void clear();

  private:
    mutable std::mutex mutex_;
    std::vector<std::pair<Finding, std::uint64_t>> found_;
};

}  // namespace espectra::ptx
