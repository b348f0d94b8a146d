#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/dense.hpp"
#include "espectra/kernels/group/dense_tangent.hpp"

namespace espectra {

#define DENSE_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra
