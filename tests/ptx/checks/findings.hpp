#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace espectra::ptx {

/// A fault of a kernel, or of a call of the runtime or of a library.
enum class Fault {
    out_of_bounds,  ///< outside of every allocation, or across the end of one
    freed_memory,   ///< in an allocation that has been freed, or freed twice
    misaligned,
    uninitialized_memory,
    uninitialized_register,
    race,
    divergent_barrier,
    incomplete_warp,
    division_by_zero,
    parameter,
    invalid_launch,
    invalid_argument,  ///< of the runtime or of a library
    stream_order,      ///< memory used or freed before the work on it is done
    leak,
};

/// Returns the fault's name as in the enumeration.
const char* name_of(Fault fault);

/// Place of a finding. Lines are those of the PTX file, from 1.
struct Place {
    std::string kernel = {};       ///< readable name, or the name of the call
    int line = 0;                  ///< 0: not in a kernel
    std::string instruction = {};  ///< text of the line
    auto operator<=>(const Place&) const = default;
};

struct Finding {
    Fault fault;
    Place place = {};
    std::int64_t block = -1, thread = -1;  ///< -1: none
    std::uint64_t address = 0;
    std::string detail = {};  ///< a sentence with the values
};

/// Returns one line: fault, place, block and thread, detail.
std::string to_string(const Finding& finding);

/// Collects the findings of all threads of a process. Each place and fault is kept once, as first found, with
/// the number of times. Beyond most_places, the last place takes all further ones.
class Findings {
  public:
    static constexpr std::size_t most_places = 1000;

    using Listener = std::function<void(const Finding&)>;

    /// Calls `listener`, if there is one, with the first finding of each place and fault at once. It must not
    /// use this object.
    explicit Findings(Listener listener = {}) : listener_(std::move(listener)) {}

    void add(const Finding& finding, std::uint64_t times = 1);
    std::size_t count() const;             ///< of different places and faults
    std::size_t count(Fault fault) const;  ///< of different places with this fault
    std::vector<std::string> lines() const;

    /// Returns the first finding of each place and fault, with the number of times, in the order found.
    std::vector<std::pair<Finding, std::uint64_t>> all() const;

    void clear();

  private:
    mutable std::mutex mutex_;
    Listener listener_;
    std::vector<std::pair<Finding, std::uint64_t>> found_;
    std::map<std::pair<Fault, Place>, std::size_t> index_;
};

/// Exit status of a process with findings.
inline constexpr int findings_exit_status = 99;

/// Returns the findings of this process, which are written to stderr at once. The first call registers an
/// exit handler. It calls `before_exit`, if there is one, for findings that show only at the end, such as
/// leaks; then, if there are findings, it writes a summary to stderr and ends the process with status 99. The
/// stand-in of the runtime calls it when it is loaded: handlers registered later, and destructors of static
/// objects, run before this one.
Findings& process_findings(void (*before_exit)() = nullptr);

}  // namespace espectra::ptx
