#include "espectra/kernels/cuda/index_lists.hpp"
#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/matrix.hpp"

namespace espectra {

#define MATRIX_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra
