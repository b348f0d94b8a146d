#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/optimizer.hpp"

namespace espectra {

#define OPTIMIZER_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra
