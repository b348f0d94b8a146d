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
#include <string_view>

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

/// Returns the number after the word `key` in a file, or `missing` if there is none.
std::size_t number_after(const std::string& path, const std::string& key, std::size_t missing) {
    std::ifstream file(path);
    std::size_t number = 0;
    for (std::string word; file >> word;)
        if (word == key) return file >> number ? number : missing;
    return missing;
}

/// Returns the value in bytes of "key:   123 kB" in a /proc file, or `missing` if there is none.
std::size_t proc_kilobytes(const char* path, const std::string& key, std::size_t missing) {
    const std::size_t kilobytes = number_after(path, key, unlimited);
    return kilobytes == unlimited ? missing : kilobytes * 1024;
}

/// Returns the number in a file, or `missing` if it contains "max" or does not exist.
std::size_t number_in(const std::string& path, std::size_t missing) {
    std::ifstream file(path);
    std::size_t number = 0;
    return file >> number ? number : missing;
}

std::size_t remaining(std::size_t limit, std::size_t used) { return limit > used ? limit - used : 0; }

/// Paths of a group's memory in a version of control groups.
struct ControlGroups {
    std::string_view root;
    const char *limit, *used, *file_cache;
};
constexpr ControlGroups version1{"/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes",
                                 "total_inactive_file"};
constexpr ControlGroups version2{"/sys/fs/cgroup", "/memory.max", "/memory.current", "inactive_file"};

/// Returns the bytes that the limits of a group and of those above it leave. The file cache counts as used,
/// but is dropped when memory is needed.
std::size_t group_remaining(const ControlGroups& groups, const std::string& path) {
    std::size_t least = unlimited;
    for (std::string group = std::string(groups.root) + path; group.size() >= groups.root.size();
         group.resize(group.rfind('/'))) {
        const std::size_t limit = number_in(group + groups.limit, unlimited);
        if (limit == unlimited) continue;
        const std::size_t cache = number_after(group + "/memory.stat", groups.file_cache, 0);
        least = std::min(least, remaining(limit, remaining(number_in(group + groups.used, 0), cache)));
    }
    return least;
}

/// Returns the bytes that the control groups of this process leave. Lines of the file are
/// number:controllers:path, in version 2 without controllers.
std::size_t control_groups_remaining() {
    std::size_t least = unlimited;
    std::ifstream file("/proc/self/cgroup");
    for (std::string number, controllers, path; std::getline(file, number, ':') &&
                                                std::getline(file, controllers, ':') &&
                                                std::getline(file, path);) {
        if (controllers.empty())
            least = std::min(least, group_remaining(version2, path));
        else if (("," + controllers + ",").find(",memory,") != std::string::npos)
            least = std::min(least, group_remaining(version1, path));
    }
    return least;
}

}  // namespace

std::size_t address_space_left() {
    rlimit limit{};
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unlimited;
    return remaining(limit.rlim_cur, proc_kilobytes("/proc/self/status", "VmSize:", 0));
}

std::size_t available_memory() {
    std::size_t available = proc_kilobytes("/proc/meminfo", "MemAvailable:", unlimited);
    available = std::min(available, control_groups_remaining());
    return std::min(available, address_space_left());
}

std::size_t peak_resident_memory() { return proc_kilobytes("/proc/self/status", "VmHWM:", 0); }
std::size_t resident_memory() { return proc_kilobytes("/proc/self/status", "VmRSS:", 0); }

}  // namespace espectra
