// Tests of the memory of the PTX interpreter: each kind of fault is seen, and its legal neighbour is
// accepted.

#include <gtest/gtest.h>

#include "ptx/memory/launch_memory.hpp"
#include "ptx/memory/memory_fixture.hpp"
#include "ptx/program/program.hpp"
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

namespace espectra::ptx {

namespace {

std::uint64_t address_of(const void* pointer) { return reinterpret_cast<std::uint64_t>(pointer); }

/// A device with one allocation of doubles and a launch with shared memory.
class LaunchTest : public MemoryFixture {
  protected:
    LaunchTest() : MemoryFixture("kernel") {}

    static constexpr std::size_t doubles = 64, shared_bytes = 400;

    /// Ends the launch that may be in progress, and begins another one.
    void launch(bool initialized = true) {
        memory_.reset();
        if (initialized) device.fill(array, 0, doubles * 8, call);
        memory_ = std::make_unique<LaunchMemory>(device, findings, shared_bytes, [](int number) {
            return Place{"kernel", number, "ld"};
        });
        memory_->begin_block(0);
    }

    LaunchMemory& memory() { return *memory_; }

    Located access(bool write, Space space, int bytes, const std::vector<std::uint64_t>& addresses,
                   std::vector<int> threads = {}) {
        if (threads.empty()) {
            threads.resize(addresses.size());
            std::iota(threads.begin(), threads.end(), 0);
        }
        threads_ = threads;
        const Access request{space, bytes, ++instruction, addresses, threads_};
        return write ? memory_->write(request) : memory_->read(request);
    }
    Located read(int thread, std::uint64_t offset, int bytes = 8) {
        return access(false, Space::global, bytes, {address_of(array) + offset}, {thread});
    }
    Located write(int thread, std::uint64_t offset, int bytes = 8) {
        return access(true, Space::global, bytes, {address_of(array) + offset}, {thread});
    }
    Located read_shared(int thread, std::uint64_t offset, int bytes = 8) {
        return access(false, Space::shared, bytes, {shared_memory_start + offset}, {thread});
    }
    Located write_shared(int thread, std::uint64_t offset, int bytes = 8) {
        return access(true, Space::shared, bytes, {shared_memory_start + offset}, {thread});
    }

    std::byte* array = static_cast<std::byte*>(device.allocate(doubles * 8));
    int instruction = 0;

  private:
    std::unique_ptr<LaunchMemory> memory_;
    std::vector<int> threads_;
};

}  // namespace

TEST_F(LaunchTest, LocatesEqualConsecutiveAndScatteredAddresses) {
    launch();
    const std::uint64_t base = address_of(array);
    const Located same = access(false, Space::global, 8, {base + 8, base + 8, base + 8});
    EXPECT_EQ(same.pattern, Located::Pattern::same);
    EXPECT_EQ(same.first, array + 8);
    const Located contiguous = access(false, Space::generic, 16, {base + 16, base + 32, base + 48});
    EXPECT_EQ(contiguous.pattern, Located::Pattern::contiguous);
    EXPECT_EQ(contiguous.first, array + 16);
    const Located scattered = access(false, Space::global, 4, {base + 16, base + 4, base + 12});
    EXPECT_EQ(scattered.pattern, Located::Pattern::scattered);
    EXPECT_EQ(scattered.each[0], array + 16);
    EXPECT_EQ(scattered.each[1], array + 4);
    EXPECT_EQ(scattered.each[2], array + 12);
    expect_none();
}

TEST_F(LaunchTest, ReportsAccessesBeyondAnAllocation) {
    auto* const other = static_cast<std::byte*>(device.allocate(24));
    device.fill(other, 0, 24, call);
    launch();
    read(0, doubles * 8 - 8);
    expect_none();
    EXPECT_EQ(read(0, doubles * 8).each[0], nullptr);
    expect_one(Fault::out_of_bounds, "reads 8 bytes at 0 bytes after the end of allocation 1 (512 bytes)");
    write(0, static_cast<std::uint64_t>(-8));
    expect_one(Fault::out_of_bounds, "writes 8 bytes at 8 bytes before allocation 1 (512 bytes)");
    access(false, Space::global, 16, {address_of(other) + 16});
    expect_one(Fault::out_of_bounds, "byte 16 of allocation 2 (24 bytes), 8 bytes beyond its end");
    const std::array<double, 2> host{};
    access(false, Space::global, 8, {address_of(host.data())});
    expect_one(Fault::out_of_bounds, "not the device's");
    access(false, Space::global, 8, {0});
    expect_one(Fault::out_of_bounds, "not the device's");
}

TEST_F(LaunchTest, ReportsTheAccessesOfARunThatAreBeyondTheEnd) {
    launch();
    std::vector<std::uint64_t> addresses;
    for (std::uint64_t i = 0; i < 32; ++i) addresses.push_back(address_of(array) + (doubles - 30 + i) * 8);
    const Located located = access(true, Space::global, 8, addresses);
    EXPECT_EQ(located.pattern, Located::Pattern::scattered);
    EXPECT_EQ(located.each[29], array + doubles * 8 - 8);
    EXPECT_EQ(located.each[30], nullptr);
    launch();
    const auto all = findings.all();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].first.thread, 30);
    EXPECT_EQ(all[0].second, 2u);
}

TEST_F(LaunchTest, ReportsMisalignedAccesses) {
    launch();
    read(0, 24, 8);
    read(0, 48, 16);
    read(0, 6, 2);
    expect_none();
    read(0, 4, 8);
    expect_one(Fault::misaligned, "reads 8 bytes at byte 4 of allocation 1 (512 bytes), not a multiple of 8");
    write(0, 8, 16);
    expect_one(Fault::misaligned, "not a multiple of 16");
    write_shared(0, 2, 4);
    expect_one(Fault::misaligned, "byte 2 of shared memory (400 bytes)");
}

TEST_F(LaunchTest, ReportsReadsOfUninitializedBytes) {
    launch(false);
    read(0, 0);
    expect_one(Fault::uninitialized_memory, "of which 8 are uninitialised");
    write(0, 8, 4);
    read(0, 8, 4);
    expect_none();
    read(0, 8, 8);
    expect_one(Fault::uninitialized_memory,
               "byte 8 of allocation 1 (512 bytes), of which 4 are uninitialised");
    write(0, 12, 4);
    read(0, 8, 8);
    expect_none();
    std::vector<std::uint64_t> addresses;
    for (std::uint64_t i = 0; i < 32; ++i) addresses.push_back(address_of(array) + 8 + i * 8);
    access(false, Space::global, 8, addresses);
    launch(false);
    const auto all = findings.all();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].first.thread, 1);
    EXPECT_EQ(all[0].second, 31u);
}

TEST_F(LaunchTest, ReportsAccessesToFreedMemory) {
    EXPECT_TRUE(device.release(array, call));
    launch(false);
    read(0, 16);
    expect_one(Fault::freed_memory, "byte 16 of allocation 1 (512 bytes), which has been freed");
    write(0, 16);
    expect_one(Fault::freed_memory, "has been freed");
}

TEST_F(LaunchTest, ReportsAccessesBeyondSharedMemory) {
    launch();
    write_shared(0, shared_bytes - 8);
    expect_none();
    EXPECT_EQ(write_shared(0, shared_bytes).each[0], nullptr);
    expect_one(Fault::out_of_bounds, "writes 8 bytes at byte 400 of shared memory (400 bytes)");
    write_shared(0, shared_bytes - 4, 8);
    expect_one(Fault::out_of_bounds, "byte 396");
    access(false, Space::shared, 8, {0});
    expect_one(Fault::out_of_bounds, "an address before shared memory");
    access(false, Space::generic, 8, {shared_memory_window + shared_memory_start + shared_bytes});
    expect_one(Fault::out_of_bounds, "byte 400 of shared memory (400 bytes)");
}

TEST_F(LaunchTest, SharedMemoryOfABlockIsUninitialized) {
    launch();
    double value = 0;
    std::memcpy(&value, write_shared(0, 8).first, 8);
    EXPECT_TRUE(std::isnan(value));
    value = 1;
    std::memcpy(write_shared(0, 8).first, &value, 8);
    read_shared(0, 8);
    expect_none();
    read_shared(0, 16);
    expect_one(Fault::uninitialized_memory, "byte 16 of shared memory");
    memory().begin_block(1);
    std::memcpy(&value, read_shared(0, 8).first, 8);
    EXPECT_TRUE(std::isnan(value));
    expect_one(Fault::uninitialized_memory, "byte 8 of shared memory");
}

TEST_F(LaunchTest, GenericAddressesReachSharedAndGlobalMemory) {
    launch();
    const std::uint64_t in_shared = shared_memory_window + shared_memory_start;
    std::byte* const shared = write_shared(0, 0, 16).first;
    const Located one = access(false, Space::generic, 8, {in_shared}, {0});
    EXPECT_EQ(one.first, shared);
    const Located both =
        access(false, Space::generic, 8, {address_of(array) + 8, in_shared + 8, 8}, {0, 0, 1});
    EXPECT_EQ(both.each[0], array + 8);
    EXPECT_EQ(both.each[1], shared + 8);
    EXPECT_EQ(both.each[2], nullptr);
    expect_one(Fault::out_of_bounds, "not the device's");
}

// Tests of races: read() and write() take the thread, the position and the bytes.

TEST_F(LaunchTest, AcceptsWhatIsNoRace) {
    launch();
    for (const int thread : {0, 1}) {
        read(thread, 0);  // reads by several threads
        write(thread, 8 + 8 * thread);
        read(thread, 8 + 8 * thread);
        write(thread, 8 + 8 * thread);  // the same thread
        write(thread, 24 + 4 * thread, 4);
        write(thread, 32 + thread, 1);  // parts of a granule
    }
    memory().barrier();
    write(2, 0);
    read(0, 16);
    read(1, 16);
    read(0, 24);
    write(1, 32);
    memory().barrier();
    write(0, 24);
    memory().begin_block(1);
    read(0, 64);
    write(0, 72);
    read_shared(0, 0);
    findings.clear();
    write_shared(0, 0);
    memory().begin_block(2);
    read(0, 64);
    write(1, 80);
    write_shared(1, 0);  // each block has its own
    launch();
    write(0, 64);  // another launch
    expect_none();
}

TEST_F(LaunchTest, ReportsRacesWithinABlock) {
    launch();
    write(0, 0);
    write(1, 0);
    expect_one(Fault::race, "writes byte 0 of allocation 1 (512 bytes), which thread 0 has written since");
    write(0, 8);
    read(1, 8);
    expect_one(Fault::race, "reads byte 8 of allocation 1 (512 bytes), which thread 0 has written since");
    read(0, 16);
    write(1, 16);
    expect_one(Fault::race, "which thread 0 has read since the last barrier");
    read(0, 24);
    read(1, 24);
    write(1, 24);
    expect_one(Fault::race, "which several threads have read");
    write_shared(3, 0);
    read_shared(4, 0);
    expect_one(Fault::race, "reads byte 0 of shared memory (400 bytes), which thread 3 has written");
    memory().barrier();
    read(5, 0);
    write(5, 0);
    read(6, 0);
    expect_one(Fault::race, "which thread 5 has written");
    access(true, Space::global, 8, {address_of(array) + 256, address_of(array) + 256}, {4, 9});
    expect_one(Fault::race, "writes byte 256 of allocation 1 (512 bytes), which thread 4 has written");
}

TEST_F(LaunchTest, ReportsRacesBetweenBlocks) {
    launch();
    write(0, 0);
    read(0, 8);
    read(0, 16);
    write(7, 32, 2);
    memory().barrier();
    memory().begin_block(1);
    read(0, 0);
    expect_one(Fault::race,
               "reads byte 0 of allocation 1 (512 bytes), which another block of this launch has written");
    write(0, 8);
    expect_one(Fault::race, "another block of this launch has read");
    read(0, 16);
    memory().barrier();
    write(0, 16);
    expect_one(Fault::race, "another block of this launch has read");
    read(0, 34, 2);
    expect_none();
    read(0, 32);
    expect_one(Fault::race, "reads byte 32");
    memory().begin_block(2);
    write(0, 34, 2);
    expect_one(Fault::race, "writes byte 34");
}

TEST_F(LaunchTest, ReportsRacesOfDifferentSizes) {
    launch();
    write(0, 0, 1);
    read(1, 1, 1);
    expect_none();
    read(1, 0, 8);
    expect_one(Fault::race, "reads byte 0");
    write(0, 16, 16);
    read(1, 28, 4);
    expect_one(Fault::race, "reads byte 28");
    read(0, 64, 2);
    read(1, 66, 2);
    write(1, 66, 2);
    expect_none();
    write(2, 64, 4);
    expect_one(Fault::race, "writes byte 64");
    read(3, 96, 1);
    read(4, 96, 1);
    write(3, 97, 1);
    expect_none();
    write(3, 96, 2);
    expect_one(Fault::race, "writes byte 96");
}

/// The numbers of phases are used up after about a million, and start again.
TEST_F(LaunchTest, RacesAreSeenAcrossMillionsOfBarriers) {
    launch();
    write(0, 0);
    read(0, 8);
    read(1, 8);
    write(0, 16, 4);
    memory().begin_block(1);
    write(1, 24);
    read(0, 32, 1);
    for (int i = 0; i < 1'100'000; ++i) memory().barrier();
    write(3, 24);
    read(4, 24);
    expect_one(Fault::race, "which thread 3 has written");
    read(1, 0);
    expect_one(Fault::race, "another block");
    write(1, 8);
    expect_one(Fault::race, "another block");
    read(1, 20, 4);
    expect_none();
    read(1, 16);
    expect_one(Fault::race, "another block");
    write(5, 32, 4);
    expect_none();
    launch();
    for (int i = 0; i < 1'100'000; ++i) memory().barrier();
    write(1, 8);
    write(1, 16);
    expect_none();
}

TEST_F(LaunchTest, ListsWhatWasUsed) {
    launch();
    device.take_uses();
    read(0, 16);
    read(0, 64, 2);
    write(0, 8, 4);
    launch(false);
    const std::vector<Use> uses = device.take_uses();
    ASSERT_EQ(uses.size(), 2u);
    EXPECT_EQ(uses[0].allocation, array);
    EXPECT_EQ(uses[0].first, 16u);
    EXPECT_EQ(uses[0].last, 66u);
    EXPECT_FALSE(uses[0].written);
    EXPECT_EQ(uses[1].first, 8u);
    EXPECT_EQ(uses[1].last, 12u);
    EXPECT_TRUE(uses[1].written);
    EXPECT_TRUE(device.take_uses().empty());
}

}  // namespace espectra::ptx
