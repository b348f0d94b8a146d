#include "ptx/memory/launch_memory.hpp"

#include <fmt/format.h>

#include "ptx/memory/device_state.hpp"
#include "ptx/program/program.hpp"
#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

namespace espectra::ptx {

namespace {

bool in_shared_window(std::uint64_t address) { return address >> 56 == shared_memory_window >> 56; }

/// Returns true if the addresses, positions in memory, are `step` bytes apart.
bool spaced(const std::uint64_t* positions, std::size_t count, std::uint64_t step) {
    std::uint64_t different = 0;
    for (std::size_t i = 0; i < count; ++i) different |= positions[i] ^ (positions[0] + i * step);
    return different == 0;
}

}  // namespace

struct LaunchMemory::State {
    State(DeviceMemory::State& memory, Findings& sink, std::size_t shared_bytes,
          std::function<Place(int)> place_of_instruction)
        : device(memory),
          lock(memory.mutex),
          findings(sink),
          place(std::move(place_of_instruction)),
          shared_window{-1, 0, shared_bytes, nullptr, {}, {}} {
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
        Hull read, written;
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
    template <bool write, int granules>
    bool check_runs(Target& target, const Access& access);
    template <bool write, int granules>
    bool run_is_clean(Target& target, const Access& access, std::size_t first, std::size_t count, bool same);
    template <bool write, int granules>
    bool single_is_clean(Target& target, const Window& window, std::uint64_t position, Stamp stamp);
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

/// Tells the window's allocation what has been used.
void LaunchMemory::State::flush(Window& window) {
    for (const bool written : {false, true}) {
        Hull& hull = written ? window.written : window.read;
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
    if (record != nullptr) window = {instruction, record->first, record->last, record, {}, {}};
    return window;
}

template <bool write, int granules>
bool LaunchMemory::State::single_is_clean(Target& target, const Window& window, std::uint64_t position,
                                          Stamp stamp) {
    constexpr std::size_t bytes = granules * granule_bytes;
    if (!window.holds(position, bytes) || position % bytes != 0) return false;
    const std::size_t granule = position / granule_bytes;
    for (std::size_t g = granule; g < granule + granules; ++g) {
        if constexpr (write) {
            if (!target.memory.races.write_granule(g, stamp, target.now)) return false;
            target.memory.initialized.set_granule(g);
        } else {
            if (!target.memory.initialized.granule(g)) return false;
            if (!target.memory.races.read_granule(g, stamp, target.now)) return false;
        }
    }
    return true;
}

/// Checks accesses [first, first + count), which are at the same position or follow one another. Returns
/// false if they have to be checked exactly.
template <bool write, int granules>
bool LaunchMemory::State::run_is_clean(Target& target, const Access& access, std::size_t first,
                                       std::size_t count, bool same) {
    constexpr std::size_t bytes = granules * granule_bytes;
    const std::uint64_t position = positions[first];
    Window& window = window_of(access.instruction, position, target.shared);
    const Stamp* const stamp = stamps.data() + first * granules;
    const std::size_t length = same ? bytes : count * bytes;
    Hull& hull = write ? window.written : window.read;
    if (same) {
        if (write && count > 1) return false;
        if (!single_is_clean<write, granules>(target, window, position, stamp[0])) return false;
        if (count > 1 && !single_is_clean<write, granules>(target, window, position, stamp[granules]))
            return false;
    } else {
        if (!window.holds(position, length) || position % bytes != 0) return false;
        const std::size_t granule = position / granule_bytes, end = granule + count * granules;
        if constexpr (write) {
            if (!target.memory.races.write_granules(granule, stamp, end - granule, target.now)) return false;
            target.memory.initialized.set_granules(granule, end);
        } else {
            if (!target.memory.initialized.all_granules(granule, end)) return false;
            if (!target.memory.races.read_granules(granule, stamp, end - granule, target.now)) return false;
        }
    }
    hull.add(position, position + length);
    return true;
}

/// Checks all accesses, by runs of equal or of consecutive positions. Returns false if some are not allowed.
template <bool write, int granules>
bool LaunchMemory::State::check_runs(Target& target, const Access& access) {
    const std::size_t count = positions.size();
    const auto bytes = static_cast<std::uint64_t>(access.bytes);
    bool allowed = true;
    for (std::size_t first = 0; first < count;) {
        std::size_t end = first + 1;
        const std::uint64_t step = end < count ? positions[end] - positions[first] : 0;
        if (step == 0 || step == bytes)
            while (end < count && positions[end] - positions[end - 1] == step) ++end;
        bool clean = false;
        if constexpr (granules > 0)
            clean = run_is_clean<write, granules>(target, access, first, end - first, step == 0);
        if (!clean)
            for (std::size_t i = first; i < end; ++i) allowed &= check_exactly(target, access, i, write);
        first = end;
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
    const std::uint64_t* const addresses = access.addresses.data();
    positions.resize(count);
    if (shared)
        for (std::size_t i = 0; i < count; ++i)
            positions[i] = (addresses[i] & 0xFFFFFFFFU) - std::uint64_t{shared_memory_start};
    else {
        const auto base = reinterpret_cast<std::uint64_t>(device.memory.data.data());
        for (std::size_t i = 0; i < count; ++i) positions[i] = addresses[i] - base;
    }
    const std::size_t granules = static_cast<std::size_t>(access.bytes) / granule_bytes;
    Target target{shared ? device.shared : device.memory, now, shared};
    if (shared) target.now.launch = now.block;
    stamps.resize(count * std::max<std::size_t>(granules, 1));
    const int* const threads = access.threads.data();
    if (granules <= 1)
        for (std::size_t i = 0; i < count; ++i) stamps[i] = now.phase | static_cast<Stamp>(threads[i]);
    else
        for (std::size_t i = 0; i < count; ++i)
            std::fill_n(stamps.data() + i * granules, granules, now.phase | static_cast<Stamp>(threads[i]));

    std::byte* const data = target.memory.data.data();
    each.resize(count);
    for (std::size_t i = 0; i < count; ++i) each[i] = data + positions[i];
    bool allowed = false;
    switch (granules) {
        case 0:
            allowed = check_runs<write, 0>(target, access);
            break;
        case 1:
            allowed = check_runs<write, 1>(target, access);
            break;
        case 2:
            allowed = check_runs<write, 2>(target, access);
            break;
        default:
            allowed = check_runs<write, 4>(target, access);
    }
    Located located{Located::Pattern::scattered, each[0], each.data()};
    if (allowed && spaced(positions.data(), count, 0))
        located.pattern = Located::Pattern::same;
    else if (allowed && spaced(positions.data(), count, static_cast<std::uint64_t>(access.bytes)))
        located.pattern = Located::Pattern::contiguous;
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
                   {Fault::out_of_bounds, {}, 0, 0, 0, what + " " + where(target, position)});
        else
            report(target, access, index, device.refused(position, bytes, what));
        each[index] = nullptr;
        return false;
    }
    (write ? window.written : window.read).add(position, position + bytes);
    if (position % bytes != 0)
        report(target, access, index,
               {Fault::misaligned,
                {},
                0,
                0,
                0,
                fmt::format("{} {} bytes at {}, not a multiple of {}", verb, bytes, where(target, position),
                            bytes)});
    if (write)
        target.memory.initialized.set(position, position + bytes);
    else if (const auto missing = target.memory.initialized.missing(position, position + bytes);
             missing.count > 0)
        report(target, access, index,
               {Fault::uninitialized_memory,
                {},
                0,
                0,
                0,
                fmt::format("reads {} bytes at {}, of which {} are uninitialised", bytes,
                            where(target, position), missing.count)});
    const auto thread = static_cast<Stamp>(access.threads[index]);
    if (const auto conflict =
            target.memory.races.access(position, position + bytes, write, thread, target.now))
        report(target, access, index, {Fault::race, {}, 0, 0, 0, describe(target, *conflict, write)});
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
    state_->shared_window.read = state_->shared_window.written = {};
}

void LaunchMemory::barrier() { state_->now.phase = state_->next_phase(); }

Located LaunchMemory::read(const Access& access) { return state_->check<false>(access); }

Located LaunchMemory::write(const Access& access) { return state_->check<true>(access); }

}  // namespace espectra::ptx
