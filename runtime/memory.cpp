#include "espectra/runtime/memory.hpp"

#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <new>
#include <string>

namespace espectra {

void* allocate_host(std::size_t bytes) {
    const std::size_t rounded = (bytes + host_alignment - 1) / host_alignment * host_alignment;
    void* memory = rounded < bytes ? nullptr : std::aligned_alloc(host_alignment, rounded);
    if (!memory)
        throw ResourceError(fmt::format("out of memory: {:.3f} GB asked for, {:.3f} GB available",
                                        static_cast<double>(bytes) / 1e9,
                                        static_cast<double>(available_memory()) / 1e9));
    return memory;
}

void free_host(void* memory) noexcept { std::free(memory); }

namespace {

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

/// Value in bytes of "key:   123 kB" in a /proc file; `missing` where it is not there.
std::size_t proc_kilobytes(const char* path, const std::string& key, std::size_t missing) {
    std::ifstream file(path);
    for (std::string word; file >> word;) {
        if (word != key) continue;
        std::size_t kilobytes = 0;
        if (file >> kilobytes) return kilobytes * 1024;
    }
    return missing;
}

/// A control group file with one number; `unlimited` for "max" or where there is none.
std::size_t control_group(const char* path) {
    std::ifstream file(path);
    std::size_t bytes = 0;
    return file >> bytes ? bytes : unlimited;
}

std::size_t remaining(std::size_t limit, std::size_t used) { return limit > used ? limit - used : 0; }

}  // namespace

std::size_t available_memory() {
    std::size_t available = proc_kilobytes("/proc/meminfo", "MemAvailable:", unlimited);
    const std::size_t group_limit = control_group("/sys/fs/cgroup/memory.max");
    if (group_limit != unlimited)
        available =
            std::min(available, remaining(group_limit, control_group("/sys/fs/cgroup/memory.current")));
    rlimit limit{};
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        available =
            std::min(available, remaining(limit.rlim_cur, proc_kilobytes("/proc/self/status", "VmSize:", 0)));
    return available;
}

std::size_t peak_resident_memory() { return proc_kilobytes("/proc/self/status", "VmHWM:", 0); }
std::size_t resident_memory() { return proc_kilobytes("/proc/self/status", "VmRSS:", 0); }

}  // namespace espectra
