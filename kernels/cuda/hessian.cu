#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/hessian.hpp"

namespace espectra {

#define HESSIAN_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra
