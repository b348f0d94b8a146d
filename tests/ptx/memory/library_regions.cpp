// Checks what libraries do with the device's memory.

#include <fmt/format.h>

#include "ptx/memory/device_memory.hpp"
#include "ptx/memory/device_state.hpp"
#include <algorithm>
#include <mutex>

namespace espectra::ptx {

namespace {

/// Calls f(first, last) for the bytes of each column of the part, counted from the region's address.
template <class F>
void for_columns(const MatrixRegion& region, F f) {
    for (std::int64_t column = 0; column < region.columns; ++column) {
        const std::int64_t first = region.part == MatrixRegion::Part::lower ? column : 0;
        const std::int64_t last =
            region.part == MatrixRegion::Part::upper ? std::min(column + 1, region.rows) : region.rows;
        if (first >= last) continue;
        const auto start = static_cast<std::size_t>(column * region.leading_dimension);
        f((start + static_cast<std::size_t>(first)) * region.element_bytes,
          (start + static_cast<std::size_t>(last)) * region.element_bytes);
    }
}

}  // namespace

/// Returns the allocation that holds the region, or null, with a finding.
DeviceMemory::State::Record* DeviceMemory::State::usable(const MatrixRegion& region, const Place& call,
                                                         const std::string& what) {
    const auto refuse = [&](Fault fault, const std::string& detail) {
        findings.add({fault, call, -1, -1, reinterpret_cast<std::uint64_t>(region.address), detail});
        return nullptr;
    };
    if (region.leading_dimension < std::max<std::int64_t>(region.rows, 1))
        return refuse(Fault::invalid_argument, fmt::format("{}: leading dimension {} below its {} rows", what,
                                                           region.leading_dimension, region.rows));
    if (reinterpret_cast<std::uintptr_t>(region.address) % std::min<std::size_t>(region.element_bytes, 16) !=
        0)
        return refuse(Fault::misaligned,
                      fmt::format("{}: {}, elements of {} bytes", what, describe(position(region.address)),
                                  region.element_bytes));
    const auto elements =
        static_cast<std::size_t>((region.columns - 1) * region.leading_dimension + region.rows);
    return usable(region.address, elements * region.element_bytes, call, what);
}

template <class F>
bool DeviceMemory::State::use(const MatrixRegion& region, const Place& call, const std::string& what,
                              bool written, const F& f) {
    if (region.rows == 0 || region.columns == 0) return true;
    Record* const record = usable(region, call, what);
    if (record == nullptr) return false;
    const std::size_t start = position(region.address);
    for_columns(region, [&](std::size_t first, std::size_t last) {
        f(start + first, start + last);
        use(*record, start + first, start + last, written);
    });
    return true;
}

bool DeviceMemory::read(const MatrixRegion& region, const Place& call, const std::string& argument) {
    const std::lock_guard lock(state_->mutex);
    InitializedBytes::Missing missing;
    std::size_t bytes = 0;
    const bool usable =
        state_->use(region, call, argument + ": reads", false, [&](std::size_t first, std::size_t last) {
            missing.add(state_->memory.initialized.missing(first, last));
            bytes += last - first;
        });
    if (missing.count > 0) {
        const std::size_t element = (missing.first - state_->position(region.address)) / region.element_bytes;
        const auto stride = static_cast<std::size_t>(region.leading_dimension);
        state_->findings.add(
            {.fault = Fault::uninitialized_memory,
             .place = call,
             .address = reinterpret_cast<std::uint64_t>(state_->address(missing.first)),
             .detail = fmt::format("{}: reads {} uninitialised bytes of {}, first row {} of column {}: {}",
                                   argument, missing.count, bytes, element % stride, element / stride,
                                   state_->describe(missing.first))});
    }
    return usable;
}

bool DeviceMemory::overwrite(const MatrixRegion& region, const Place& call, const std::string& argument) {
    const std::lock_guard lock(state_->mutex);
    return state_->use(region, call, argument + ": writes", true, [&](std::size_t first, std::size_t last) {
        state_->memory.initialized.set(first, last);
    });
}

bool DeviceMemory::destroy(const MatrixRegion& region, const Place& call, const std::string& argument) {
    const std::lock_guard lock(state_->mutex);
    return state_->use(region, call, argument + ": writes", true, [&](std::size_t first, std::size_t last) {
        state_->memory.initialized.clear(first, last);
    });
}

}  // namespace espectra::ptx
