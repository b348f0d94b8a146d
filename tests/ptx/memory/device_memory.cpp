#include "ptx/memory/device_memory.hpp"

#include <fmt/format.h>

#include "ptx/memory/device_state.hpp"
#include <algorithm>
#include <cstring>

namespace espectra::ptx {

DeviceMemory::DeviceMemory(Findings& findings) : state_(std::make_unique<State>(findings)) {}
DeviceMemory::~DeviceMemory() = default;

void* DeviceMemory::allocate(std::size_t bytes) {
    const std::lock_guard lock(state_->mutex);
    State::Record& record = state_->reserve(bytes);
    state_->commit(record);
    return state_->address(record.first);
}

void* DeviceMemory::reserve(std::size_t bytes) {
    const std::lock_guard lock(state_->mutex);
    State::Record& record = state_->reserve(bytes);
    record.reserved = true;
    return state_->address(record.first);
}

bool DeviceMemory::commit(void* address, const Place& call) {
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->records.find(state_->position(address));
    if (found == state_->records.end() || !found->second.reserved || found->second.live) {
        state_->findings.add(
            {Fault::invalid_argument, call, -1, -1, reinterpret_cast<std::uint64_t>(address),
             fmt::format("allocates {} again", state_->describe(state_->position(address)))});
        return false;
    }
    state_->commit(found->second);
    return true;
}

bool DeviceMemory::release(void* address, const Place& call) {
    const std::lock_guard lock(state_->mutex);
    const std::size_t position = state_->position(address);
    const auto found = state_->records.find(position);
    if (found == state_->records.end() || !found->second.live) {
        Finding finding = state_->refused(position, 0, "frees");
        if (finding.fault == Fault::out_of_bounds) finding.fault = Fault::invalid_argument;
        finding.place = call;
        state_->findings.add(finding);
        return false;
    }
    state_->release(found->second);
    if (!found->second.reserved) state_->keep_released(position);
    return true;
}

void DeviceMemory::withdraw(void* address) {
    const std::lock_guard lock(state_->mutex);
    const std::size_t position = state_->position(address);
    const auto found = state_->records.find(position);
    if (found == state_->records.end()) return;
    if (found->second.live) state_->release(found->second);
    found->second.reserved = false;
    state_->keep_released(position);
}

bool DeviceMemory::is_device(const void* address) const { return state_->contains(address); }

bool DeviceMemory::copy(void* target, const void* source, std::size_t bytes, const Place& call) {
    return copy_rows(target, bytes, source, bytes, bytes, 1, call);
}

bool DeviceMemory::copy_rows(void* target, std::size_t target_pitch, const void* source,
                             std::size_t source_pitch, std::size_t row_bytes, std::size_t rows,
                             const Place& call) {
    const std::lock_guard lock(state_->mutex);
    if (rows == 0 || row_bytes == 0) return true;
    if (rows > 1 && std::min(target_pitch, source_pitch) < row_bytes) {
        state_->findings.add(
            {Fault::invalid_argument, call, -1, -1, 0,
             fmt::format("rows of {} bytes with pitches {} and {}", row_bytes, target_pitch, source_pitch)});
        return false;
    }
    const bool to_device = state_->contains(target), from_device = state_->contains(source);
    State::Record *to = nullptr, *from = nullptr;
    if (to_device) {
        to = state_->usable(target, (rows - 1) * target_pitch + row_bytes, call, "copies to");
        if (to == nullptr) return false;
    }
    if (from_device) {
        from = state_->usable(source, (rows - 1) * source_pitch + row_bytes, call, "copies from");
        if (from == nullptr) return false;
    }
    InitializedBytes& initialized = state_->memory.initialized;
    InitializedBytes::Missing missing;
    for (std::size_t row = 0; row < rows; ++row) {
        std::byte* const out = static_cast<std::byte*>(target) + row * target_pitch;
        const std::byte* const in = static_cast<const std::byte*>(source) + row * source_pitch;
        const std::size_t at = state_->position(out), origin = state_->position(in);
        std::memmove(out, in, row_bytes);
        if (to != nullptr && from != nullptr)
            initialized.copy(at, origin, row_bytes);
        else if (to != nullptr)
            initialized.set(at, at + row_bytes);
        else if (from != nullptr) {
            missing.add(initialized.missing(origin, origin + row_bytes));
        }
        if (to != nullptr) state_->use(*to, at, at + row_bytes, true);
        if (from != nullptr) state_->use(*from, origin, origin + row_bytes, false);
    }
    if (missing.count > 0)
        state_->findings.add({Fault::uninitialized_memory, call, -1, -1,
                              reinterpret_cast<std::uint64_t>(state_->address(missing.first)),
                              fmt::format("copies {} uninitialised bytes of {} to the host, first {}",
                                          missing.count, rows * row_bytes, state_->describe(missing.first))});
    return true;
}

bool DeviceMemory::fill(void* target, unsigned char value, std::size_t bytes, const Place& call) {
    const std::lock_guard lock(state_->mutex);
    if (bytes == 0) return true;
    State::Record* const to = state_->usable(target, bytes, call, "sets");
    if (to == nullptr) return false;
    std::memset(target, value, bytes);
    const std::size_t at = state_->position(target);
    state_->memory.initialized.set(at, at + bytes);
    state_->use(*to, at, at + bytes, true);
    return true;
}

std::vector<Use> DeviceMemory::take_uses() {
    const std::lock_guard lock(state_->mutex);
    std::vector<Use> uses;
    for (const std::size_t first : state_->used) {
        const auto found = state_->records.find(first);
        if (found == state_->records.end()) continue;  // released, and no longer remembered
        State::Record& record = found->second;
        for (const bool written : {false, true}) {
            const Hull& hull = record.uses.of(written);
            if (!hull.empty())
                uses.push_back({state_->address(first), hull.first - first, hull.last - first, written});
        }
        record.uses = {};
    }
    state_->used.clear();
    return uses;
}

}  // namespace espectra::ptx
