// Tests of runtime/cuda that only the emulated device can make, since it counts resources. Those of
// cuda_runtime_test.cpp run on it too.

#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/device.hpp"

#include <gtest/gtest.h>

#include "ptx/runtime/inspection.hpp"
#include <thread>
#include <vector>

namespace espectra {
namespace {

using DeviceBuffer = Buffer<double, Space::device>;

/// Expects that a test has released all its resources at its end.
class StandIn : public ::testing::Test {
  protected:
    void TearDown() override {
        const ptx::CudaCounts left = espectra_emulated_counts();
        EXPECT_EQ(left.streams, 0);
        EXPECT_EQ(left.events, 0);
        EXPECT_EQ(left.pools, 0);
        EXPECT_EQ(left.pinned, 0);
        EXPECT_EQ(left.graphs, 0);
        EXPECT_EQ(left.memory, 0);
    }
};

TEST_F(StandIn, IsADevice) {
    EXPECT_EQ(cuda_problem(), "");
    ASSERT_EQ(cuda_devices().size(), 1u);
    EXPECT_EQ(cuda_devices().front().description(), "emulated device 9.0, 68.7 GB free of 68.7 GB");
    EXPECT_EQ(device_memory(0).total, std::size_t{1} << 36);
}

TEST_F(StandIn, LaunchesAGraphFromTheSecondTimeOn) {
    CudaContext context;
    DeviceBuffer buffer(context, 8);
    CudaContext::Recording recording;
    const long before = espectra_emulated_counts().launches;
    int calls = 0;
    const auto work = [&] {
        ++calls;
        DeviceBuffer temporary(context, 4);
        copy(context, buffer.data(), temporary.data(), 4);
    };
    repeat(context, recording, 0, work);
    EXPECT_EQ(calls, 0);
    repeat(context, recording, 1, work);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(espectra_emulated_counts().launches - before, 0);
    for (int i = 0; i < 5; ++i) repeat(context, recording, 4, work);
    EXPECT_EQ(calls, 2);  // done once, recorded once
    EXPECT_EQ(espectra_emulated_counts().launches - before, 20);
    const CudaContext::Recording moved = std::move(recording);
    EXPECT_EQ(espectra_emulated_counts().memory, 1);
}

TEST_F(StandIn, AContextGoesFromThreadToThread) {
    CudaContext context;
    std::vector<DeviceBuffer> buffers;
    CudaContext::Recording recording;
    const std::vector<double> values(100);
    for (int i = 0; i < 4; ++i)
        std::thread([&] {
            buffers.emplace_back(context, 100);
            copy(context, values.data(), buffers.back().data(), 100);
            repeat(context, recording, 3,
                   [&] { copy(context, buffers.front().data(), buffers.front().data() + 50, 50); });
            fetch(context, buffers.back().data(), 100);
        }).join();
    EXPECT_EQ(espectra_emulated_counts().memory, 4);
}

TEST_F(StandIn, AnErrorLeavesNothingBehind) {
    CudaContext context;
    CudaContext::Recording recording;
    DeviceBuffer buffer(context, 8);
    EXPECT_ANY_THROW(repeat(context, recording, 3, [&, calls = 0]() mutable {
        DeviceBuffer temporary(context, 4);
        copy(context, buffer.data(), temporary.data(), 4);
        if (++calls == 2) throw 5;
    }));
    EXPECT_EQ(espectra_emulated_counts().memory, 1);
    EXPECT_EQ(espectra_emulated_counts().graphs, 0);
    repeat(context, recording, 3, [&] { copy(context, buffer.data(), buffer.data() + 4, 4); });
}

}  // namespace
}  // namespace espectra
