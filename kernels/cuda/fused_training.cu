#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/fused_training.hpp"

namespace espectra {

#define FUSED_TRAINING_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

bool fused_training_fits(CudaContext& context, const NetworkView& network, Index replicas, Index examples) {
    return group::fused_training_fits(context, network, replicas, examples);
}

}  // namespace espectra
