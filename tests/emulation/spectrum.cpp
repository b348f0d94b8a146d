#include "espectra/kernels/group/spectrum.hpp"

#include "emulation/run_group_kernels.hpp"

namespace espectra::test {

#define SPECTRUM_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

}  // namespace espectra::test
