#pragma once

#include "espectra/kernels/group/group.hpp"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/device.hpp"
#include "espectra/runtime/cuda/launch.hpp"
#include "espectra/runtime/cuda/range.hpp"
#include "espectra/runtime/error.hpp"

#include <climits>

namespace espectra {

/// The threads of a CUDA block. Their number is a constant, so that loops over items are unrolled.
template <int Threads>
struct CudaBlock {
    __host__ __device__ static int rank() {
#ifdef __CUDA_ARCH__
        return static_cast<int>(threadIdx.x);
#else
        return 0;
#endif
    }
    __host__ __device__ static constexpr int size() { return Threads; }
    __host__ __device__ static void sync() {
#ifdef __CUDA_ARCH__
        __syncthreads();
#endif
    }

    /// c += a·b for fragments of 16 × 4 times 4 × 8 held by a warp, on FP64 tensor cores; the layout is that
    /// of PTX's mma.m16n8k4 for f64, which consists of two m8n8k4.
    __host__ __device__ static void multiply_accumulate(double (&c)[4], double a0, double a1, double b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
        asm("mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
            : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
            : "d"(a0), "d"(a1), "d"(b));
#elif defined(__CUDA_ARCH__)
        asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
            : "+d"(c[0]), "+d"(c[1])
            : "d"(a0), "d"(b));
        asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
            : "+d"(c[2]), "+d"(c[3])
            : "d"(a1), "d"(b));
#endif
    }
};

/// Returns true if products run on FP64 tensor cores.
inline bool tensor_cores(const CudaContext& context) { return tensor_core_products(context.device()); }

/// Returns the bytes of shared memory that a block can have.
inline std::size_t most_shared_bytes(const CudaContext& context) {
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, context.device()));
    return static_cast<std::size_t>(bytes);
}

/// Blocks of a multiprocessor that a kernel is compiled for: K::blocks_per_multiprocessor, or 1.
template <class K>
constexpr int minimum_blocks() {
    if constexpr (requires { K::blocks_per_multiprocessor; })
        return K::blocks_per_multiprocessor;
    else
        return 1;
}

/// Runs one group kernel. Its name has the number of threads, for tests/kernels/kernel_resources_test.cpp.
template <class K, int threads = K::threads>
__global__ void __launch_bounds__(threads, minimum_blocks<K>())
    block_kernel(const __grid_constant__ K kernel) {
    extern __shared__ double shared[];
    kernel(CudaBlock<K::threads>{}, static_cast<Index>(blockIdx.x), shared);
}

/// Launches a group kernel on the context's stream. Throws ResourceError that names the kernel if the device
/// refuses it; see check_launch().
template <GroupKernel K>
void launch(CudaContext& context, const K& kernel) {
    static KernelAttributes attributes(
        reinterpret_cast<const void*>(block_kernel<K>), requires { K::prefers_shared_memory; });
    const LaunchShape shape{K::name, kernel.blocks(), K::threads, kernel.shared_doubles() * sizeof(double)};
    if (shape.blocks == 0) return;
    const NvtxRange range(K::name);
    if (shape.blocks > INT_MAX)
        throw ResourceError(std::string(K::name) + ": more than 2147483647 blocks in one launch");
    const auto stream = static_cast<cudaStream_t>(context.stream());
    attributes.prepare(context.device(), shape);
    block_kernel<K><<<static_cast<unsigned>(shape.blocks), K::threads, shape.shared_bytes, stream>>>(kernel);
    check_launch(context, shape);
}

/// For operations.def: defines the CUDA backend's overload of an operation by group::name, in whose launches
/// the context chooses the function launch() above.
#define ESPECTRA_RUN_GROUP_KERNELS(name, Arguments)                              \
    void name(CudaContext& context, const Arguments<Space::device>& arguments) { \
        group::name(context, arguments);                                         \
    }

}  // namespace espectra
