#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/loss.hpp"

namespace espectra {

#define LOSS_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra
