#pragma once

#include "ptx/checks/findings.hpp"
#include <cstddef>

namespace espectra::ptx {

/// Resources of the emulated runtime that have not been released, and launches of graphs so far.
struct CudaCounts {
    int streams = 0, events = 0, pools = 0, pinned = 0, graphs = 0;
    int memory = 0;   ///< allocations of the device, in the order of the calls
    int handles = 0;  ///< of cuBLAS and cuSOLVER, with their parameters
    long launches = 0;
};

/// The counts of the runtime itself, for its own use.
CudaCounts& cuda_counts();

}  // namespace espectra::ptx

// For tests that link the library.
extern "C" {

espectra::ptx::CudaCounts espectra_emulated_counts();

/// Returns the number of places with this fault so far, and forgets all findings.
std::size_t espectra_emulated_take_findings(espectra::ptx::Fault fault);
}
