// Buffers, views and the memory of the process.

#include "espectra/runtime/buffer.hpp"

#include "espectra/runtime/error.hpp"
#include "espectra/runtime/memory.hpp"
#include "espectra/runtime/view.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// Sanitizers end the process at an allocation that no machine has, unless told that it may fail as malloc
// does.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }

namespace espectra {
namespace {

bool aligned(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory) % host_alignment == 0; }

using DoubleBuffer = Buffer<double, Space::host>;

TEST(Buffer, IsAlignedMovesAndSwaps) {
    CpuContext context(1);
    DoubleBuffer a(context, 5);
    EXPECT_TRUE(aligned(a.data()));
    EXPECT_EQ(a.size(), 5);
    std::iota(a.data(), a.data() + 5, 1.0);
    double* memory = a.data();
    DoubleBuffer b = std::move(a);
    EXPECT_EQ(b.data(), memory);
    EXPECT_EQ(b.size(), 5);
    EXPECT_EQ(a.data(), nullptr);  // NOLINT: a moved-from buffer is empty
    EXPECT_EQ(a.size(), 0);
    DoubleBuffer c(context, 2);
    c = std::move(b);
    EXPECT_EQ(c.data(), memory);
    EXPECT_EQ(c.size(), 5);
    EXPECT_EQ(c.data()[4], 5.0);
    static_assert(!std::is_copy_constructible_v<DoubleBuffer> && !std::is_copy_assignable_v<DoubleBuffer>);
}

TEST(Buffer, MayBeEmpty) {
    CpuContext context(1);
    EXPECT_EQ(DoubleBuffer().data(), nullptr);
    EXPECT_EQ(DoubleBuffer(context, 0).data(), nullptr);
    EXPECT_EQ(DoubleBuffer(context, 0).view(0, 3).size(), 0);
}

TEST(Buffer, OutOfMemorySaysHowManyGigabytes) {
    CpuContext context(1);
    try {
        DoubleBuffer buffer(context, 125'000'000'000'000);  // 1e15 bytes
        FAIL() << "a petabyte was given";
    } catch (const ResourceError& error) {
        const std::string text = error.what();
        EXPECT_NE(text.find("out of memory"), std::string::npos) << text;
        EXPECT_NE(text.find("1000000.000 GB"), std::string::npos) << text;
        EXPECT_EQ(text.find('\n'), std::string::npos) << text;
        EXPECT_EQ(error.exit_status(), 4);
    }
}

TEST(Buffer, CopiesBetweenArrays) {
    CpuContext context(1);
    const std::vector<double> source = {1, 2, 3};
    DoubleBuffer buffer(context, 3);
    copy(context, source.data(), buffer.data(), 2);
    copy(context, source.data(), buffer.data() + 2, 1);
    EXPECT_EQ(std::vector<double>(buffer.data(), buffer.data() + 3), (std::vector<double>{1, 2, 1}));
}

TEST(View, IndexesRowMajor) {
    std::vector<int> data(24);
    std::iota(data.begin(), data.end(), 0);
    const auto view = make_view(data.data(), 2, 3, 4);
    EXPECT_EQ(view.size(), 24);
    EXPECT_EQ(view.stride[0], 12);
    EXPECT_EQ(view.stride[1], 4);
    EXPECT_EQ(view.stride[2], 1);
    EXPECT_EQ(view(0, 0, 0), 0);
    EXPECT_EQ(view(1, 2, 3), 23);
    EXPECT_EQ(view(1, 0, 2), 14);
    EXPECT_EQ(view[1](2, 3), 23);
    EXPECT_EQ(view[1][2](3), 23);
    EXPECT_EQ(view[1][2].extent[0], 4);
    view(0, 1, 1) = -5;
    EXPECT_EQ(data[5], -5);
}

TEST(View, SlicesAnyAxis) {
    std::vector<int> data(24);
    std::iota(data.begin(), data.end(), 0);
    const auto view = make_view(data.data(), 2, 3, 4);
    const auto part = view.slice(1, 1, 2).slice(2, 2, 2);
    EXPECT_EQ(part.size(), 2 * 2 * 2);
    EXPECT_EQ(part(0, 0, 0), 6);
    EXPECT_EQ(part(1, 1, 1), 23);
    EXPECT_EQ(part[1](0, 1), 19);
    EXPECT_EQ(view.slice(0, 1, 1)(0, 0, 0), 12);
    EXPECT_EQ(view.slice(2, 4, 0).size(), 0);
}

TEST(View, SharesBetweenReplicas) {
    std::vector<int> data = {1, 2, 3, 4, 5, 6};
    const auto shared = share(make_view(data.data(), 2, 3), 5);
    EXPECT_EQ(shared.extent[0], 5);
    EXPECT_EQ(shared.stride[0], 0);
    for (Index r = 0; r < 5; ++r) EXPECT_EQ(&shared(r, 1, 2), &data[5]);
    const View<const int, 3> constant = shared;
    EXPECT_EQ(constant(4, 1, 0), 4);
    EXPECT_EQ(constant.stride[1], 3);
}

TEST(View, IsFalseWhenEmpty) {
    double x = 0;
    EXPECT_FALSE((View<double, 3>{}));
    EXPECT_TRUE(static_cast<bool>(make_view(&x, 1, 1)));
    static_assert(!std::is_convertible_v<View<double, 1, Space::device>, View<double, 1, Space::host>>);
    static_assert(!std::is_convertible_v<View<const double, 1>, View<double, 1>>);
}

std::size_t virtual_memory() {
    std::ifstream file("/proc/self/statm");
    std::size_t pages = 0;
    file >> pages;
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST(Memory, IsAvailable) {
    EXPECT_GT(available_memory(), std::size_t{1} << 20);
    EXPECT_GT(resident_memory(), std::size_t{1} << 16);
    EXPECT_GE(peak_resident_memory(), resident_memory());
}

TEST(Memory, ResidentGrowsWithWhatIsTouched) {
    CpuContext context(1);
    const std::size_t before = resident_memory();
    DoubleBuffer buffer(context, 4 << 20);  // 32 MiB
    std::fill_n(buffer.data(), buffer.size(), 1.0);
    EXPECT_GT(resident_memory(), before + (std::size_t{30} << 20));
    EXPECT_GT(peak_resident_memory(), before + (std::size_t{30} << 20));
}

TEST(Memory, RespectsTheAddressSpaceLimit) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        // 64 MiB above what is mapped; a few of them may be mapped in between.
        rlimit limit{};
        limit.rlim_cur = limit.rlim_max = virtual_memory() + (std::size_t{64} << 20);
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(10);
        const std::size_t available = available_memory();
        _exit(available > std::size_t{64} << 20 ? 11 : available < std::size_t{32} << 20 ? 12 : 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "10: setrlimit failed, 11: more than the limit, 12: far less";
}

}  // namespace
}  // namespace espectra
