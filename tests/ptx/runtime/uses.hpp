#pragma once

#include "ptx/memory/device_memory.hpp"
#include "ptx/runtime/streams.hpp"
#include <string>

namespace espectra::ptx {

/// Returns the memory of the emulated device.
DeviceMemory& device_memory();

/// Adds a finding of a call of the runtime or of a library.
void report(Fault fault, const std::string& call, const std::string& detail, const void* address = nullptr);

/// Note that an allocation of the device begins or ends, as work at this place in the order.
void begin_allocation(void* address, const Order& order);
void end_allocation(void* address, const std::string& call, const Order& order);

/// Checks what the work that was done last has used of the device's memory. It is a finding (stream_order) if
/// it is not certain that the allocation has begun before, or that other streams have done their earlier work
/// on the same bytes, where one of the two writes.
void check_uses(const std::string& call, const Order& order);

}  // namespace espectra::ptx
