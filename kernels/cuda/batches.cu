#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/batches.hpp"

namespace espectra {

#define BATCH_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra
