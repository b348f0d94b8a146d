#pragma once

#include <driver_types.h>

#include "ptx/memory/device_memory.hpp"
#include <functional>
#include <string>
#include <vector>

namespace espectra::ptx {

/// Work of a library on the memory of the emulated device, where the stand-in of the library is part of the
/// program that uses it.
struct LibraryWork {
    struct Argument {
        std::string name;
        MatrixRegion region;
    };
    std::string call;              ///< its name in findings and in the list of launches
    std::vector<Argument> reads;   ///< has to be initialised
    std::vector<Argument> writes;  ///< has no defined values before
    /// Does the work in host memory behind the device's addresses, and returns the part of `writes` that has
    /// values then.
    std::function<std::vector<Argument>()> perform;
};

/// Adds a line for each call that has been done to the file of options().launches, if there is one: the call,
/// a tab and its number.
void write_library_work();

}  // namespace espectra::ptx

extern "C" {

/// Queues this work on a stream, or records it, as a launch; its arguments are checked when it is done.
cudaError_t espectra_emulated_enqueue(cudaStream_t stream, const espectra::ptx::LibraryWork& work);
}
