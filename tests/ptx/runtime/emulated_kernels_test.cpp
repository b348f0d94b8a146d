// Tests of launches on the emulated device: a kernel written in PTX here, registered as nvcc's code does it.

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/stream_and_pool.hpp"
#include "support/temporary_folder.hpp"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

extern "C" void __cudaRegisterFunction(void**, const char*, char*, const char*, int, uint3*, uint3*, dim3*,
                                       dim3*, int*);

namespace espectra::ptx {
namespace {

/// Computes numbers[i] = value · i in thread i of all blocks, if i < count.
constexpr const char* scale = R"(.version 9.0
.target sm_90
.address_size 64

.visible .entry scale(
	.param .align 8 .b8 scale_param_0[24]
)
.maxntid 64
{
	.reg .pred 	%p<2>;
	.reg .b32 	%r<5>;
	.reg .f64 	%fd<4>;
	.reg .b64 	%rd<7>;

	ld.param.u64 	%rd1, [scale_param_0];
	ld.param.f64 	%fd1, [scale_param_0+8];
	ld.param.u32 	%r1, [scale_param_0+16];
	mov.u32 	%r2, %ctaid.x;
	mov.u32 	%r3, %tid.x;
	mad.lo.s32 	%r4, %r2, 64, %r3;
	setp.ge.s32 	%p1, %r4, %r1;
	@%p1 bra 	$L__BB0_2;
	cvta.to.global.u64 	%rd2, %rd1;
	mul.wide.s32 	%rd3, %r4, 8;
	add.s64 	%rd4, %rd2, %rd3;
	cvt.rn.f64.s32 	%fd2, %r4;
	mul.rn.f64 	%fd3, %fd1, %fd2;
	st.global.f64 	[%rd4], %fd3;
$L__BB0_2:
	ret;
}
)";

struct Arguments {
    double* numbers;
    double value;
    int count;
};

char host_function, unknown_function;  // their addresses name the kernels

class EmulatedKernels : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        static const test::TemporaryFolder folder;
        std::filesystem::create_directory(folder / "90");
        std::ofstream(folder / "90" / "scale.ptx") << scale;
        ::setenv("ESPECTRA_PTX", (folder / "").c_str(), 1);
        __cudaRegisterFunction(nullptr, &host_function, nullptr, "scale", -1, nullptr, nullptr, nullptr,
                               nullptr, nullptr);
        __cudaRegisterFunction(nullptr, &unknown_function, nullptr, "other", -1, nullptr, nullptr, nullptr,
                               nullptr, nullptr);
    }

    void SetUp() override {
        numbers_ = static_cast<double*>(pool_.allocate(100 * sizeof(double), stream_));
        ASSERT_NE(numbers_, nullptr);
    }
    void TearDown() override { EXPECT_EQ(cudaFreeAsync(numbers_, stream_), cudaSuccess); }

    cudaError_t launch(unsigned blocks, unsigned threads, std::size_t shared = 0, int count = 100,
                       const void* function = &host_function) {
        Arguments arguments{numbers_, 3, count};
        void* pointers[] = {&arguments};
        return cudaLaunchKernel(function, dim3(blocks), dim3(threads), pointers, shared, stream_);
    }

    const Stream stream_;
    const Pool pool_;
    double* numbers_ = nullptr;
};

TEST_F(EmulatedKernels, AreExecutedInStreamOrder) {
    ASSERT_EQ(launch(2, 64), cudaSuccess);
    std::vector<double> values(100);
    ASSERT_EQ(cudaMemcpyAsync(values.data(), numbers_, 100 * sizeof(double), cudaMemcpyDefault, stream_),
              cudaSuccess);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], 3 * i);
}

TEST_F(EmulatedKernels, WritesPastTheEndAreFound) {
    ASSERT_EQ(launch(2, 64, 0, 101), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    EXPECT_EQ(espectra_emulated_take_findings(Fault::out_of_bounds), 1u);
}

TEST_F(EmulatedKernels, LaunchesAreRefusedAsByTheRuntime) {
    EXPECT_EQ(launch(0, 64), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_EQ(launch(0x80000000u, 64), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch(1, 0), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch(1, 1025), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launch(1, 65), cudaErrorInvalidValue);  // compiled for 64
    EXPECT_EQ(launch(1, 64, 0, 100, &unknown_function), cudaErrorInvalidDeviceFunction);
    EXPECT_EQ(launch(1, 64, 0, 100, this), cudaErrorInvalidDeviceFunction);
    cudaGetLastError();
}

TEST_F(EmulatedKernels, SharedMemoryHasToBeAskedFor) {
    constexpr auto most = cudaFuncAttributeMaxDynamicSharedMemorySize;
    EXPECT_EQ(launch(1, 64, 48 * 1024), cudaSuccess);
    EXPECT_EQ(launch(1, 64, 48 * 1024 + 8), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFuncSetAttribute(&host_function, most, 227 * 1024 + 8), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFuncSetAttribute(&host_function, most, 227 * 1024), cudaSuccess);
    EXPECT_EQ(launch(1, 64, 227 * 1024), cudaSuccess);
    EXPECT_EQ(launch(1, 64, 227 * 1024 + 8), cudaErrorInvalidValue);
    cudaGetLastError();
}

TEST_F(EmulatedKernels, SayWhatTheyMayUse) {
    cudaFuncAttributes attributes;
    ASSERT_EQ(cudaFuncSetAttribute(&host_function, cudaFuncAttributeMaxDynamicSharedMemorySize, 100'000),
              cudaSuccess);
    ASSERT_EQ(cudaFuncGetAttributes(&attributes, &host_function), cudaSuccess);
    EXPECT_EQ(attributes.maxThreadsPerBlock, 64);
    EXPECT_EQ(attributes.maxDynamicSharedSizeBytes, 100'000);
    EXPECT_EQ(attributes.ptxVersion, 90);
    const char* name = nullptr;
    ASSERT_EQ(cudaFuncGetName(&name, &host_function), cudaSuccess);
    EXPECT_STREQ(name, "scale");
    EXPECT_EQ(cudaFuncGetAttributes(&attributes, &unknown_function), cudaErrorInvalidDeviceFunction);
    EXPECT_EQ(cudaFuncGetAttributes(&attributes, this), cudaErrorInvalidDeviceFunction);
    cudaGetLastError();
}

TEST_F(EmulatedKernels, OccupancyIsLimitedByBlocksThreadsAndSharedMemory) {
    const auto blocks = [](int threads, std::size_t shared) {
        int count = -1;
        EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&count, &host_function, threads, shared),
                  cudaSuccess);
        return count;
    };
    ASSERT_EQ(cudaFuncSetAttribute(&host_function, cudaFuncAttributeMaxDynamicSharedMemorySize, 100'000),
              cudaSuccess);
    // Compute capability 9.0: 32 blocks, 2048 threads, 233472 bytes, of which each block takes 1024 more.
    EXPECT_EQ(blocks(32, 0), 32);
    EXPECT_EQ(blocks(64, 0), 32);
    EXPECT_EQ(blocks(33, 0), 32);  // as 64
    EXPECT_EQ(blocks(64, 233'472 / 8 - 1024), 8);
    EXPECT_EQ(blocks(64, 233'472 / 8 - 1023), 7);
    EXPECT_EQ(blocks(64, 100'001), 0);  // has to be asked for
    EXPECT_EQ(blocks(65, 0), 0);        // compiled for 64
    int count = 0;
    EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&count, &host_function, 0, 0),
              cudaErrorInvalidValue);
    EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&count, this, 64, 0),
              cudaErrorInvalidDeviceFunction);
    cudaGetLastError();
}

}  // namespace
}  // namespace espectra::ptx
