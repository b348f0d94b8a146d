#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/fused_spectrum.hpp"

namespace espectra {

void small_spectrum(CudaContext& context, const SmallSpectrum<Space::device>& arguments) {
    group::small_spectrum(context, arguments);
}

bool small_spectrum_fits(const CudaContext& /*context*/, const Layer* layers, Index count) {
    return count <= most_small_layers &&
           group::small_spectrum_layout(layers, static_cast<int>(count)).chunk > 0;
}

}  // namespace espectra
