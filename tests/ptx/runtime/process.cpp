// Reports of the emulated runtime about itself, at the end of the process and to tests.

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/kernels.hpp"
#include "ptx/runtime/library_work.hpp"
#include "ptx/runtime/uses.hpp"
#include <string>
#include <utility>

namespace espectra::ptx {

namespace {

/// Adds a finding for each kind of resource that has not been released.
void report_leaks() {
    const CudaCounts& left = cuda_counts();
    for (const auto& [name, count] :
         {std::pair{"streams", left.streams}, std::pair{"events", left.events},
          std::pair{"pools", left.pools}, std::pair{"blocks of pinned memory", left.pinned},
          std::pair{"graphs", left.graphs}, std::pair{"allocations", left.memory},
          std::pair{"handles of libraries", left.handles}})
        if (count != 0) report(Fault::leak, name, std::to_string(count) + " at the end of the process");
}

[[gnu::constructor]] void begin() {
    process_findings([] {
        const RuntimeLock lock(runtime_mutex);
        report_leaks();
        write_launches();
        write_library_work();
    });
}

}  // namespace

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" {

CudaCounts espectra_emulated_counts() {
    const RuntimeLock lock(runtime_mutex);
    return cuda_counts();
}

std::size_t espectra_emulated_take_findings(Fault fault) {
    const std::size_t count = process_findings().count(fault);
    process_findings().clear();
    return count;
}

}  // extern "C"
