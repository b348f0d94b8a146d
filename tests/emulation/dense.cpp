#include "espectra/kernels/group/dense.hpp"

#include "espectra/kernels/group/dense_tangent.hpp"

#include "emulation/run_group_kernels.hpp"

namespace espectra::test {

#define DENSE_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra::test
