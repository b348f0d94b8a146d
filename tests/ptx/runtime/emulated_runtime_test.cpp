// Tests of the emulated runtime itself: that it defers work, keeps the order of streams, and finds what a
// program does wrong with them.

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/stream_and_pool.hpp"
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

namespace espectra::ptx {
namespace {

/// A pool and pinned memory, released at the end of a test. All findings that a test makes have to be taken
/// by it.
class EmulatedRuntime : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&pinned_), bytes), cudaSuccess);
    }
    void TearDown() override {
        EXPECT_EQ(cudaFreeHost(pinned_), cudaSuccess);
        EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    }

    double* allocate(cudaStream_t stream) const {
        return static_cast<double*>(pool_.allocate(bytes, stream));
    }
    static void free(void* memory, cudaStream_t stream) {
        EXPECT_EQ(cudaFreeAsync(memory, stream), cudaSuccess);
    }
    static void copy(void* target, const void* source, cudaStream_t stream) {
        EXPECT_EQ(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDefault, stream), cudaSuccess);
    }
    static std::vector<double> counted(double first) {
        std::vector<double> values(count);
        std::iota(values.begin(), values.end(), first);
        return values;
    }
    std::vector<double> pinned() const { return {pinned_, pinned_ + count}; }

    static constexpr std::size_t count = 100, bytes = count * sizeof(double);
    const Pool pool_;
    double* pinned_ = nullptr;
};

std::size_t findings(Fault fault) { return espectra_emulated_take_findings(fault); }

TEST_F(EmulatedRuntime, WritesPinnedMemoryWhenItIsWaitedFor) {
    const Stream stream;
    double* memory = allocate(stream);
    copy(memory, counted(1).data(), stream);
    std::iota(pinned_, pinned_ + count, 500.0);
    copy(pinned_, memory, stream);
    EXPECT_NE(pinned(), counted(1));
    EXPECT_NE(pinned(), counted(500));  // nor what was there before
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(pinned(), counted(1));
    free(memory, stream);
}

TEST_F(EmulatedRuntime, ReadsPinnedMemoryWhenTheWorkIsDone) {
    const Stream stream;
    double* memory = allocate(stream);
    std::iota(pinned_, pinned_ + count, 1.0);
    copy(memory, pinned_, stream);
    std::iota(pinned_, pinned_ + count, 7.0);
    std::vector<double> values(count);
    copy(values.data(), memory, stream);  // pageable: returns when it is done
    EXPECT_EQ(values, counted(7));
    free(memory, stream);
}

TEST_F(EmulatedRuntime, TakesPageableMemoryAtOnce) {
    const Stream stream;
    double* memory = allocate(stream);
    std::vector<double> values = counted(1);
    copy(memory, values.data(), stream);
    values.assign(count, 0);
    copy(values.data(), memory, stream);
    EXPECT_EQ(values, counted(1));
    free(memory, stream);
}

TEST_F(EmulatedRuntime, DoesTheWorkOfOneStreamInOrder) {
    const Stream stream;
    double *first = allocate(stream), *second = allocate(stream);
    copy(first, counted(1).data(), stream);
    copy(second, first, stream);
    ASSERT_EQ(cudaMemsetAsync(first, 0, bytes, stream), cudaSuccess);
    copy(pinned_, second, stream);
    free(first, stream);
    free(second, stream);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(pinned(), counted(1));
}

TEST_F(EmulatedRuntime, EventsOrderStreams) {
    const Stream owner, reader;
    cudaEvent_t written = nullptr, read = nullptr;
    ASSERT_EQ(cudaEventCreateWithFlags(&written, cudaEventDisableTiming), cudaSuccess);
    ASSERT_EQ(cudaEventCreateWithFlags(&read, cudaEventDisableTiming), cudaSuccess);
    double* memory = allocate(owner);
    copy(memory, counted(1).data(), owner);
    ASSERT_EQ(cudaEventRecord(written, owner), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(reader, written, 0), cudaSuccess);
    copy(pinned_, memory, reader);
    ASSERT_EQ(cudaEventRecord(read, reader), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(owner, read, 0), cudaSuccess);
    free(memory, owner);
    ASSERT_EQ(cudaEventSynchronize(read), cudaSuccess);
    EXPECT_EQ(pinned(), counted(1));
    ASSERT_EQ(cudaEventDestroy(written), cudaSuccess);
    ASSERT_EQ(cudaEventDestroy(read), cudaSuccess);
}

TEST_F(EmulatedRuntime, FindsAWriteThatIsNotOrderedBeforeARead) {
    const Stream owner, reader;
    double* memory = allocate(owner);
    copy(memory, counted(1).data(), owner);
    ASSERT_EQ(cudaStreamSynchronize(owner), cudaSuccess);
    copy(memory, counted(2).data(), owner);
    copy(pinned_, memory, reader);
    ASSERT_EQ(cudaStreamSynchronize(reader), cudaSuccess);
    EXPECT_EQ(pinned(), counted(1));  // what the owner has not been waited for is not there
    ASSERT_EQ(cudaStreamSynchronize(owner), cudaSuccess);
    EXPECT_EQ(findings(Fault::stream_order), 1u);
    free(memory, owner);
}

TEST_F(EmulatedRuntime, FindsAUseThatIsNotOrderedAfterTheAllocation) {
    const Stream owner, other;
    double* memory = allocate(owner);
    copy(memory, counted(1).data(), other);
    ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
    EXPECT_EQ(findings(Fault::stream_order), 1u);
    free(memory, owner);
    ASSERT_EQ(cudaStreamSynchronize(owner), cudaSuccess);
    EXPECT_EQ(findings(Fault::stream_order), 0u);  // the host has waited for the use
}

TEST_F(EmulatedRuntime, FindsAnEndThatIsNotOrderedAfterAUse) {
    const Stream owner, other;
    double* memory = allocate(owner);
    copy(memory, counted(1).data(), owner);
    ASSERT_EQ(cudaStreamSynchronize(owner), cudaSuccess);
    copy(pinned_, memory, other);
    free(memory, owner);
    ASSERT_EQ(cudaStreamSynchronize(owner), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
    EXPECT_EQ(findings(Fault::freed_memory), 1u);

    memory = allocate(owner);
    copy(memory, counted(1).data(), owner);
    cudaEvent_t done = nullptr;
    ASSERT_EQ(cudaEventCreate(&done), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(done, owner), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(other, done, 0), cudaSuccess);
    copy(pinned_, memory, other);
    const Stream third;
    cudaEvent_t copied = nullptr;
    ASSERT_EQ(cudaEventCreate(&copied), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(copied, other), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(third, copied, 0), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(third), cudaSuccess);  // orders the host after the copy
    free(memory, owner);
    ASSERT_EQ(cudaStreamSynchronize(owner), cudaSuccess);
    EXPECT_EQ(findings(Fault::stream_order), 0u);
    ASSERT_EQ(cudaEventDestroy(done), cudaSuccess);
    ASSERT_EQ(cudaEventDestroy(copied), cudaSuccess);
}

TEST_F(EmulatedRuntime, MemoryThatIsAllocatedAgainIsUninitialised) {
    const Stream stream;
    double* memory = allocate(stream);
    ASSERT_EQ(cudaMemsetAsync(memory, 0, bytes, stream), cudaSuccess);
    free(memory, stream);
    double* again = allocate(stream);
    EXPECT_EQ(again, memory);
    copy(pinned_, again, stream);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(findings(Fault::uninitialized_memory), 1u);
    EXPECT_NE(pinned()[0], 0);
    free(again, stream);
}

TEST_F(EmulatedRuntime, FindsPinnedMemoryThatIsFreedTooEarly) {
    const Stream stream;
    double* memory = allocate(stream);
    copy(memory, counted(1).data(), stream);
    void* early = nullptr;
    ASSERT_EQ(cudaMallocHost(&early, bytes), cudaSuccess);
    copy(early, memory, stream);
    ASSERT_EQ(cudaFreeHost(early), cudaSuccess);
    EXPECT_EQ(findings(Fault::stream_order), 1u);
    free(memory, stream);
}

TEST_F(EmulatedRuntime, AGraphRepeatsWhatWasCaptured) {
    const Stream stream;
    double* memory = allocate(stream);
    copy(memory, counted(1).data(), stream);
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    double* temporary = allocate(stream);
    copy(temporary, memory, stream);
    ASSERT_EQ(cudaMemcpyAsync(memory, temporary + 1, bytes - sizeof(double), cudaMemcpyDefault, stream),
              cudaSuccess);
    free(temporary, stream);
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    cudaGraphExec_t executable = nullptr;
    ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    for (int launch = 0; launch < 3; ++launch) ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
    ASSERT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);  // what was launched is done nevertheless
    copy(pinned_, memory, stream);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(pinned_[0], 4);
    EXPECT_EQ(pinned_[count - 4], count);
    EXPECT_EQ(pinned_[count - 1], count);
    free(memory, stream);
}

TEST_F(EmulatedRuntime, ACaptureTakesNoPageableMemory) {
    const Stream stream;
    double* memory = allocate(stream);
    std::vector<double> values(count);
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(cudaMemcpyAsync(memory, values.data(), bytes, cudaMemcpyDefault, stream),
              cudaErrorStreamCaptureUnsupported);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(cudaGetLastError(), cudaErrorStreamCaptureInvalidated);
    free(memory, stream);
}

TEST_F(EmulatedRuntime, EventsMeasureOnlyWhatIsDone) {
    const Stream stream;
    cudaEvent_t begin = nullptr, end = nullptr;
    ASSERT_EQ(cudaEventCreate(&begin), cudaSuccess);
    ASSERT_EQ(cudaEventCreate(&end), cudaSuccess);
    float milliseconds = -1;
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorInvalidResourceHandle);
    ASSERT_EQ(cudaEventRecord(begin, stream), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(end, stream), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorNotReady);
    EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
    ASSERT_EQ(cudaEventSynchronize(end), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaSuccess);
    EXPECT_GE(milliseconds, 0);
    ASSERT_EQ(cudaEventDestroy(begin), cudaSuccess);
    ASSERT_EQ(cudaEventDestroy(end), cudaSuccess);
}

// Runs a second time with ESPECTRA_EMULATED_MEMORY, see CMakeLists.txt.
TEST_F(EmulatedRuntime, HasTheMemoryOfItsOptions) {
    const char* set = std::getenv("ESPECTRA_EMULATED_MEMORY");
    const Stream stream;
    std::size_t before = 0, after = 0, total = 0;
    ASSERT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
    EXPECT_EQ(total, set ? std::stoull(set) : std::size_t{1} << 36);
    double* memory = allocate(stream);
    ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
    EXPECT_EQ(after, before - bytes);
    void* too_much = nullptr;
    EXPECT_EQ(cudaMallocFromPoolAsync(&too_much, after + 1, pool_, stream), cudaErrorMemoryAllocation);
    EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
    free(memory, stream);
}

TEST_F(EmulatedRuntime, RefusesCopiesInAWrongDirection) {
    const Stream stream;
    double* memory = allocate(stream);
    std::vector<double> values(count);
    EXPECT_EQ(cudaMemcpyAsync(memory, values.data(), bytes, cudaMemcpyDeviceToHost, stream),
              cudaErrorInvalidMemcpyDirection);
    EXPECT_EQ(cudaMemcpy2DAsync(memory, 8, values.data(), 8, 16, 2, cudaMemcpyDefault, stream),
              cudaErrorInvalidPitchValue);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidPitchValue);
    free(memory, stream);
}

}  // namespace
}  // namespace espectra::ptx
