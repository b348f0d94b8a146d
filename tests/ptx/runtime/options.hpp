#pragma once

#include "ptx/execution/kernel.hpp"
#include <cstddef>
#include <filesystem>

namespace espectra::ptx {

/// The device that is emulated.
struct DeviceModel {
    const char* capability;  ///< "9.0"
    int major, minor;
    const char* ptx;  ///< "90": its folder of PTX files
    int multiprocessors;
    int threads_per_multiprocessor;
    std::size_t shared_bytes_per_multiprocessor;
    std::size_t shared_bytes;  ///< most that a block can ask for
    int cache_bytes;           ///< L2
    int blocks_per_multiprocessor;
};

/// The order of work of different streams, where no wait decides it.
enum class StreamOrder {
    late,         ///< as late as possible: only what a wait needs
    others_first  ///< before the awaited stream's work, that of all others that does not depend on it
};

/// Whether cusolverDnXsyevBatched computes the eigenvalues of all matrices, or makes mistakes: the smallest
/// one of every second matrix of a call is wrong.
enum class BatchedSolver { right, wrong };

/// The options, each an environment variable. A value that does not exist ends the process.
struct Options {
    const DeviceModel* device;       ///< ESPECTRA_EMULATED_DEVICE=8.0|9.0|10.0|12.0; 9.0 if not set
    BlockOrder blocks;               ///< ESPECTRA_EMULATED_ORDER=ascending|descending|shuffled
    StreamOrder streams;             ///< ESPECTRA_EMULATED_STREAMS=late|others-first
    std::size_t memory;              ///< ESPECTRA_EMULATED_MEMORY: bytes of the device; 2³⁶ if not set
    BatchedSolver batched_solver;    ///< ESPECTRA_EMULATED_BATCHED_SOLVER=right|wrong
    std::filesystem::path ptx;       ///< ESPECTRA_PTX: folder of the PTX files <architecture>/<name>.ptx
    bool leave_out_barriers;         ///< ESPECTRA_EMULATED_BARRIERS=kept|left-out: see leave_out_barriers()
    std::filesystem::path launches;  ///< ESPECTRA_EMULATED_LAUNCHES: file to which launched kernels are added
};
const Options& options();

}  // namespace espectra::ptx
