#include "ptx/execution/left_out_barriers.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace espectra::ptx {

namespace {

/// Returns true if the launch has a finding. Ends the process if that cannot be found out.
bool has_finding(Kernel& kernel, const Launch& launch, DeviceMemory& memory) {
    const pid_t child = fork();
    if (child == 0) {
        Findings findings([](const Finding&) { _exit(findings_exit_status); });
        kernel.execute(launch, memory, findings);
        _exit(EXIT_SUCCESS);
    }
    int status = 0;
    const bool ended = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
    if (ended && WEXITSTATUS(status) == findings_exit_status) return true;
    if (ended && WEXITSTATUS(status) == EXIT_SUCCESS) return false;
    std::fprintf(stderr, "%s without its barrier %d: the execution failed (status %d)\n",
                 kernel.program().name.c_str(), static_cast<int>(launch.dropped_barrier), status);
    std::_Exit(EXIT_FAILURE);
}

}  // namespace

void leave_out_barriers(Kernel& kernel, const Launch& launch, DeviceMemory& memory,
                        std::vector<bool>& reported) {
    for (std::size_t i = 0; i < reported.size(); ++i) {
        if (reported[i]) continue;
        Launch without = launch;
        without.dropped_barrier = static_cast<std::int64_t>(i);
        reported[i] = has_finding(kernel, without, memory);
    }
}

}  // namespace espectra::ptx
