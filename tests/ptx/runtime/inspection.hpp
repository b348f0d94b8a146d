#pragma once

#include <driver_types.h>

#include "ptx/checks/findings.hpp"
#include <cstddef>

namespace espectra::ptx {

/// Resources of the emulated runtime that have not been released, and launches of graphs so far.
struct CudaCounts {
    int streams = 0, events = 0, pools = 0, pinned = 0, graphs = 0;
    int memory = 0;   ///< allocations of the device, in the order of the calls
    int handles = 0;  ///< of cuBLAS and cuSOLVER, with their parameters
    long launches = 0;
    long attributes = 0;  ///< calls so far that set an attribute of a kernel
};

/// A device of the machine, the chosen model but for these properties.
struct EmulatedDevice {
    enum class Use { shared, in_exclusive_use, prohibited };  ///< the second: by another process
    int major = 9, minor = 0;
    Use use = Use::shared;
};

/// Returns the counts of the runtime itself, for its own use.
CudaCounts& cuda_counts();

}  // namespace espectra::ptx

// Functions for tests that link the library.
extern "C" {

espectra::ptx::CudaCounts espectra_emulated_counts();

/// Returns the most bytes of the device's memory that were not free (cudaMemGetInfo) at one time since the
/// last call: pools, which keep what is freed until they are trimmed, and graphs, from their first launch
/// until their memory is trimmed after their end.
std::size_t espectra_emulated_take_peak_bytes();

/// Sets the devices of the machine, on none of which there is a context then; none: the one device of the
/// options.
void espectra_emulated_set_devices(const espectra::ptx::EmulatedDevice* devices, int count);
/// Returns the devices on which there is a context, one bit each.
unsigned espectra_emulated_contexts();

/// Makes all calls from now on that wait for the device fail with this error, as after a fault of a kernel;
/// cudaSuccess ends it.
void espectra_emulated_set_fault(cudaError_t error);

/// Returns the number of places with this fault so far, and forgets all findings.
std::size_t espectra_emulated_take_findings(espectra::ptx::Fault fault);
}
