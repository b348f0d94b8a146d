#include "espectra/kernels/group/batches.hpp"

#include "emulation/run_group_kernels.hpp"

namespace espectra::test {

#define BATCH_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra::test
