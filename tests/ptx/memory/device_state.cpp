#include "ptx/memory/device_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>

namespace espectra::ptx {

namespace {

/// Addresses of the device.
constexpr std::size_t range_bytes = std::size_t{1} << 37;
/// Slots start at multiples of this: pages of an allocation's shadow, too, belong to it alone, and can be
/// given back.
constexpr std::size_t slot_unit = std::size_t{1} << 15;
/// Bytes before and after an allocation that belong to nothing: as many as it has, within these limits.
constexpr std::size_t least_margin = std::size_t{1} << 12, most_margin = std::size_t{1} << 30;
/// Released allocations that are remembered.
constexpr std::size_t most_released = std::size_t{1} << 16;
/// Bytes of an allocation that are filled with the poison.
constexpr std::size_t most_poisoned = std::size_t{1} << 26;

std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

void fill_with_poison(std::byte* first, std::size_t bytes) {
    const std::size_t whole = bytes / sizeof(poison);
    for (std::size_t i = 0; i < whole; ++i) std::memcpy(first + i * sizeof(poison), &poison, sizeof(poison));
    std::memcpy(first + whole * sizeof(poison), &poison, bytes % sizeof(poison));
}

DeviceMemory::State::State(Findings& sink) : findings(sink), memory(range_bytes) {}

DeviceMemory::State::Record* DeviceMemory::State::live_at(std::size_t position) {
    const auto next = records.upper_bound(position);
    if (next == records.begin()) return nullptr;
    Record& record = std::prev(next)->second;
    return record.live && position < record.last ? &record : nullptr;
}

const DeviceMemory::State::Record* DeviceMemory::State::record_at(std::size_t position) const {
    const auto next = records.upper_bound(position);
    if (next != records.begin() && position < std::prev(next)->second.slot_last)
        return &std::prev(next)->second;
    if (next != records.end() && position >= next->second.slot_first) return &next->second;
    return nullptr;
}

std::string DeviceMemory::State::describe(std::size_t position) const {
    const Record* record = record_at(position);
    if (record == nullptr) return "an address of no allocation";
    const std::string name = fmt::format("allocation {} ({} bytes)", record->number, record->bytes());
    if (position < record->first) return fmt::format("{} bytes before {}", record->first - position, name);
    if (position >= record->last)
        return fmt::format("{} bytes after the end of {}", position - record->last, name);
    return fmt::format("byte {} of {}", position - record->first, name);
}

Finding DeviceMemory::State::refused(std::size_t position, std::size_t bytes, const std::string& what) const {
    Finding finding{.fault = Fault::out_of_bounds,
                    .address = reinterpret_cast<std::uint64_t>(address(position))};
    const Record* record = position < memory.data.size() ? record_at(position) : nullptr;
    if (position >= memory.data.size())
        finding.detail = fmt::format("{} an address that is not the device's", what);
    else if (record != nullptr && !record->live && position >= record->first && position < record->last) {
        finding.fault = Fault::freed_memory;
        finding.detail = fmt::format("{} {}, which {}", what, describe(position),
                                     record->reserved ? "is not allocated at this time" : "has been freed");
    } else if (record != nullptr && position >= record->first && position < record->last)
        finding.detail = fmt::format("{} {}, {} bytes beyond its end", what, describe(position),
                                     bytes - (record->last - position));
    else
        finding.detail = fmt::format("{} {}", what, describe(position));
    return finding;
}

DeviceMemory::State::Record* DeviceMemory::State::usable(const void* address, std::size_t bytes,
                                                         const Place& call, const std::string& what) {
    const std::size_t begin = position(address);
    Record* record = live_at(begin);
    if (record != nullptr && bytes <= record->last - begin) return record;
    // An empty range may be at the end.
    if (record == nullptr && bytes == 0 && begin > 0) {
        record = live_at(begin - 1);
        if (record != nullptr) return record;
    }
    Finding finding = refused(begin, bytes, what);
    finding.place = call;
    findings.add(finding);
    return nullptr;
}

DeviceMemory::State::Record& DeviceMemory::State::reserve(std::size_t bytes) {
    if (bytes > memory.data.size() / 4) throw std::bad_alloc();
    const std::size_t margin = round_up(std::clamp(bytes, least_margin, most_margin), least_margin);
    const std::size_t slot = round_up(margin + bytes + margin, slot_unit);
    // The first free place from the cursor on; what has been released is free.
    std::size_t first = cursor;
    const auto taken = [](const Record& record) { return record.live || record.reserved; };
    const auto first_beyond = [&](std::size_t position) {  // the first whose slot ends after it
        const auto next = records.lower_bound(position);
        const bool before = next != records.begin() && std::prev(next)->second.slot_last > position;
        return before ? std::prev(next) : next;
    };
    for (int turn = 0;; ++turn) {
        if (turn == 2) throw std::bad_alloc();
        bool found = first + slot <= memory.data.size();
        auto next = first_beyond(first);
        for (; found && next != records.end() && next->second.slot_first < first + slot; ++next)
            if (taken(next->second)) {
                first = next->second.slot_last;
                found = first + slot <= memory.data.size();
            }
        if (found) break;
        first = 0;
    }
    auto old = first_beyond(first);
    while (old != records.end() && old->second.slot_first < first + slot) old = records.erase(old);
    cursor = first + slot;

    Record record;
    record.slot_first = first;
    record.slot_last = first + slot;
    record.first = first + margin;
    record.last = record.first + bytes;
    record.number = ++numbers;
    return records.emplace(record.first, record).first->second;
}

void DeviceMemory::State::commit(Record& record) {
    fill_with_poison(address(record.first), std::min(record.bytes(), most_poisoned));
    record.live = true;
}

void DeviceMemory::State::release(Record& record) {
    record.live = false;
    memory.data.discard(record.first, record.last);
    memory.initialized.clear(record.first, record.last);
    if (!record.stamped.empty()) memory.races.discard(record.stamped.first, record.stamped.last);
    record.stamped = {};
}

void DeviceMemory::State::keep_released(std::size_t first) {
    released.push_back(first);
    if (released.size() <= most_released) return;
    const auto oldest = records.find(released.front());
    released.pop_front();
    if (oldest != records.end() && !oldest->second.live && !oldest->second.reserved) records.erase(oldest);
}

void DeviceMemory::State::use(Record& record, std::size_t begin, std::size_t end, bool written) {
    if (record.uses.empty()) used.push_back(record.first);
    record.uses.of(written).add(begin, end);
}

Now DeviceMemory::State::renumber(const Now& now) {
    const Now names = RaceShadow::renumbered(now);
    for (auto& [first, record] : records)
        if (!record.stamped.empty())
            memory.races.renumber(record.stamped.first, record.stamped.last, now, names);
    // Blocks do not see each other's shared memory.
    shared.races.renumber(0, shared.data.size(), {now.block, now.block, now.phase},
                          {names.block, names.block, names.phase});
    phases = names.phase >> stamp_thread_bits;
    return names;
}

}  // namespace espectra::ptx
