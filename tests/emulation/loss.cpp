#include "espectra/kernels/group/loss.hpp"

#include "emulation/run_group_kernels.hpp"

namespace espectra::test {

#define LOSS_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra::test
