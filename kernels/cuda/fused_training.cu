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
    check(cudaFuncSetAttribute(block_kernel<group::FusedTrainingKernel<Space::device, Threads>>,
                               cudaFuncAttributePreferredSharedMemoryCarveout,
                               cudaSharedmemCarveoutMaxShared));
}

}  // namespace

void fused_training(CudaContext& context, const FusedTraining<Space::device>& arguments) {
    prefer_shared_memory<128>();
    prefer_shared_memory<512>();
    group::fused_training(context, arguments, shared_bytes(context));
}

bool fused_training_fits(CudaContext& context, const NetworkView& network, Index replicas, Index examples) {
    return group::fused_training_fits(network, replicas, examples, shared_bytes(context));
}

}  // namespace espectra
