// Memory, views, threads, random numbers and errors.

#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/memory.hpp"
#include "espectra/runtime/random.hpp"
#include "espectra/runtime/timer.hpp"
#include "espectra/runtime/view.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
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
    // 40 requests of 64 kB to 2.5 MB: the first block of 1 MB is left many times.
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

TEST(Arena, FramesReleaseWhatWasTakenInThem) {
    Arena arena;
    Arena::Frame outer(arena);
    double* kept = arena.take<double>(3);
    kept[0] = 42;
    double* first = nullptr;
    for (int round = 0; round < 3; ++round) {
        Arena::Frame frame(arena);
        double* memory = arena.take<double>(100);
        if (round == 0) first = memory;
        EXPECT_EQ(memory, first);  // the same place again: the frame before has given it back
        {
            Arena::Frame inner(arena);
            std::fill_n(arena.take<double>(1 << 20), 1 << 20, 7.0);  // 8 MB: a block of its own
        }
        std::fill_n(memory, 100, 1.0);
        EXPECT_NE(arena.take<double>(1), memory);
    }
    EXPECT_EQ(kept[0], 42);
}

TEST(Arena, KeepsItsBlocksBetweenFrames) {
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

TEST(Arena, ReplacesUnusedBlocksThatAreTooSmall) {
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

TEST_P(Threads, RethrowTheFirstExceptionAndGoOn) {
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

using Words = std::array<std::uint32_t, 4>;

/// Philox 4×32-10 from the paper (Salmon et al., SC'11, section 3.3), written down a second time.
Words naive_philox(Words x, std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53} * x[0], b = std::uint64_t{0xCD9E8D57} * x[2];
        x = {static_cast<std::uint32_t>(b >> 32) ^ x[1] ^ key[0], static_cast<std::uint32_t>(b),
             static_cast<std::uint32_t>(a >> 32) ^ x[3] ^ key[1], static_cast<std::uint32_t>(a)};
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
    return x;
}

TEST(RandomStream, KnownAnswers) {
    // kat_vectors of Random123, philox4x32 10.
    EXPECT_EQ(naive_philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(naive_philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(naive_philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
    EXPECT_EQ(RandomStream(0, 0).bits(0), 0xe169c58d6627e8d5u);
}

TEST(RandomStream, IsPhiloxOfSeedStreamAndIndex) {
    const std::uint64_t seed = 0x0123456789abcdef, index = 0xfedcba9876543210;
    const Words w = naive_philox({0x76543210, 0xfedcba98, 77, 0}, {0x89abcdef, 0x01234567});
    const RandomStream random(seed, 77);
    EXPECT_EQ(random.bits(index), (std::uint64_t{w[1]} << 32) | w[0]);
    EXPECT_EQ(random.uniform(index), std::ldexp(static_cast<double>(random.bits(index) >> 11), -53));
    const double u = std::ldexp(static_cast<double>(random.bits(index) >> 11) + 1, -53);
    const double v = std::ldexp(static_cast<double>(((std::uint64_t{w[3]} << 32) | w[2]) >> 11), -53);
    EXPECT_DOUBLE_EQ(random.normal(index), std::sqrt(-2 * std::log(u)) * std::cos(2 * std::acos(-1.0) * v));
}

TEST(RandomStream, StreamsAndSeedsDiffer) {
    const std::vector<std::uint64_t> bits = {RandomStream(1, 0).bits(0), RandomStream(1, 1).bits(0),
                                             RandomStream(2, 0).bits(0), RandomStream(1, 0).bits(1),
                                             RandomStream(1ull << 32, 0).bits(0)};
    for (std::size_t i = 0; i < bits.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) EXPECT_NE(bits[i], bits[j]);
}

// Sample moments of n numbers are normally distributed about the true ones: five standard deviations (p =
// 6e-7).
constexpr int samples = 200'000;
double five_deviations(double variance) { return 5 * std::sqrt(variance / samples); }

TEST(RandomStream, UniformMoments) {
    const RandomStream random(3, 4);
    double mean = 0, square = 0, neighbours = 0, last = 0.5;
    for (int i = 0; i < samples; ++i) {
        const double x = random.uniform(static_cast<std::uint64_t>(i));
        ASSERT_TRUE(x >= 0 && x < 1);
        mean += x / samples;
        square += x * x / samples;
        neighbours += (x - 0.5) * (last - 0.5) / samples;
        last = x;
    }
    EXPECT_NEAR(mean, 0.5, five_deviations(1.0 / 12));                 // Var x = 1/12
    EXPECT_NEAR(square, 1.0 / 3, five_deviations(1.0 / 5 - 1.0 / 9));  // Var x² = E x⁴ − (E x²)²
    EXPECT_NEAR(neighbours, 0, five_deviations(1.0 / 144));            // independent: (1/12)²
}

TEST(RandomStream, NormalMoments) {
    const RandomStream random(3, 5);
    double moments[5] = {};
    for (int i = 0; i < samples; ++i) {
        const double x = random.normal(static_cast<std::uint64_t>(i));
        double power = 1;
        for (double& moment : moments) moment += power / samples, power *= x;
    }
    // E x^k = 0, 1, 0, 3 and Var x^k = E x^2k − (E x^k)² = 1, 3 − 1, 15, 105 − 9.
    EXPECT_NEAR(moments[1], 0, five_deviations(1));
    EXPECT_NEAR(moments[2], 1, five_deviations(2));
    EXPECT_NEAR(moments[3], 0, five_deviations(15));
    EXPECT_NEAR(moments[4], 3, five_deviations(96));
}

TEST(RandomStream, ShufflesFairly) {
    // Where number 0 goes among 5 places, 10 000 times: binomial, standard deviation √(n p (1 − p)) = 40.
    std::array<int, 5> places{};
    for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
        std::array<int, 5> numbers = {0, 1, 2, 3, 4};
        RandomStream(seed, split_stream).shuffle(numbers);
        ++places[static_cast<std::size_t>(std::find(numbers.begin(), numbers.end(), 0) - numbers.begin())];
        std::sort(numbers.begin(), numbers.end());
        ASSERT_EQ(numbers, (std::array<int, 5>{0, 1, 2, 3, 4}));
    }
    for (const int count : places) EXPECT_NEAR(count, 2000, 5 * 40);
}

TEST(RandomStream, ShuffleIsReproducibleAndTakesAnySize) {
    std::vector<int> numbers(1000), again(1000), other(1000), none, one = {9};
    for (auto* range : {&numbers, &again, &other}) std::iota(range->begin(), range->end(), 0);
    const auto sorted = numbers;
    RandomStream(5, split_stream).shuffle(numbers);
    RandomStream(5, split_stream).shuffle(again);
    RandomStream(6, split_stream).shuffle(other);
    RandomStream(5, split_stream).shuffle(none);
    RandomStream(5, split_stream).shuffle(one);
    EXPECT_EQ(numbers, again);
    EXPECT_NE(numbers, other);
    EXPECT_NE(numbers, sorted);
    EXPECT_EQ(one, std::vector<int>{9});
    EXPECT_TRUE(std::is_permutation(numbers.begin(), numbers.end(), sorted.begin()));
}

TEST(Error, KindsAreExitStatusesAndSayWhere) {
    const InputError input("bad");
    const unsigned line = __LINE__ - 1;
    EXPECT_EQ(input.exit_status(), 2);
    EXPECT_EQ(NumericalError("bad").exit_status(), 3);
    EXPECT_EQ(ResourceError("bad").exit_status(), 4);
    EXPECT_EQ(NumericalError("bad").kind(), ErrorKind::numerical);
    EXPECT_EQ(input.where().line(), line);
    EXPECT_NE(std::string(input.where().file_name()).find("runtime_test.cpp"), std::string::npos);
    EXPECT_STREQ(input.what(), "bad");
}

TEST(Error, RequireEqualHasTheNumbers) {
    EXPECT_NO_THROW(require_equal("rows", 3, 3));
    try {
        require_equal("weights, units", 25, 24);
        FAIL();
    } catch (const InputError& error) {
        EXPECT_STREQ(error.what(), "weights, units: expected 25, got 24");
        EXPECT_NE(std::string(error.where().file_name()).find("runtime_test.cpp"), std::string::npos);
    }
}

TEST(Error, LapackStatuses) {
    EXPECT_NO_THROW(check_lapack("dsyevd", 0));
    for (const auto& [info, text] : {std::pair{-4, "dsyevd: argument 4 has an illegal value"},
                                     {7, "dsyevd did not converge (info = 7)"}}) {
        try {
            check_lapack("dsyevd", info);
            ADD_FAILURE() << info;
        } catch (const NumericalError& error) {
            EXPECT_STREQ(error.what(), text);
        }
    }
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

TEST(Timer, CountsSeconds) {
    Timer timer;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_GE(timer.seconds(), 0.020);
    EXPECT_LT(timer.seconds(), 20);
    timer.restart();
    EXPECT_LT(timer.seconds(), 0.020 + 1);
}

}  // namespace
}  // namespace espectra
