// Test of the registers, shared memory, spills and occupancy of every CUDA kernel of this build but those of
// Thrust, as reported by ptxas (cmake/record-kernel-resources). They are written to kernel-resources.csv and
// .txt in the build folder. A spill or a stack frame fails.

#include "kernels/kernel_resources.hpp"

#include <cuda_occupancy.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/documented_kernels.hpp"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace espectra {
namespace {

/// Kernels whose spills or stack frames are accepted: none at present.
const std::vector<ColdKernel> cold_kernels = {};

/// The part of 64-bit-double architectures that occupancy depends on, in bytes and counts: tables "Technical
/// Specifications per Compute Capability" of the CUDA C++ Programming Guide.
cudaOccDeviceProp architecture_properties(int architecture) {
    cudaOccDeviceProp device;
    device.computeMajor = architecture / 10;
    device.computeMinor = architecture % 10;
    device.maxThreadsPerBlock = 1024;
    device.maxThreadsPerMultiprocessor =
        architecture < 110 && architecture != 86 && architecture != 89 ? 2048 : 1536;
    device.regsPerBlock = device.regsPerMultiprocessor = 65536;
    device.warpSize = 32;
    device.sharedMemPerBlock = 48 << 10;
    const std::size_t kilobytes = architecture == 80                         ? 164
                                  : architecture < 90 || architecture >= 120 ? 100
                                                                             : 228;
    device.sharedMemPerMultiprocessor = kilobytes << 10;
    device.sharedMemPerBlockOptin = (kilobytes - 1) << 10;
    device.reservedSharedMemPerBlock = 1 << 10;
    device.numSms = 1;
    return device;
}

/// Returns the fraction of a multiprocessor's threads that can be resident by registers, static shared memory
/// and the size of a block, without the shared memory of the launch; negative if it is not known.
double occupancy(const KernelResources& kernel) {
    if (kernel.threads == 0) return -1;
    const cudaOccDeviceProp device = architecture_properties(kernel.architecture);
    cudaOccFuncAttributes function;
    function.maxThreadsPerBlock = kernel.threads;
    function.numRegs = kernel.registers;
    function.sharedSizeBytes = static_cast<std::size_t>(kernel.shared_bytes);
    function.numBlockBarriers = 1;
    const cudaOccDeviceState state;
    cudaOccResult result;
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &function, &state, kernel.threads, 0) !=
        CUDA_OCC_SUCCESS)
        return -1;
    return static_cast<double>(result.activeBlocksPerMultiprocessor * kernel.threads) /
           device.maxThreadsPerMultiprocessor;
}

std::vector<int> architectures_of_build() {
    // A list such as 80-real,90-real,100-real,120
    std::vector<int> architectures;
    std::istringstream list(ESPECTRA_CUDA_ARCHITECTURES);
    for (std::string entry; std::getline(list, entry, ',');)
        if (!entry.ends_with("-virtual")) architectures.push_back(std::stoi(entry));
    return architectures;
}

std::vector<KernelResources> kernels_of_build() {
    namespace fs = std::filesystem;
    std::vector<KernelResources> kernels;
    std::ifstream list(ESPECTRA_KERNEL_OBJECTS);
    for (std::string object; std::getline(list, object);) {
        if (object.empty()) continue;
        const fs::path log = object + ".resources";
        if (!fs::exists(log)) {
            ADD_FAILURE() << log << " is missing; compile " << object << " once more";
            continue;
        }
        std::ifstream stream(log);
        for (KernelResources& kernel : read_resources(stream))
            if (!is_of_thrust(kernel)) kernels.push_back(std::move(kernel));
    }
    std::ranges::sort(kernels, {},
                      [](const KernelResources& k) { return std::tuple(k.name, k.architecture); });
    return kernels;
}

void write_report(const std::vector<KernelResources>& kernels) {
    std::ofstream csv(ESPECTRA_KERNEL_REPORT ".csv"), text(ESPECTRA_KERNEL_REPORT ".txt");
    csv << "architecture,kernel,threads,registers,shared_bytes,stack_bytes,spill_store_bytes,spill_load_"
           "bytes,"
           "occupancy\n";
    std::size_t width = 6;
    for (const KernelResources& kernel : kernels)
        width = std::max(width, std::min<std::size_t>(kernel.name.size(), 60));
    text << fmt::format("{:<{}}  arch  threads  registers  shared  stack  spills  occupancy\n", "kernel",
                        width);
    for (const KernelResources& k : kernels) {
        const double part = occupancy(k);
        const std::string occupied = part < 0 ? "" : fmt::format("{:.3f}", part);
        csv << fmt::format("{},\"{}\",{},{},{},{},{},{},{}\n", k.architecture, k.name, k.threads, k.registers,
                           k.shared_bytes, k.stack_bytes, k.spill_store_bytes, k.spill_load_bytes, occupied);
        text << fmt::format("{:<{}}  {:>4}  {:>7}  {:>9}  {:>6}  {:>5}  {:>6}  {:>9}\n", k.name.substr(0, 60),
                            width, k.architecture, k.threads, k.registers, k.shared_bytes, k.stack_bytes,
                            k.spill_store_bytes + k.spill_load_bytes, occupied);
    }
    ASSERT_TRUE(csv.flush() && text.flush()) << ESPECTRA_KERNEL_REPORT;
}

TEST(KernelResources, of_this_build) {
    const std::vector<KernelResources> kernels = kernels_of_build();
    ASSERT_FALSE(kernels.empty()) << "no kernel in the objects of " ESPECTRA_KERNEL_OBJECTS;
    write_report(kernels);
    for (const std::string& line : complaints(kernels, architectures_of_build(), cold_kernels))
        ADD_FAILURE() << line;
    for (const KernelResources& kernel : kernels)
        EXPECT_GT(occupancy(kernel) < 0 ? 1 : occupancy(kernel), 0) << kernel.name;
}

TEST(KernelResources, the_table_of_docs_gpu_md_has_exactly_the_kernels_of_this_build) {
    std::set<std::string> kernels;
    for (const KernelResources& kernel : kernels_of_build()) kernels.insert(kernel.name);
    const std::vector<DocumentedKernel> documented = documented_kernels(ESPECTRA_GPU_PAGE);
    for (const std::string& kernel : kernels)
        EXPECT_TRUE(std::ranges::any_of(documented, [&](const auto& row) { return row.is(kernel); }))
            << kernel << " has no row";
    for (const DocumentedKernel& row : documented)
        EXPECT_TRUE(std::ranges::any_of(kernels, [&](const auto& kernel) { return row.is(kernel); }))
            << row.name << " is in the table, but there is no such kernel";
}

// Output of ptxas 13.0: one kernel without and one with a spill, one with a function that is not inlined.
constexpr const char* made_up_log = R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN8espectra12block_kernelINS_5group10AdamKernelILNS_5SpaceE1EEELi256EEEvT_' for 'sm_80'
ptxas info    : Function properties for _ZN8espectra12block_kernelINS_5group10AdamKernelILNS_5SpaceE1EEELi256EEEvT_
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 560 bytes cmem[0]
ptxas info    : Compile time = 24.599 ms
ptxas info    : Compiling entry function '_ZN8espectra12block_kernelINS_5group10AdamKernelILNS_5SpaceE1EEELi256EEEvT_' for 'sm_90a'
ptxas info    : Function properties for _ZN8espectra12block_kernelINS_5group10AdamKernelILNS_5SpaceE1EEELi256EEEvT_
    48 bytes stack frame, 40 bytes spill stores, 44 bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers, 48 bytes cumulative stack size, 4096 bytes smem
ptxas info    : Compile time = 24.845 ms
ptxas info    : Compiling entry function '_Z5otherPd' for 'sm_90'
ptxas info    : Function properties for _Z5otherPd
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 0 barriers
ptxas info    : Function properties for _Z6calledd
    16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
)";

std::vector<KernelResources> read_text(const std::string& text) {
    std::istringstream stream(text);
    return read_resources(stream);
}

TEST(KernelResources, reads_what_ptxas_writes) {
    const auto kernels = read_text(made_up_log);
    ASSERT_EQ(kernels.size(), 3u);
    EXPECT_EQ(kernels[0].name, "AdamKernel");
    EXPECT_EQ(kernels[0].architecture, 80);
    EXPECT_EQ(kernels[0].threads, 256);
    EXPECT_EQ(kernels[0].registers, 32);
    EXPECT_EQ(kernels[0].spill_store_bytes, 0);
    EXPECT_EQ(kernels[1].architecture, 90);
    EXPECT_EQ(kernels[1].registers, 64);
    EXPECT_EQ(kernels[1].shared_bytes, 4096);
    EXPECT_EQ(kernels[1].stack_bytes, 48);
    EXPECT_EQ(kernels[1].spill_store_bytes, 40);
    EXPECT_EQ(kernels[1].spill_load_bytes, 44);
    EXPECT_EQ(kernels[2].name, "other");
    EXPECT_EQ(kernels[2].threads, 0);
    EXPECT_EQ(kernels[2].stack_bytes, 16);
}

TEST(KernelResources, spills_stack_frames_and_missing_architectures_are_found) {
    const auto kernels = read_text(made_up_log);
    EXPECT_EQ(complaints(kernels, {80, 90}, {}),
              (std::vector<std::string>{
                  "sm_90: AdamKernel: 48 bytes stack frame, 40 bytes spill stores, 44 bytes spill loads",
                  "sm_90: other: 16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"}));
    EXPECT_EQ(complaints({kernels[0]}, {80, 120}, {}), std::vector<std::string>{"sm_120: no kernel"});
    EXPECT_EQ(complaints({}, {80}, {}), std::vector<std::string>{"sm_80: no kernel"});
    EXPECT_EQ(complaints(kernels, {80}, {{"AdamKernel", 90, 132, "made up"}, {"other", 90, 16, "made up"}}),
              std::vector<std::string>{});
    // 48 + 40 + 44 bytes are accepted, not more.
    EXPECT_EQ(complaints({kernels[1]}, {90}, {{"AdamKernel", 90, 131, "made up"}}).size(), 1u);
    // On another architecture the spill would be a new one.
    EXPECT_EQ(complaints({kernels[1]}, {90}, {{"AdamKernel", 80, 132, "made up"}}),
              (std::vector<std::string>{
                  "sm_80: AdamKernel: listed as cold, but does not spill",
                  "sm_90: AdamKernel: 48 bytes stack frame, 40 bytes spill stores, 44 bytes spill loads"}));
}

TEST(KernelResources, a_kernel_without_figures_is_an_error) {
    EXPECT_THROW(read_text("ptxas info    : Compiling entry function '_Z5otherPd' for 'sm_90'\n"),
                 std::runtime_error);
}

TEST(KernelResources, other_template_arguments_stay_in_the_name) {
    KernelResources kernel;
    // block_kernel<group::DenseForwardKernel<(Space)1, (Activation)4>, 128>
    set_name(kernel,
             "_ZN8espectra12block_kernelINS_5group18DenseForwardKernelILNS_5SpaceE1ELNS_"
             "10ActivationE4EEELi128EEEvT_");
    EXPECT_EQ(kernel.name, "DenseForwardKernel<(Activation)4>");
    EXPECT_EQ(kernel.threads, 128);
    // block_kernel<group::ProductKernel<group::FmaCore, group::GradientProduct<(Space)1>>, 256>
    set_name(kernel,
             "_ZN8espectra12block_kernelINS_5group13ProductKernelINS1_7FmaCoreENS1_15GradientProductILNS_"
             "5SpaceE1EEEEELi256EEEvT_");
    EXPECT_EQ(kernel.name, "ProductKernel<FmaCore, GradientProduct>");
}

TEST(KernelResources, occupancy_by_hand) {
    // 65536 registers of a multiprocessor: 1024 threads of 64 registers each, of 2048 (sm_80) or 1536
    // (sm_120).
    EXPECT_DOUBLE_EQ(occupancy({.architecture = 80, .name = "", .threads = 256, .registers = 64}), 0.5);
    EXPECT_DOUBLE_EQ(occupancy({.architecture = 120, .name = "", .threads = 256, .registers = 64}),
                     1024.0 / 1536.0);
    EXPECT_DOUBLE_EQ(occupancy({.architecture = 90, .name = "", .threads = 256, .registers = 32}), 1.0);
    // 40 KB + 1 KB reserved: five blocks in 228 KB.
    EXPECT_DOUBLE_EQ(
        occupancy(
            {.architecture = 90, .name = "", .threads = 256, .registers = 32, .shared_bytes = 40 << 10}),
        5 * 256 / 2048.0);
}

}  // namespace
}  // namespace espectra
