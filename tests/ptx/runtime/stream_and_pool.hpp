#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstddef>

// A stream and a pool of the emulated device for its own tests.

namespace espectra::ptx {

class Stream {
  public:
    Stream() { EXPECT_EQ(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), cudaSuccess); }
    ~Stream() { EXPECT_EQ(cudaStreamDestroy(handle_), cudaSuccess); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    operator cudaStream_t() const { return handle_; }

  private:
    cudaStream_t handle_ = nullptr;
};

class Pool {
  public:
    Pool() {
        cudaMemPoolProps properties{};
        properties.allocType = cudaMemAllocationTypePinned;
        properties.location = {cudaMemLocationTypeDevice, 0};
        EXPECT_EQ(cudaMemPoolCreate(&handle_, &properties), cudaSuccess);
    }
    ~Pool() { EXPECT_EQ(cudaMemPoolDestroy(handle_), cudaSuccess); }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    operator cudaMemPool_t() const { return handle_; }

    void* allocate(std::size_t bytes, cudaStream_t stream) const {
        void* memory = nullptr;
        EXPECT_EQ(cudaMallocFromPoolAsync(&memory, bytes, handle_, stream), cudaSuccess);
        return memory;
    }

  private:
    cudaMemPool_t handle_ = nullptr;
};

}  // namespace espectra::ptx
