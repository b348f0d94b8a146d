#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/fused_training.hpp"

namespace espectra {

namespace {

/// Shared memory that a block may ask for.
std::size_t shared_bytes(const CudaContext& context) {
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, context.device()));
    return static_cast<std::size_t>(bytes);
}

/// As much of the L1 cache as possible becomes shared memory, for several blocks on a multiprocessor.
template <int Threads>
void prefer_shared_memory() {
    check(cudaFuncSetAttribute(block_kernel<group::SmallTrainingKernel<Space::device, Threads>>,
                               cudaFuncAttributePreferredSharedMemoryCarveout,
                               cudaSharedmemCarveoutMaxShared));
}

}  // namespace

void small_training(CudaContext& context, const SmallTraining<Space::device>& arguments) {
    prefer_shared_memory<128>();
    prefer_shared_memory<512>();
    group::small_training(context, arguments, shared_bytes(context));
}

bool small_training_fits(CudaContext& context, const SmallNetwork& network, Index replicas, Index examples) {
    return group::small_training_fits(network, replicas, examples, shared_bytes(context));
}

}  // namespace espectra
