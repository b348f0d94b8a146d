#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/fused_spectrum.hpp"

namespace espectra {

void fused_spectrum(CudaContext& context, const FusedSpectrum<Space::device>& arguments) {
    group::fused_spectrum(context, arguments);
}

bool fused_spectrum_fits(const CudaContext& /*context*/, const NetworkView& network) {
    return group::fused_spectrum_fits(network);
}

}  // namespace espectra
