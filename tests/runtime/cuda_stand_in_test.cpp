// Tests of runtime/cuda that only the emulated device can make, since it counts resources. Those of
// cuda_runtime_test.cpp run on it too.

#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/device.hpp"
#include "espectra/runtime/cuda/launch.hpp"
#include "espectra/runtime/cuda/launched_kernels.hpp"
#include "espectra/runtime/error.hpp"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "ptx/runtime/inspection.hpp"
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

extern "C" void __cudaRegisterFunction(void**, const char*, char*, const char*, int, uint3*, uint3*, dim3*,
                                       dim3*, int*);

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
    EXPECT_EQ(cuda_devices().front().description(), "emulated device 9.0, 68.7 GB");
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

/// Waits for the device in another thread, which ends all captures here.
void disturb_recordings() {
    std::thread([] { EXPECT_NE(cudaDeviceSynchronize(), cudaSuccess); }).join();
}

TEST_F(StandIn, RecordsWorkAgainAfterARecordingWasDisturbed) {
    for (const int disturbances : {1, 3}) {
        CudaContext context;
        CudaContext::Recording recording;
        DeviceBuffer ring(context, 5);
        const std::vector<double> values{1, 2, 3, 4, 5};
        copy(context, values.data(), ring.data(), 5);
        const long before = espectra_emulated_counts().launches;
        int calls = 0, disturbed = 0;
        repeat(context, recording, 12, [&] {
            ++calls;
            DeviceBuffer last(context, 5);
            copy(context, ring.data(), last.data(), 5);
            if (context.capturing() && disturbed < disturbances) {
                ++disturbed;
                disturb_recordings();
            }
            copy(context, last.data(), ring.data() + 1, 4);
            copy(context, last.data() + 4, ring.data(), 1);
        });
        EXPECT_EQ(fetch(context, ring.data(), 5), (std::vector<double>{4, 5, 1, 2, 3})) << disturbances;
        // Done once at first, then twice for each disturbance, once in vain, and recorded once.
        EXPECT_EQ(calls, 2 + 2 * disturbances);
        EXPECT_EQ(espectra_emulated_counts().launches - before, 12 - 1 - disturbances);
        EXPECT_EQ(espectra_emulated_counts().memory, 1);
    }
}

TEST_F(StandIn, WorkThatEndsItsOwnRecordingThrowsAtTheSecond) {
    CudaContext context;
    CudaContext::Recording recording;
    int calls = 0;
    const auto wait = [&] {
        ++calls;
        context.synchronize();
    };
    repeat(context, recording, 2, wait);
    EXPECT_EQ(calls, 3);  // the first time, the recording, and directly
    EXPECT_THROW(repeat(context, recording, 1, wait), ResourceError);
    EXPECT_EQ(calls, 4);
}

TEST_F(StandIn, GivesBackTheMemoryOfAGraph) {
    constexpr std::size_t bytes = 1000 * sizeof(double);
    const auto used = [all = device_memory(0).free] { return all - device_memory(0).free; };
    CudaContext context;
    DeviceBuffer buffer(context, 1000);
    EXPECT_EQ(used(), bytes);
    espectra_emulated_take_peak_bytes();
    {
        CudaContext::Recording recording;
        repeat(context, recording, 3, [&] {
            for (const Index count : {500, 1000}) {  // one after the other, in the same memory
                DeviceBuffer temporary(context, count);
                copy(context, buffer.data(), temporary.data(), count);
            }
        });
        context.synchronize();
        EXPECT_EQ(used(), 3 * bytes);  // the buffer, what the pool keeps since the first time, and the graph
    }
    EXPECT_EQ(used(), 2 * bytes);
    EXPECT_EQ(espectra_emulated_take_peak_bytes(), 3 * bytes);
    EXPECT_EQ(espectra_emulated_take_peak_bytes(), 2 * bytes);
}

/// Text of the error that a call throws.
template <class Call>
std::string error_of(Call&& call) {
    try {
        call();
    } catch (const ResourceError& error) {
        return error.what();
    }
    return {};
}

constexpr LaunchShape example{"example", 12, 256, 65'536};
const std::string example_text =
    "example, grid of 12 blocks of 256 threads with 65536 bytes of shared memory: ";

TEST_F(StandIn, ErrorsOfLaunchesNameTheKernel) {
    CudaContext context;
    EXPECT_EQ(error_of([&] { check_launch(context, example); }), "");
    EXPECT_NE(cudaSetDevice(99), cudaSuccess);  // leaves an error, as a refused launch does
    const std::string refused = error_of([&] { check_launch(context, example); });
    EXPECT_TRUE(refused.starts_with("launch of " + example_text + "CUDA: cudaErrorInvalidDevice: "))
        << refused;
    EXPECT_EQ(error_of([&] { check_launch(context, example); }), "");  // the error does not remain
}

TEST_F(StandIn, AFaultOfAKernelShowsAtALaterCall) {
    CudaContext context;
    espectra_emulated_set_fault(cudaErrorIllegalAddress);
    check_launch(context, example);  // does not wait
    const std::string later = error_of([&] { context.synchronize(); });
    EXPECT_TRUE(later.ends_with("ESPECTRA_CUDA_CHECK=1 names its kernel")) << later;
    espectra_emulated_set_fault(cudaSuccess);
}

/// Ends the process and prints what a call throws. Switches are read once, so that each value needs a
/// process.
template <class Call>
[[noreturn]] void exit_with_error_of(const char* variable, const char* value, Call&& call) {
    setenv(variable, value, 1);
    std::string text = "nothing thrown";
    try {
        call();
    } catch (const Error& error) {
        text = error.what();
    }
    std::fprintf(stderr, "%s\n", text.c_str());
    std::_Exit(0);
}

class SwitchDeathTest : public StandIn {
  protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(SwitchDeathTest, CheckedLaunchesWaitForTheKernel) {
    const auto launch_after_fault = [] {
        CudaContext context;
        espectra_emulated_set_fault(cudaErrorIllegalAddress);
        check_launch(context, example);
    };
    const auto exits = ::testing::ExitedWithCode(0);
    EXPECT_EXIT(exit_with_error_of("ESPECTRA_CUDA_CHECK", "1", launch_after_fault), exits,
                "kernel " + example_text + "CUDA: cudaErrorIllegalAddress: ");
    EXPECT_EXIT(exit_with_error_of("ESPECTRA_CUDA_CHECK", "0", launch_after_fault), exits, "nothing thrown");
    EXPECT_EXIT(exit_with_error_of("ESPECTRA_CUDA_CHECK", "yes", launch_after_fault), exits,
                "ESPECTRA_CUDA_CHECK=yes: expected 0 or 1");
}

TEST_F(SwitchDeathTest, CheckedLaunchesDoNotWaitInARecording) {
    const auto record = [] {
        CudaContext context;
        CudaContext::Recording recording;
        int calls = 0;
        repeat(context, recording, 3, [&] {
            ++calls;
            check_launch(context, example);
        });
        if (calls != 2) throw ResourceError("not recorded");
    };
    EXPECT_EXIT(exit_with_error_of("ESPECTRA_CUDA_CHECK", "1", record), ::testing::ExitedWithCode(0),
                "nothing thrown");
}

using Devices = std::vector<ptx::EmulatedDevice>;

/// The devices of the machine until the end of a scope.
class WithDevices {
  public:
    explicit WithDevices(const Devices& devices) {
        espectra_emulated_set_devices(devices.data(), static_cast<int>(devices.size()));
    }
    ~WithDevices() { espectra_emulated_set_devices(nullptr, 0); }
    WithDevices(const WithDevices&) = delete;
    WithDevices& operator=(const WithDevices&) = delete;
};

TEST_F(SwitchDeathTest, ProductsAreChosen) {
    const auto chosen = [](int major, int minor) {
        return [=] {
            const WithDevices devices({{.major = major, .minor = minor}});
            throw ResourceError(tensor_core_products(0) ? "tensor cores" : "multiply-adds");
        };
    };
    const auto exits = ::testing::ExitedWithCode(0);
    constexpr const char* variable = "ESPECTRA_PRODUCTS";
    for (const auto& [value, major, minor, expected] :
         {std::tuple{"", 9, 0, "tensor cores"}, std::tuple{"", 8, 6, "multiply-adds"},
          std::tuple{"", 12, 0, "multiply-adds"}, std::tuple{"fma", 9, 0, "multiply-adds"},
          std::tuple{"tensor", 8, 6, "tensor cores"},
          std::tuple{"tensor", 7, 5,
                     "ESPECTRA_PRODUCTS=tensor: device 0 has no tensor cores for float64 .compute capability "
                     "7.5, they begin with 8.0."},
          std::tuple{"dp4a", 9, 0, "ESPECTRA_PRODUCTS=dp4a: expected fma or tensor"}})
        EXPECT_EXIT(exit_with_error_of(variable, value, chosen(major, minor)), exits, expected) << value;
}

TEST_F(StandIn, TheFirstDeviceThatCanBeUsedIsChosen) {
    using enum ptx::EmulatedDevice::Use;
    const WithDevices devices(
        {{.major = 7, .minor = 5}, {.use = in_exclusive_use}, {.use = prohibited}, {}, {}});
    EXPECT_EQ(cuda_devices().size(), 5u);
    EXPECT_EQ(espectra_emulated_contexts(), 0u);
    const CudaDeviceChoice choice = choose_cuda_device();
    ASSERT_TRUE(choice.device);
    EXPECT_EQ(choice.device->index, 3);
    EXPECT_EQ(choice.problem, "");
    EXPECT_EQ(cuda_problem(), "");
    EXPECT_EQ(espectra_emulated_contexts(), 1u << 3);  // none on the last
    ASSERT_EQ(choice.skipped.size(), 3u);
    EXPECT_TRUE(choice.skipped[0].starts_with("device 0: ") &&
                choice.skipped[0].ends_with("has compute capability 7.5, this program needs 8.0"))
        << choice.skipped[0];
    EXPECT_NE(choice.skipped[1].find("cudaErrorDevicesUnavailable"), std::string::npos) << choice.skipped[1];
    EXPECT_TRUE(choice.skipped[2].starts_with("device 2: ") &&
                choice.skipped[2].find("closed to computing") != std::string::npos)
        << choice.skipped[2];
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    const CudaContext context(choice.device->index);
    EXPECT_EQ(context.device(), 3);
}

TEST_F(StandIn, NoDeviceCanBeUsed) {
    using enum ptx::EmulatedDevice::Use;
    const WithDevices devices({{.use = in_exclusive_use}, {.use = prohibited}});
    EXPECT_FALSE(choose_cuda_device().device);
    const std::string problem = cuda_problem();
    EXPECT_TRUE(problem.starts_with("no device: ")) << problem;
    EXPECT_NE(problem.find("cudaErrorDevicesUnavailable"), std::string::npos) << problem;
    EXPECT_NE(problem.find("closed to computing"), std::string::npos) << problem;
    EXPECT_EQ(problem.find('\n'), std::string::npos) << problem;
}

TEST_F(StandIn, AttributesOfAKernelAreSetOnce) {
    static const char function = 0;
    __cudaRegisterFunction(nullptr, &function, nullptr, "example", 0, nullptr, nullptr, nullptr, nullptr,
                           nullptr);
    CudaContext context;
    const auto calls_of = [](KernelAttributes& attributes, std::size_t bytes) {
        const long before = espectra_emulated_counts().attributes;
        attributes.prepare(0, {"example", 1, 32, bytes});
        return espectra_emulated_counts().attributes - before;
    };
    KernelAttributes plain(&function, false), shared(&function, true);
    EXPECT_EQ(calls_of(plain, 48 * 1024), 0);
    EXPECT_EQ(calls_of(plain, 100'000), 1);
    EXPECT_EQ(calls_of(plain, 60'000), 0);  // the largest counts
    EXPECT_EQ(calls_of(plain, 100'000), 0);
    EXPECT_EQ(calls_of(plain, 110'000), 1);
    EXPECT_EQ(calls_of(shared, 0), 1);
    EXPECT_EQ(calls_of(shared, 100'000), 1);
    EXPECT_EQ(calls_of(shared, 100'000), 0);
    const std::string refused = error_of([&] { plain.prepare(0, {"example", 3, 32, 1 << 20}); });
    EXPECT_TRUE(refused.starts_with("launch of example, grid of 3 blocks of 32 threads with 1048576 bytes"))
        << refused;
    cudaGetLastError();
    EXPECT_EQ(calls_of(plain, 110'000), 0);
}

TEST_F(StandIn, LaunchesAreNoted) {
    static const char function = 0;
    __cudaRegisterFunction(nullptr, &function, nullptr, "noted", 0, nullptr, nullptr, nullptr, nullptr,
                           nullptr);
    CudaContext context;
    KernelAttributes attributes(&function, false);
    attributes.prepare(0, {"before", 1, 32, 8});
    const std::size_t before = noted_launches().size();
    note_launches();
    attributes.prepare(0, {"operation", 2, 32, 100});
    attributes.prepare(0, {"operation", 9, 32, 60});
    const std::vector<LaunchedKernel> notes = noted_launches();
    ASSERT_EQ(notes.size(), before + 1);
    EXPECT_EQ(notes.back().function, &function);
    EXPECT_STREQ(notes.back().operation, "operation");
    EXPECT_EQ(notes.back().threads, 32);
    EXPECT_EQ(notes.back().shared_bytes, 100u);
    EXPECT_EQ(notes.back().blocks, 9);
}

TEST_F(StandIn, ThreadsShareTheAttributesOfAKernel) {
    static const char function = 0;
    __cudaRegisterFunction(nullptr, &function, nullptr, "shared", 0, nullptr, nullptr, nullptr, nullptr,
                           nullptr);
    KernelAttributes attributes(&function, false);
    std::vector<std::thread> threads;
    const long before = espectra_emulated_counts().attributes;
    for (std::size_t thread = 0; thread < 4; ++thread)
        threads.emplace_back([&, thread] {
            for (std::size_t i = 0; i < 1000; ++i)
                attributes.prepare(0, {"shared", 1, 32, 50'000 + (i * 4 + thread) % 16});
        });
    for (std::thread& thread : threads) thread.join();
    const long calls = espectra_emulated_counts().attributes - before;
    EXPECT_GE(calls, 1);
    EXPECT_LE(calls, 16);  // only ever more
}

}  // namespace
}  // namespace espectra
