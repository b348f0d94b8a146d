#include "ptx/memory/launch_memory.hpp"

#include <fmt/format.h>

#include "ptx/memory/device_state.hpp"
#include "ptx/program/program.hpp"
#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace espectra::ptx {

namespace {

bool in_shared_window(std::uint64_t address) { return address >> 56 == shared_memory_window >> 56; }

/// The properties of all positions of an instruction together.
struct Extent {
    std::uint64_t lowest, highest;
    std::uint64_t bits;  // of all of them
    Located::Pattern pattern;
};

/// Fills in positions and places in host memory of addresses, which are those of `data` at `origin`.
Extent locate(std::span<const std::uint64_t> addresses, std::uint64_t mask, std::uint64_t origin,
              std::byte* data, std::uint64_t bytes, std::uint64_t* positions, std::byte** each) {
    const std::uint64_t* const from = addresses.data();
    const std::uint64_t first = (from[0] & mask) - origin;
    std::uint64_t lowest = first, highest = first, bits = 0, different = 0, not_consecutive = 0;
#pragma GCC ivdep
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const std::uint64_t position = (from[i] & mask) - origin;
        positions[i] = position;
        each[i] = data + position;
        lowest = std::min(lowest, position);
        highest = std::max(highest, position);
        bits |= position;
        different |= position ^ first;
        not_consecutive |= position ^ (first + i * bytes);
    }
    const Located::Pattern pattern = different == 0         ? Located::Pattern::same
                                     : not_consecutive == 0 ? Located::Pattern::contiguous
                                                            : Located::Pattern::scattered;
    return {lowest, highest, bits, pattern};
}

}  // namespace

struct LaunchMemory::State {
    State(DeviceMemory::State& memory, Findings& sink, std::size_t shared_bytes,
          std::function<Place(int)> place_of_instruction)
        : device(memory),
          lock(memory.mutex),
          findings(sink),
          place(std::move(place_of_instruction)),
          shared_window{.last = shared_bytes} {
        if (shared_bytes > device.shared.data.size())
            throw std::invalid_argument(fmt::format("{} bytes of shared memory, of at most {}", shared_bytes,
                                                    device.shared.data.size()));
        const Stamp first = (device.phases + 1) << stamp_thread_bits;
        now = {first, first, first};
    }
    ~State() {
        for (Window& window : windows) flush(window);
        for (const auto& [key, repeated] : reported)
            if (repeated.second > 0) findings.add(repeated.first, repeated.second);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    /// The memory that an instruction accesses, and what is executed as it counts there.
    struct Target {
        ShadowedMemory& memory;
        Now now;
        bool shared;
    };

    /// Bytes [first, last) of a memory that an instruction may access.
    struct Window {
        int instruction = -1;
        std::size_t first = 0, last = 0;
        DeviceMemory::State::Record* record = nullptr;  // of the device
        Hulls uses = {};
        bool holds(std::size_t position, std::size_t bytes) const {
            return position >= first && position < last && bytes <= last - position;
        }
    };

    Stamp next_phase();
    void flush(Window& window);
    Window& window_of(int instruction, std::size_t position, bool shared);

    template <bool write>
    Located check(const Access& access);
    template <bool write>
    Located check_mixed(const Access& access);
    template <bool write, std::size_t granules>
    bool consecutive_are_clean(Target& target, const Access& access);
    template <bool write, std::size_t granules>
    bool check_granules(Target& target, const Access& access, Located::Pattern pattern);
    bool regular(const Target& target, const Access& access, const Extent& extent, bool write);
    bool check_exactly(Target& target, const Access& access, std::size_t index, bool write);

    void report(const Target& target, const Access& access, std::size_t index, Finding finding);
    std::string where(const Target& target, std::uint64_t position) const;
    std::string describe(const Target& target, const RaceShadow::Conflict& conflict, bool write) const;

    DeviceMemory::State& device;
    std::unique_lock<std::recursive_mutex> lock;
    Findings& findings;
    std::function<Place(int)> place;
    Now now;
    std::int64_t block = -1;
    std::array<Window, 64> windows;  // by instruction
    Window shared_window;
    std::vector<std::uint64_t> positions;
    std::vector<Stamp> stamps;
    std::vector<std::byte*> each;
    std::map<std::pair<int, Fault>, std::pair<Finding, std::uint64_t>> reported;
};

Stamp LaunchMemory::State::next_phase() {
    if (device.phases + 1 >= most_phases) {
        for (Window& window : windows) flush(window);
        now = device.renumber(now);
    }
    return ++device.phases << stamp_thread_bits;
}

/// Enters the bytes that have been used in the window's allocation.
void LaunchMemory::State::flush(Window& window) {
    for (const bool written : {false, true}) {
        Hull& hull = window.uses.of(written);
        if (hull.empty()) continue;
        device.use(*window.record, hull.first, hull.last, written);
        window.record->stamped.add(hull.first, hull.last);
        hull = {};
    }
}

/// Returns the allocation that the instruction accesses: the one of its last access, if it has this position.
/// If no allocation has it, the window is empty.
LaunchMemory::State::Window& LaunchMemory::State::window_of(int instruction, std::size_t position,
                                                            bool shared) {
    if (shared) return shared_window;
    Window& window = windows[static_cast<std::size_t>(instruction) % windows.size()];
    if (window.instruction == instruction && window.holds(position, 1)) return window;
    flush(window);
    DeviceMemory::State::Record* const record = device.live_at(position);
    window = {};
    if (record != nullptr)
        window = {.instruction = instruction, .first = record->first, .last = record->last, .record = record};
    return window;
}

/// Returns true if all accesses are aligned and in one allocation, or in shared memory; these are entered as
/// used.
bool LaunchMemory::State::regular(const Target& target, const Access& access, const Extent& extent,
                                  bool write) {
    const auto bytes = static_cast<std::uint64_t>(access.bytes);
    if ((extent.bits & (bytes - 1)) != 0) return false;
    Window& window = window_of(access.instruction, extent.lowest, target.shared);
    if (!window.holds(extent.lowest, bytes) || !window.holds(extent.highest, bytes)) return false;
    window.uses.of(write).add(extent.lowest, extent.highest + bytes);
    return true;
}

/// Enters regular accesses to consecutive positions. Returns false if they have to be checked exactly.
template <bool write, std::size_t granules>
bool LaunchMemory::State::consecutive_are_clean(Target& target, const Access& access) {
    const std::size_t count = positions.size();
    stamps.resize(count * granules);
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t g = 0; g < granules; ++g)
            stamps[i * granules + g] = now.phase | static_cast<Stamp>(access.threads[i]);
    const std::size_t first = positions[0] / granule_bytes;
    if constexpr (write) {
        if (!target.memory.races.write_granules(first, stamps.data(), stamps.size(), target.now))
            return false;
        target.memory.initialized.set_granules(first, first + stamps.size());
        return true;
    } else {
        return target.memory.initialized.all_granules(first, first + stamps.size()) &&
               target.memory.races.read_granules(first, stamps.data(), stamps.size(), target.now);
    }
}

/// Checks regular accesses to whole granules. Returns false if some are not allowed.
template <bool write, std::size_t granules>
bool LaunchMemory::State::check_granules(Target& target, const Access& access, Located::Pattern pattern) {
    if (pattern == Located::Pattern::contiguous && consecutive_are_clean<write, granules>(target, access))
        return true;
    // Two reads of one position leave the same stamp as those of all threads.
    const bool two = !write && pattern == Located::Pattern::same;
    const std::size_t count = two ? std::min<std::size_t>(positions.size(), 2) : positions.size();
    const int* const threads = access.threads.data();
    InitializedBytes& initialized = target.memory.initialized;
    const RaceShadow& races = target.memory.races;
    const Now here = target.now;
    bool allowed = true;
    for (std::size_t i = 0; i < count; ++i) {
        const Stamp stamp = here.phase | static_cast<Stamp>(threads[i]);
        bool clean = true;
        for (std::size_t g = 0; g < granules; ++g) {
            const std::size_t granule = positions[i] / granule_bytes + g;
            if constexpr (write) {
                clean = clean && races.write_granule(granule, stamp, here);
                if (clean) initialized.set_granule(granule);
            } else {
                clean = clean && initialized.granule(granule) && races.read_granule(granule, stamp, here);
            }
        }
        if (!clean) allowed &= check_exactly(target, access, i, write);
    }
    return allowed;
}

template <bool write>
Located LaunchMemory::State::check(const Access& access) {
    const std::size_t count = access.addresses.size();
    if (count == 0) return {};
    bool shared = access.space == Space::shared;
    if (access.space == Space::generic) {
        const auto inside = std::ranges::count_if(access.addresses, in_shared_window);
        if (inside != 0 && inside != std::ssize(access.addresses)) return check_mixed<write>(access);
        shared = inside != 0;
    }
    Target target{shared ? device.shared : device.memory, now, shared};
    if (shared) target.now.launch = now.block;
    std::byte* const data = target.memory.data.data();
    const auto bytes = static_cast<std::uint64_t>(access.bytes);
    const std::uint64_t mask = shared ? UINT32_MAX : UINT64_MAX;
    const std::uint64_t origin = shared ? shared_memory_start : reinterpret_cast<std::uint64_t>(data);
    positions.resize(count);
    each.resize(count);
    const Extent extent = locate(access.addresses, mask, origin, data, bytes, positions.data(), each.data());
    Located located{extent.pattern, each[0], each.data()};

    bool allowed = true;
    if (bytes < granule_bytes || !regular(target, access, extent, write))
        for (std::size_t i = 0; i < count; ++i) allowed &= check_exactly(target, access, i, write);
    else if (bytes == granule_bytes)
        allowed = check_granules<write, 1>(target, access, located.pattern);
    else if (bytes == 2 * granule_bytes)
        allowed = check_granules<write, 2>(target, access, located.pattern);
    else
        allowed = check_granules<write, 4>(target, access, located.pattern);
    if (!allowed) located.pattern = Located::Pattern::scattered;
    return located;
}

/// Checks generic accesses of which some are to shared memory and some are not.
template <bool write>
Located LaunchMemory::State::check_mixed(const Access& access) {
    std::vector<std::byte*> places(access.addresses.size());
    for (const bool shared : {false, true}) {
        std::vector<std::size_t> indices;
        std::vector<std::uint64_t> addresses;
        std::vector<int> threads;
        for (std::size_t i = 0; i < access.addresses.size(); ++i)
            if (in_shared_window(access.addresses[i]) == shared) {
                indices.push_back(i);
                addresses.push_back(access.addresses[i]);
                threads.push_back(access.threads[i]);
            }
        check<write>({access.space, access.bytes, access.instruction, addresses, threads});
        for (std::size_t i = 0; i < indices.size(); ++i) places[indices[i]] = each[i];
    }
    each = std::move(places);
    return {Located::Pattern::scattered, each[0], each.data()};
}

/// Checks one access, reports what is wrong, and enters it byte by byte. Returns false if it is not allowed.
bool LaunchMemory::State::check_exactly(Target& target, const Access& access, std::size_t index, bool write) {
    const std::uint64_t position = positions[index];
    const auto bytes = static_cast<std::size_t>(access.bytes);
    const char* const verb = write ? "writes" : "reads";
    Window& window = window_of(access.instruction, position, target.shared);
    if (!window.holds(position, bytes)) {
        const std::string what = fmt::format("{} {} bytes at", verb, bytes);
        if (target.shared)
            report(target, access, index,
                   {.fault = Fault::out_of_bounds, .detail = what + " " + where(target, position)});
        else
            report(target, access, index, device.refused(position, bytes, what));
        each[index] = nullptr;
        return false;
    }
    window.uses.of(write).add(position, position + bytes);
    if (position % bytes != 0)
        report(target, access, index,
               {.fault = Fault::misaligned,
                .detail = fmt::format("{} {} bytes at {}, not a multiple of {}", verb, bytes,
                                      where(target, position), bytes)});
    if (write)
        target.memory.initialized.set(position, position + bytes);
    else if (const auto missing = target.memory.initialized.missing(position, position + bytes);
             missing.count > 0)
        report(target, access, index,
               {.fault = Fault::uninitialized_memory,
                .detail = fmt::format("reads {} bytes at {}, of which {} are uninitialised", bytes,
                                      where(target, position), missing.count)});
    const auto thread = static_cast<Stamp>(access.threads[index]);
    if (const auto conflict =
            target.memory.races.access(position, position + bytes, write, thread, target.now))
        report(target, access, index, {.fault = Fault::race, .detail = describe(target, *conflict, write)});
    return true;
}

/// Adds a finding of which everything but the place of the access is given. Those that an instruction repeats
/// are counted, and added when the launch ends.
void LaunchMemory::State::report(const Target& target, const Access& access, std::size_t index,
                                 Finding finding) {
    const auto [entry, first] = reported.try_emplace({access.instruction, finding.fault},
                                                     std::pair<Finding, std::uint64_t>{finding, 0});
    if (!first) {
        ++entry->second.second;
        return;
    }
    finding.place = place(access.instruction);
    finding.block = block;
    finding.thread = access.threads[index];
    finding.address = target.shared ? positions[index] + shared_memory_start : access.addresses[index];
    findings.add(finding);
    entry->second.first = std::move(finding);
}

std::string LaunchMemory::State::where(const Target& target, std::uint64_t position) const {
    if (!target.shared) return device.describe(position);
    if (position > UINT32_MAX) return "an address before shared memory";
    return fmt::format("byte {} of shared memory ({} bytes)", position, shared_window.last);
}

std::string LaunchMemory::State::describe(const Target& target, const RaceShadow::Conflict& conflict,
                                          bool write) const {
    const bool other_block = conflict.earlier < target.now.block ||
                             (!conflict.with_write && (conflict.earlier & stamp_other_block) != 0);
    const Stamp thread = conflict.earlier & stamp_several_threads;
    const std::string who = other_block                       ? "another block of this launch has"
                            : thread == stamp_several_threads ? "several threads have"
                                                              : fmt::format("thread {} has", thread);
    return fmt::format("{} {}, which {} {}{}", write ? "writes" : "reads", where(target, conflict.byte), who,
                       conflict.with_write ? "written" : "read",
                       other_block ? "" : " since the last barrier");
}

LaunchMemory::LaunchMemory(DeviceMemory& memory, Findings& findings, std::size_t shared_bytes,
                           std::function<Place(int instruction)> place)
    : state_(std::make_unique<State>(*memory.state_, findings, shared_bytes, std::move(place))) {}

LaunchMemory::~LaunchMemory() = default;

void LaunchMemory::begin_block(std::int64_t block) {
    state_->block = block;
    state_->now.phase = state_->next_phase();
    state_->now.block = state_->now.phase;
    ShadowedMemory& shared = state_->device.shared;
    const std::size_t bytes = state_->shared_window.last;
    fill_with_poison(shared.data.data(), bytes);
    shared.initialized.clear(0, bytes);
    state_->shared_window.uses = {};
}

void LaunchMemory::barrier() { state_->now.phase = state_->next_phase(); }

Located LaunchMemory::read(const Access& access) { return state_->check<false>(access); }

Located LaunchMemory::write(const Access& access) { return state_->check<true>(access); }

}  // namespace espectra::ptx
