#include "espectra/kernels/group/fused_training.hpp"

#include "emulation/run_group_kernels.hpp"

namespace espectra::test {

#define FUSED_TRAINING_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

bool fused_training_fits(EmulatedContext& context, const NetworkView& network, Index replicas,
                         Index examples) {
    return group::fused_training_fits(context, network, replicas, examples);
}

}  // namespace espectra::test
