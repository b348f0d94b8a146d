#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/fused_spectrum.hpp"

namespace espectra {

void fused_spectrum(CudaContext& context, const FusedSpectrum<Space::device>& arguments) {
    group::fused_spectrum(context, arguments);
}

bool fused_spectrum_fits(const CudaContext& /*context*/, const Layer* layers, Index count) {
    return count <= fused_spectrum_layers &&
           group::fused_spectrum_layout(layers, static_cast<int>(count)).chunk > 0;
}

}  // namespace espectra
