#include "espectra/kernels/group/matrix.hpp"

#include "emulation/run_group_kernels.hpp"

namespace espectra::test {

#define MATRIX_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra::test
