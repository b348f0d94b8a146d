// Tests of the CUDA runtime. Errors and their messages are tested everywhere; tests that need a device are
// skipped without one, or fail if $ESPECTRA_REQUIRE_GPU is set.

#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/device.hpp"
#include "espectra/runtime/cuda/switches.hpp"
#include "espectra/runtime/error.hpp"

#include <gtest/gtest.h>

#include "support/skip_without_device.hpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace espectra {
namespace {

template <class Status>
std::string text_of(Status status) {
    try {
        check(status);
    } catch (const ResourceError& error) {
        EXPECT_EQ(error.exit_status(), 4);
        EXPECT_NE(std::string(error.where().file_name()).find("cuda_runtime_test"), std::string::npos);
        return error.what();
    }
    return {};
}

TEST(Check, SaysTheNameOfTheStatus) {
    EXPECT_EQ(text_of(cudaSuccess), "");
    EXPECT_EQ(text_of(CUBLAS_STATUS_SUCCESS), "");
    EXPECT_EQ(text_of(CUSOLVER_STATUS_SUCCESS), "");
    EXPECT_EQ(text_of(cudaErrorMemoryAllocation), "CUDA: cudaErrorMemoryAllocation: out of memory");
    EXPECT_TRUE(text_of(CUBLAS_STATUS_ALLOC_FAILED).starts_with("cuBLAS: CUBLAS_STATUS_ALLOC_FAILED: "));
    EXPECT_EQ(text_of(CUSOLVER_STATUS_ALLOC_FAILED), "cuSOLVER: CUSOLVER_STATUS_ALLOC_FAILED (status 2)");
    EXPECT_EQ(text_of(CUSOLVER_STATUS_INVALID_WORKSPACE),
              "cuSOLVER: CUSOLVER_STATUS_INVALID_WORKSPACE (status 31)");
    EXPECT_EQ(text_of(static_cast<cusolverStatus_t>(18)), "cuSOLVER: unknown status (status 18)");
}

TEST(Check, SaysThatAnEarlierLaunchMayBeTheCause) {
    const std::string hint = "; an earlier launch may be the cause: ESPECTRA_CUDA_CHECK=1 names its kernel";
    EXPECT_TRUE(text_of(cudaErrorIllegalAddress).ends_with(hint));
    EXPECT_TRUE(text_of(cudaErrorLaunchFailure).ends_with(hint));
    EXPECT_TRUE(text_of(CUBLAS_STATUS_EXECUTION_FAILED).ends_with(hint));
    EXPECT_EQ(text_of(CUSOLVER_STATUS_EXECUTION_FAILED),
              "cuSOLVER: CUSOLVER_STATUS_EXECUTION_FAILED (status 6)" + hint);
    EXPECT_EQ(text_of(cudaErrorInvalidValue).find(hint), std::string::npos);
}

TEST(Switches, TakeTheirValuesAndNoOthers) {
    constexpr const char* variable = "ESPECTRA_SWITCH_OF_A_TEST";
    const auto value = [&] { return switch_value(variable, {"first", "second"}); };
    EXPECT_EQ(value(), -1);
    for (const auto& [text, expected] : {std::pair{"", -1}, std::pair{"first", 0}, std::pair{"second", 1}}) {
        setenv(variable, text, 1);
        EXPECT_EQ(value(), expected) << text;
    }
    setenv(variable, "third", 1);
    try {
        value();
        FAIL() << "third is a value";
    } catch (const InputError& error) {
        EXPECT_STREQ(error.what(), "ESPECTRA_SWITCH_OF_A_TEST=third: expected first or second");
    }
    unsetenv(variable);
}

TEST(CudaDevices, DescribeThemselves) {
    const CudaDeviceProperties device{.name = "NVIDIA H100 80GB HBM3",
                                      .compute_major = 9,
                                      .multiprocessors = 132,
                                      .memory = 85'000'000'000};
    EXPECT_EQ(device.description(), "NVIDIA H100 80GB HBM3, 85.0 GB");
    const std::string libraries = cuda_libraries();
    EXPECT_EQ(libraries.find("CUDA 13."), 0u) << libraries;
    for (const char* name : {", cuBLAS ", ", cuSOLVER "}) EXPECT_NE(libraries.find(name), std::string::npos);
    EXPECT_EQ(libraries.find("EMULATE"), std::string::npos);
    setenv("CUBLAS_EMULATE_DOUBLE_PRECISION", "1", 1);
    EXPECT_TRUE(cuda_libraries().ends_with(", CUBLAS_EMULATE_DOUBLE_PRECISION=1"));
    unsetenv("CUBLAS_EMULATE_DOUBLE_PRECISION");
}

TEST(CudaDevices, SayWhyThereIsNone) {
    const std::string problem = cuda_problem();
    EXPECT_EQ(problem.find('\n'), std::string::npos);
    if (problem.empty()) {
        EXPECT_FALSE(cuda_devices().empty());
        return;
    }
    EXPECT_TRUE(problem.starts_with("no device")) << problem;
    if (cuda_devices().empty()) {
        EXPECT_THROW(CudaContext(0), ResourceError);
    }
}

class Cuda : public ::testing::Test {
  protected:
    void SetUp() override {
        const std::string problem = cuda_problem();
        if (!problem.empty()) test::skip_without_device(problem);
    }
};

using DeviceBuffer = Buffer<double, Space::device>;

std::vector<double> counted(Index count) {
    std::vector<double> values(static_cast<std::size_t>(count));
    std::iota(values.begin(), values.end(), 1.0);
    return values;
}

TEST_F(Cuda, BringsBackWhatItWasGiven) {
    CudaContext context;
    for (const Index count : {Index{0}, Index{1}, Index{1000}, Index{131'072}, Index{300'001}}) {
        const auto values = counted(count);
        DeviceBuffer buffer(context, count);
        copy(context, values.data(), buffer.data(), count);
        EXPECT_EQ(fetch(context, buffer.data(), count), values) << count;
    }
}

TEST_F(Cuda, SendsValuesThatChangeAtOnce) {
    CudaContext context;
    for (const Index count : {Index{0}, Index{1}, Index{300'001}}) {  // parts of 131 072
        DeviceBuffer first(context, count), second(context, count);
        const auto sent = counted(count);
        auto values = sent;
        send(context, values.data(), first.data(), count);
        std::ranges::reverse(values);
        send(context, values.data(), second.data(), count);
        std::ranges::fill(values, 0.0);
        EXPECT_EQ(fetch(context, first.data(), count), sent) << count;
        auto reversed = fetch(context, second.data(), count);
        std::ranges::reverse(reversed);
        EXPECT_EQ(reversed, sent) << count;
    }
}

TEST_F(Cuda, BringsBackRowsThatAreApart) {
    CudaContext context;
    // In one transfer, in several, and rows that are larger than a transfer.
    for (const auto& [rows, length, distance] : {std::array<Index, 3>{0, 3, 5},
                                                 {4, 0, 5},
                                                 {3, 5, 5},
                                                 {7, 3, 5},
                                                 {300, 1000, 1001},
                                                 {3, 140'000, 140'002}}) {
        const auto values = counted(rows * distance);
        DeviceBuffer buffer(context, rows * distance);
        copy(context, values.data(), buffer.data(), buffer.size());
        std::vector<double> expected;
        for (Index row = 0; row < rows; ++row)
            expected.insert(expected.end(), values.begin() + row * distance,
                            values.begin() + row * distance + length);
        EXPECT_EQ(fetch(context, buffer.view(rows, distance).slice(1, 0, length)), expected) << length;
    }
    EXPECT_THROW(fetch(context, View<double, 2, Space::device>{nullptr, {2, 2}, {1, 2}}), InputError);
}

TEST_F(Cuda, KeepsMemoryForTheNextBuffer) {
    CudaContext context;
    const void* first = nullptr;
    for (int round = 0; round < 3; ++round) {
        DeviceBuffer buffer(context, 1 << 20);
        if (round == 0) first = buffer.data();
        EXPECT_EQ(buffer.data(), first);
    }
}

TEST_F(Cuda, SaysHowMuchMemoryThereIs) {
    CudaContext context;
    try {
        DeviceBuffer buffer(context, Index{1} << 46);
        FAIL() << "half a petabyte was given";
    } catch (const ResourceError& error) {
        const std::string text = error.what();
        EXPECT_EQ(text.find("device memory: needs 562949.953 GB, "), 0u) << text;
    }
    DeviceBuffer buffer(context, 1000);  // the error does not remain
    copy(context, counted(1000).data(), buffer.data(), 1000);
    EXPECT_EQ(fetch(context, buffer.data(), 1000).size(), 1000u);
}

TEST_F(Cuda, BuffersAreReadByOtherContextsAndEndInOtherThreads) {
    CudaContext owner, reader;
    const auto values = counted(100'000);
    for (int round = 0; round < 50; ++round) {
        auto buffer = std::make_unique<DeviceBuffer>(owner, 100'000);
        copy(owner, values.data(), buffer->data(), buffer->size());
        const auto ready = owner.record();
        std::thread([&, moved = std::move(buffer)]() mutable {
            reader.wait_for(ready);
            EXPECT_EQ(fetch(reader, moved->data(), moved->size()), values);
            moved.reset();
        }).join();
    }
}

TEST_F(Cuda, RepeatsItsWork) {
    for (const int calls : {1, 2, 3}) {
        CudaContext context;
        CudaContext::Recording recording;
        // Each time the ring of five rotates by one, through memory that the work allocates and frees.
        DeviceBuffer ring(context, 5);
        const auto values = counted(5);
        copy(context, values.data(), ring.data(), 5);
        for (int call = 0; call < calls; ++call)
            repeat(context, recording, 4, [&] {
                DeviceBuffer last(context, 5);
                copy(context, ring.data(), last.data(), 5);
                copy(context, last.data(), ring.data() + 1, 4);
                copy(context, last.data() + 4, ring.data(), 1);
            });
        std::vector<double> expected(5);
        for (int i = 0; i < 5; ++i)
            expected[static_cast<std::size_t>((i + 4 * calls) % 5)] = values[static_cast<std::size_t>(i)];
        EXPECT_EQ(fetch(context, ring.data(), 5), expected) << calls;
    }
}

TEST_F(Cuda, RepeatRefusesWhatAGraphCannotHold) {
    CudaContext context;
    DeviceBuffer kept, buffer(context, 5);
    CudaContext::Recording recording, waiting;
    EXPECT_THROW(repeat(context, recording, 2, [&] { kept = DeviceBuffer(context, 5); }), std::logic_error);
    kept = DeviceBuffer();
    EXPECT_THROW(repeat(context, waiting, 3, [&] { context.synchronize(); }), ResourceError);
    const auto values = counted(5);  // the context still works
    copy(context, values.data(), buffer.data(), 5);
    EXPECT_EQ(fetch(context, buffer.data(), 5), values);
}

TEST_F(Cuda, OtherThreadsCreateHandlesWhileWorkIsRecorded) {
    CudaContext context;
    DeviceBuffer buffer(context, 8);
    std::atomic<bool> done = false, failed = false;
    std::thread other([&] {
        try {
            while (!done) {
                CudaContext another;
                another.cublas();
                another.cusolver();
            }
        } catch (const ResourceError&) {
            failed = true;
        }
    });
    for (int round = 0; round < 20; ++round) {
        CudaContext::Recording recording;
        int calls = 0;
        repeat(context, recording, 4, [&] {
            ++calls;
            for (int i = 0; i < 20; ++i) {
                copy(context, buffer.data(), buffer.data() + 4, 4);
                std::this_thread::yield();
            }
        });
        EXPECT_EQ(calls, 2);  // done once, recorded once
    }
    done = true;
    other.join();
    EXPECT_FALSE(failed);
}

TEST_F(Cuda, BuffersOfOtherThreadsDoNotEndInARecording) {
    CudaContext context;
    DeviceBuffer buffer(context, 1000);
    auto other = std::make_unique<DeviceBuffer>(context, 1000);
    CudaContext::Recording recording;
    std::thread thread;
    int calls = 0;
    repeat(context, recording, 2, [&] {
        copy(context, buffer.data(), buffer.data() + 500, 500);
        if (++calls < 2) return;
        thread = std::thread([&] { other.reset(); });  // while the work is recorded
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    });
    thread.join();
    repeat(context, recording, 10, [] {});  // a second free of the same memory would fail
    context.synchronize();
}

}  // namespace
}  // namespace espectra
