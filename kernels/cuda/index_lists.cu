// Index lists by Thrust, in a file of its own: its kernels are not this project's. Programs that run on the
// emulated device link another definition of make_lists_by_thrust (tests/ptx/runtime/emulated_lists.cpp).

#include "espectra/kernels/cuda/index_lists.hpp"
#include "espectra/kernels/cuda/thrust_lists.cuh"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/launch.hpp"
#include "espectra/runtime/cuda/range.hpp"

#include <thrust/execution_policy.h>
#include <thrust/system_error.h>

#include <string>

namespace espectra {

namespace {

/// The context's pool as an allocator of Thrust, which frees in the order of the stream.
struct PoolAllocator {
    using value_type = char;
    CudaContext* context;
    char* allocate(std::ptrdiff_t bytes) {
        return static_cast<char*>(context->allocate(static_cast<std::size_t>(bytes)));
    }
    void deallocate(char* memory, std::size_t /*bytes*/) { context->free(memory); }
};

template <class K>
void scan(CudaContext& context, const K& kernel) {
    const std::string name = std::string("thrust::exclusive_scan_by_key for ") + K::name;
    const NvtxRange range(name.c_str());
    PoolAllocator pool{&context};
    const auto stream = static_cast<cudaStream_t>(context.stream());
    try {
        scan_lists(thrust::cuda::par_nosync(pool).on(stream), kernel);
    } catch (const thrust::system_error& error) {
        throw CudaError(static_cast<cudaError_t>(error.code().value()), name + ": CUDA: " + error.what());
    }
    check_launch(context, {name.c_str(), 0, 0, 0});
}

}  // namespace

void make_lists_by_thrust(CudaContext& context, const DeviceLists& lists) {
    std::visit([&](const auto& kernel) { scan(context, kernel); }, lists);
}

}  // namespace espectra
