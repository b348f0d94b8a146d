#include "espectra/kernels/group/fused_spectrum.hpp"

#include "emulation/run_group_kernels.hpp"

namespace espectra::test {

#define FUSED_SPECTRUM_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

bool fused_spectrum_fits(const EmulatedContext& context, const NetworkView& network) {
    return context.fuses_spectra && group::fused_spectrum_fits(network);
}

}  // namespace espectra::test
