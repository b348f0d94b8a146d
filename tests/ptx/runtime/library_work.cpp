#include "ptx/runtime/library_work.hpp"

#include "ptx/runtime/options.hpp"
#include "ptx/runtime/uses.hpp"
#include <algorithm>
#include <fstream>
#include <map>

namespace espectra::ptx {

namespace {

auto& times_done = *new std::map<std::string, long>;

void perform(const LibraryWork& work) {
    const Place place{work.call};
    DeviceMemory& memory = device_memory();
    const auto each = [&](const std::vector<LibraryWork::Argument>& arguments, auto check) {
        return std::ranges::all_of(arguments, [&](const LibraryWork::Argument& argument) {
            return (memory.*check)(argument.region, place, argument.name);
        });
    };
    if (!each(work.reads, &DeviceMemory::read) || !each(work.writes, &DeviceMemory::destroy)) return;
    each(work.perform(), &DeviceMemory::overwrite);
    ++times_done[work.call];
}

}  // namespace

void write_library_work() {
    if (options().launches.empty() || times_done.empty()) return;
    std::ofstream file(options().launches, std::ios::app);
    for (const auto& [call, times] : times_done) file << call << '\t' << times << '\n';
}

}  // namespace espectra::ptx

using namespace espectra::ptx;

extern "C" cudaError_t espectra_emulated_enqueue(cudaStream_t stream, const LibraryWork& work) {
    const RuntimeLock lock(runtime_mutex);
    return enqueue(stream, {work.call, [work](const Order&) { perform(work); }});
}
