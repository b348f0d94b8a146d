// Scratch memory and threads of the CPU backend.

#include "espectra/runtime/cpu_context.hpp"

#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

// Sanitizers end the process at an allocation that no machine has, unless told that it may fail as malloc
// does.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }

namespace espectra {
namespace {

bool aligned(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory) % host_alignment == 0; }

TEST(Arena, GivesAlignedMemoryThatDoesNotOverlap) {
    Arena arena;
    Arena::Frame frame(arena);
    std::vector<std::pair<unsigned char*, Index>> taken;
    for (const Index size : {1, 7, 64, 65, 1000, 4096}) {
        auto* memory = arena.take<unsigned char>(size);
        EXPECT_TRUE(aligned(memory)) << size;
        std::fill_n(memory, size, static_cast<unsigned char>(taken.size()));
        taken.emplace_back(memory, size);
    }
    for (std::size_t i = 0; i < taken.size(); ++i)
        EXPECT_EQ(std::count(taken[i].first, taken[i].first + taken[i].second, static_cast<unsigned char>(i)),
                  taken[i].second);
}

TEST(Arena, PointersStayValidWhileItGrows) {
    Arena arena;
    Arena::Frame frame(arena);
    // 40 requests of 64 kB to 2.5 MB: the first segment of 1 MB is left many times.
    std::vector<std::pair<double*, Index>> taken;
    for (Index i = 1; i <= 40; ++i) {
        const Index size = 8192 * i;
        taken.emplace_back(arena.take<double>(size), size);
        std::fill_n(taken.back().first, size, static_cast<double>(i));
    }
    for (std::size_t i = 0; i < taken.size(); ++i) {
        const auto [memory, size] = taken[i];
        EXPECT_EQ(std::count(memory, memory + size, static_cast<double>(i + 1)), size);
    }
}

TEST(Arena, FramesReleaseTheirMemory) {
    Arena arena;
    Arena::Frame outer(arena);
    double* kept = arena.take<double>(3);
    kept[0] = 42;
    double* first = nullptr;
    for (int round = 0; round < 3; ++round) {
        Arena::Frame frame(arena);
        double* memory = arena.take<double>(100);
        if (round == 0) first = memory;
        EXPECT_EQ(memory, first);  // the same position again, which the frame before has released
        {
            Arena::Frame inner(arena);
            std::fill_n(arena.take<double>(1 << 20), 1 << 20, 7.0);  // 8 MB: a segment of its own
        }
        std::fill_n(memory, 100, 1.0);
        EXPECT_NE(arena.take<double>(1), memory);
    }
    EXPECT_EQ(kept[0], 42);
}

TEST(Arena, KeepsItsSegmentsBetweenFrames) {
    Arena arena;
    double* large = nullptr;
    for (int round = 0; round < 4; ++round) {
        Arena::Frame frame(arena);
        arena.take<double>(1);
        double* memory = arena.take<double>(1 << 20);
        if (round == 1) large = memory;
        if (round > 1) {
            EXPECT_EQ(memory, large);
        }
    }
}

TEST(Arena, ReplacesUnusedSegmentsThatAreTooSmall) {
    Arena arena;
    for (Index size = 1; size <= Index{1} << 22; size *= 8) {  // up to 32 MB
        Arena::Frame frame(arena);
        double* memory = arena.take<double>(size);
        memory[0] = memory[size - 1] = 1;
        EXPECT_TRUE(aligned(memory));
    }
    {
        Arena::Frame frame(arena);
        EXPECT_TRUE(arena.take<double>(0) != nullptr);
    }
    Arena moved = std::move(arena);
    Arena::Frame frame(moved);
    moved.take<double>(10)[9] = 1;
}

TEST(Arena, StaysUsableAfterOutOfMemory) {
    Arena arena;
    Arena::Frame frame(arena);
    int* kept = arena.take<int>(1);
    *kept = 5;
    EXPECT_THROW(arena.take<char>(1'000'000'000'000'000), ResourceError);
    int* next = arena.take<int>(1);
    *next = 6;
    EXPECT_NE(kept, next);
    EXPECT_EQ(*kept, 5);
}

class Threads : public ::testing::TestWithParam<int> {};

TEST_P(Threads, RunEachTaskOnce) {
    CpuContext context(GetParam());
    EXPECT_EQ(context.threads(), GetParam());
    for (const Index tasks : {0, 1, 2, 3, 7, 1000}) {
        std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
        std::atomic<bool> worker_in_range = true;
        context.parallel_for(tasks, [&](Index task, int worker) {
            ++runs[static_cast<std::size_t>(task)];
            if (worker < 0 || worker >= GetParam()) worker_in_range = false;
        });
        EXPECT_TRUE(worker_in_range);
        for (const auto& count : runs) EXPECT_EQ(count, 1);
    }
    context.parallel_for(-1, [](Index, int) { FAIL() << "there is no task"; });
}

TEST_P(Threads, RunManyCalls) {
    constexpr std::chrono::milliseconds asleep{1};  // longer than threads wait awake
    CpuContext context(GetParam());
    Index total = 0;
    for (Index call = 0; call < 2000; ++call) {
        std::array<Index, 5> squares{};
        if (call % 100 == 0) std::this_thread::sleep_for(asleep);
        context.parallel_for(5, [&](Index task, int worker) {
            if (call % 100 == 50 && worker > 0) std::this_thread::sleep_for(asleep);
            squares[static_cast<std::size_t>(task)] = task * task;
        });
        total += std::accumulate(squares.begin(), squares.end(), Index{0});  // 0 + 1 + 4 + 9 + 16 = 30
    }
    EXPECT_EQ(total, 2000 * 30);
}

TEST_P(Threads, OneWorkerIsOneThreadAtATime) {
    CpuContext context(GetParam());
    std::vector<std::atomic<int>> inside(static_cast<std::size_t>(GetParam()));
    std::atomic<int> clashes = 0;
    context.parallel_for(500, [&](Index, int worker) {
        auto& here = inside[static_cast<std::size_t>(worker)];
        if (here.fetch_add(1) != 0) ++clashes;
        Arena::Frame frame(context.arena(worker));
        context.arena(worker).take<double>(64)[0] = 1;
        std::this_thread::yield();
        here.fetch_sub(1);
    });
    EXPECT_EQ(clashes, 0);
}

TEST_P(Threads, RethrowTheFirstExceptionAndStayUsable) {
    CpuContext context(GetParam());
    constexpr Index tasks =
        1'000'000'000;  // more than a thread does while the one that throws is not scheduled
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> begun = 0;
        try {
            context.parallel_for(tasks, [&](Index task, int) {
                ++begun;
                if (task == 3) throw std::runtime_error("task three");
            });
            ADD_FAILURE() << "nothing was thrown";
        } catch (const std::runtime_error& error) {
            EXPECT_STREQ(error.what(), "task three");
        }
        EXPECT_GE(begun, 4);
        EXPECT_LT(begun, tasks);  // the others were dropped
        std::atomic<int> done = 0;
        context.parallel_for(50, [&](Index, int) { ++done; });
        EXPECT_EQ(done, 50);
    }
}

INSTANTIATE_TEST_SUITE_P(Counts, Threads, ::testing::Values(1, 2, 3, 4));

TEST(CpuContext, TakesAllCoresForZeroAndRejectsNegativeCounts) {
    EXPECT_GE(available_cores(), 1);
    EXPECT_EQ(CpuContext(0).threads(), available_cores());
    EXPECT_THROW(CpuContext(-1), InputError);
}

TEST(CpuContext, MovesWithItsThreads) {
    CpuContext context(2);
    CpuContext moved = std::move(context);
    std::atomic<int> done = 0;
    moved.parallel_for(10, [&](Index, int) { ++done; });
    EXPECT_EQ(done, 10);
    moved = CpuContext(3);
    EXPECT_EQ(moved.threads(), 3);
}

}  // namespace
}  // namespace espectra
