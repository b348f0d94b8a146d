// Tests of the device's allocations, copies, and of what libraries do with its memory.

#include "ptx/memory/device_memory.hpp"

#include <gtest/gtest.h>

#include "ptx/memory/initialized_bytes.hpp"
#include "ptx/memory/memory_fixture.hpp"
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace espectra::ptx {

namespace {

class DeviceMemoryTest : public MemoryFixture {
  protected:
    std::byte* allocate(std::size_t bytes) { return static_cast<std::byte*>(device.allocate(bytes)); }

    std::vector<double> host = std::vector<double>(64, 1.5);
};

}  // namespace

TEST_F(DeviceMemoryTest, AllocationsAreAlignedPoisonedAndApart) {
    std::byte *const first = allocate(100), *const second = allocate(800), *const empty = allocate(0);
    for (std::byte* address : {first, second, empty})
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(address) % 256, 0u);
    double value = 0;
    std::memcpy(&value, second + 8, 8);
    EXPECT_TRUE(std::isnan(value));
    EXPECT_GE(second - first, 100 + 800);
    EXPECT_TRUE(device.is_device(second + 800));
    EXPECT_FALSE(device.is_device(host.data()));
    expect_none();
}

TEST_F(DeviceMemoryTest, MemoryIsFreedOnce) {
    std::byte* const address = allocate(80);
    EXPECT_FALSE(device.release(address + 8, call));
    expect_one(Fault::invalid_argument, "frees byte 8 of allocation 1 (80 bytes)");
    EXPECT_TRUE(device.release(address, call));
    expect_none();
    EXPECT_FALSE(device.release(address, call));
    expect_one(Fault::freed_memory, "frees byte 0 of allocation 1 (80 bytes), which has been freed");
    EXPECT_FALSE(device.release(host.data(), call));
    expect_one(Fault::invalid_argument, "not the device's");
}

/// Addresses are used again when all of the range has been used.
TEST_F(DeviceMemoryTest, AddressesAreReusedUninitialized) {
    constexpr std::size_t bytes = std::size_t{1} << 20;
    std::byte* const kept = allocate(bytes);
    device.fill(kept, 1, bytes, call);
    std::byte* const first = allocate(bytes);
    device.fill(first, 1, bytes, call);
    device.release(first, call);
    std::byte* again = nullptr;
    for (int i = 0; i < 100'000 && again != first; ++i) {
        again = static_cast<std::byte*>(device.reserve(bytes));
        EXPECT_TRUE(again + bytes <= kept || again >= kept + bytes);
        if (again != first) device.withdraw(again);
    }
    ASSERT_EQ(again, first);
    device.commit(again, call);
    expect_none();
    device.copy(host.data(), first, 8, call);
    expect_one(Fault::uninitialized_memory, "copies 8 uninitialised bytes of 8");
    std::byte value{};
    EXPECT_TRUE(device.copy(&value, kept + bytes - 1, 1, call));
    EXPECT_EQ(value, std::byte{1});
    EXPECT_THROW(device.allocate(std::size_t{1} << 40), std::bad_alloc);
    expect_none();
}

TEST_F(DeviceMemoryTest, MemoryOfGraphsIsAllocatedAgain) {
    auto* const address = static_cast<std::byte*>(device.reserve(64));
    EXPECT_FALSE(device.copy(address, host.data(), 8, call));
    expect_one(Fault::freed_memory,
               "copies to byte 0 of allocation 1 (64 bytes), which is not allocated at this time");
    for (int launch = 0; launch < 2; ++launch) {
        EXPECT_TRUE(device.commit(address, call));
        EXPECT_TRUE(device.copy(host.data(), address, 8, call));
        expect_one(Fault::uninitialized_memory, "copies 8 uninitialised bytes of 8 to the host");
        EXPECT_TRUE(device.copy(address, host.data(), 8, call));
        EXPECT_FALSE(device.commit(address, call));
        expect_one(Fault::invalid_argument, "allocates byte 0 of allocation 1 (64 bytes) again");
        EXPECT_TRUE(device.release(address, call));
    }
    device.withdraw(address);
    EXPECT_FALSE(device.commit(address, call));
    expect_one(Fault::invalid_argument, "again");
}

TEST_F(DeviceMemoryTest, CopiesCarryWhatIsInitialized) {
    std::byte *const a = allocate(512), *const b = allocate(512);
    EXPECT_TRUE(device.copy(a + 3, host.data(), 10, call));
    EXPECT_TRUE(device.copy(b + 64, a, 32, call));
    std::vector<std::byte> back(512);
    EXPECT_TRUE(device.copy(back.data(), b + 67, 10, call));
    EXPECT_EQ(std::memcmp(back.data(), host.data(), 10), 0);
    expect_none();
    EXPECT_TRUE(device.copy(back.data(), b + 64, 32, call));
    expect_one(Fault::uninitialized_memory,
               "copies 22 uninitialised bytes of 32 to the host, first byte 64 of allocation 2 (512 bytes)");
    EXPECT_TRUE(device.copy(a + 3, b, 10, call));  // uninitialised ones as well
    EXPECT_TRUE(device.copy(back.data(), a + 3, 10, call));
    expect_one(Fault::uninitialized_memory, "copies 10 uninitialised bytes of 10");
    EXPECT_TRUE(device.fill(a, 0, 512, call));
    EXPECT_TRUE(device.copy(back.data(), a, 512, call));
    expect_none();
}

TEST_F(DeviceMemoryTest, CopiesStayWithinAllocations) {
    std::byte* const a = allocate(80);
    EXPECT_TRUE(device.copy(a, host.data(), 80, call));
    EXPECT_FALSE(device.copy(a + 8, host.data(), 80, call));
    expect_one(Fault::out_of_bounds, "copies to byte 8 of allocation 1 (80 bytes), 8 bytes beyond its end");
    EXPECT_FALSE(device.copy(host.data(), a + 80, 8, call));
    expect_one(Fault::out_of_bounds, "copies from 0 bytes after the end of allocation 1");
    EXPECT_FALSE(device.fill(a + 79, 0, 2, call));
    expect_one(Fault::out_of_bounds, "sets byte 79");
    EXPECT_TRUE(device.copy(a + 80, host.data(), 0, call));
    device.release(a, call);
    EXPECT_FALSE(device.copy(host.data(), a, 8, call));
    expect_one(Fault::freed_memory, "copies from byte 0 of allocation 1 (80 bytes), which has been freed");
}

TEST_F(DeviceMemoryTest, CopiesOfRowsLeaveOutTheRest) {
    std::byte* const a = allocate(6 * 8);  // three rows of two
    EXPECT_TRUE(device.copy_rows(a, 16, host.data(), 40, 8, 3, call));
    std::vector<double> back(6);
    EXPECT_TRUE(device.copy_rows(back.data(), 8, a, 16, 8, 3, call));
    EXPECT_EQ(back[2], 1.5);
    EXPECT_TRUE(device.copy_rows(back.data(), 16, a + 8, 16, 0, 3, call));
    expect_none();
    EXPECT_TRUE(device.copy_rows(back.data(), 16, a, 16, 16, 3, call));
    expect_one(Fault::uninitialized_memory,
               "copies 24 uninitialised bytes of 48 to the host, first byte 8 of allocation 1 (48 bytes)");
    EXPECT_FALSE(device.copy_rows(a, 24, host.data(), 24, 8, 3, call));
    expect_one(Fault::out_of_bounds, "8 bytes beyond its end");
    EXPECT_FALSE(device.copy_rows(a, 8, host.data(), 8, 16, 3, call));
    expect_one(Fault::invalid_argument, "rows of 16 bytes with pitches 8 and 8");
}

TEST_F(DeviceMemoryTest, LibrariesNeedOnlyTheTriangleThatTheyRead) {
    // A matrix of 4 × 4 with leading dimension 5, of which the lower triangle is initialised.
    std::byte* const a = allocate(19 * 8);
    for (std::size_t column = 0; column < 4; ++column)
        device.copy(a + (column * 5 + column) * 8, host.data(), (4 - column) * 8, call);
    const auto region = [&](MatrixRegion::Part part) { return MatrixRegion{a, 4, 4, 5, 8, part}; };
    EXPECT_TRUE(device.read(region(MatrixRegion::Part::lower), call, "A"));
    expect_none();
    EXPECT_TRUE(device.read(region(MatrixRegion::Part::upper), call, "A"));
    expect_one(Fault::uninitialized_memory, "A: reads 48 uninitialised bytes of 80, first row 0 of column 1");
    EXPECT_TRUE(device.read(region(MatrixRegion::Part::all), call, "A"));
    expect_one(Fault::uninitialized_memory, "A: reads 48 uninitialised bytes of 128");
    EXPECT_TRUE(device.overwrite(region(MatrixRegion::Part::all), call, "A"));
    EXPECT_TRUE(device.read(region(MatrixRegion::Part::all), call, "A"));
    expect_none();
    EXPECT_TRUE(device.copy(host.data(), a + 4 * 8, 8, call));
    expect_one(Fault::uninitialized_memory, "byte 32");  // between the columns
    EXPECT_TRUE(device.destroy(region(MatrixRegion::Part::lower), call, "A"));
    EXPECT_TRUE(device.read(region(MatrixRegion::Part::lower), call, "A"));
    expect_one(Fault::uninitialized_memory, "reads 80 uninitialised bytes of 80");
}

TEST_F(DeviceMemoryTest, LibrariesStayWithinAllocations) {
    std::byte* const a = allocate(19 * 8);
    device.fill(a, 0, 19 * 8, call);
    EXPECT_TRUE(device.read({a, 4, 4, 5, 8}, call, "A"));
    EXPECT_TRUE(device.read({a + 19 * 8, 0, 4, 5, 8}, call, "A"));
    expect_none();
    EXPECT_FALSE(device.read({a, 4, 4, 6, 8}, call, "A"));
    expect_one(Fault::out_of_bounds, "A: reads byte 0 of allocation 1 (152 bytes), 24 bytes beyond its end");
    EXPECT_FALSE(device.overwrite({a, 4, 4, 3, 8}, call, "B"));
    expect_one(Fault::invalid_argument, "B: writes: leading dimension 3 below its 4 rows");
    EXPECT_FALSE(device.overwrite({a + 4, 1, 1, 1, 8}, call, "C"));
    expect_one(Fault::misaligned, "C: writes: byte 4 of allocation 1 (152 bytes), elements of 8 bytes");
    EXPECT_FALSE(device.read({host.data(), 4, 4, 4, 8}, call, "A"));
    expect_one(Fault::out_of_bounds, "not the device's");
    device.release(a, call);
    EXPECT_FALSE(device.destroy({a, 4, 4, 4, 8}, call, "work"));
    expect_one(Fault::freed_memory, "work: writes byte 0 of allocation 1 (152 bytes), which has been freed");
}

TEST_F(DeviceMemoryTest, ListsWhatCopiesAndLibrariesUse) {
    std::byte *const a = allocate(512), *const b = allocate(512);
    device.copy(a + 8, host.data(), 16, call);
    device.copy(b, a + 8, 8, call);
    device.overwrite({b + 64, 2, 2, 4, 8}, call, "B");
    const std::vector<Use> uses = device.take_uses();
    ASSERT_EQ(uses.size(), 3u);
    EXPECT_EQ(uses[0].allocation, a);
    EXPECT_FALSE(uses[0].written);
    EXPECT_EQ(uses[0].first, 8u);
    EXPECT_EQ(uses[0].last, 16u);
    EXPECT_EQ(uses[1].last, 24u);
    EXPECT_TRUE(uses[1].written);
    EXPECT_EQ(uses[2].allocation, b);
    EXPECT_EQ(uses[2].first, 0u);
    EXPECT_EQ(uses[2].last, 64u + 6 * 8);
}

TEST(InitializedBytesTest, EqualsOneFlagForEachByte) {
    constexpr std::size_t bytes = 256;
    InitializedBytes initialized(bytes);
    std::vector<bool> flags(bytes);
    std::mt19937 random(1);
    for (int step = 0; step < 20000; ++step) {
        const std::size_t first = random() % bytes, last = first + random() % (bytes - first + 1);
        const std::size_t length = last - first, target = random() % (bytes - length + 1);
        switch (random() % 4) {
            case 0:
                initialized.set(first, last);
                std::fill(flags.begin() + static_cast<long>(first), flags.begin() + static_cast<long>(last),
                          true);
                break;
            case 1:
                initialized.clear(first, last);
                std::fill(flags.begin() + static_cast<long>(first), flags.begin() + static_cast<long>(last),
                          false);
                break;
            case 2: {
                const std::vector<bool> old = flags;
                initialized.copy(target, first, length);
                for (std::size_t i = 0; i < length; ++i) flags[target + i] = old[first + i];
                break;
            }
            default:
                break;
        }
        std::size_t missing = 0, missing_first = 0;
        for (std::size_t i = last; i-- > first;)
            if (!flags[i]) {
                ++missing;
                missing_first = i;
            }
        const auto found = initialized.missing(first, last);
        ASSERT_EQ(found.count, missing) << first << " " << last;
        ASSERT_TRUE(missing == 0 || found.first == missing_first);
        ASSERT_EQ(initialized.all(first, last), missing == 0);
    }
}

}  // namespace espectra::ptx
