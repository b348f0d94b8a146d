#pragma once

#include "ptx/execution/kernel.hpp"
#include "ptx/memory/device_memory.hpp"
#include <vector>

namespace espectra::ptx {

/// Executes a launch without each barrier of the kernel in turn that is not marked in `reported`, which has
/// an element for each of Program::barriers, and marks those without which there is a finding. Each execution
/// takes place in a child process, so that memory and findings of this one do not change, and ends with its
/// first finding.
void leave_out_barriers(Kernel& kernel, const Launch& launch, DeviceMemory& memory,
                        std::vector<bool>& reported);

}  // namespace espectra::ptx
