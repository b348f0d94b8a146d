#include "espectra/kernels/block/small_spectrum.hpp"
#include "espectra/kernels/cuda/launch.cuh"

namespace espectra {

void small_spectrum(CudaContext& context, const SmallSpectrum<Space::device>& arguments) {
    block::small_spectrum(context, arguments);
}

bool small_spectrum_fits(const CudaContext& /*context*/, const Layer* layers, Index count) {
    return count <= most_small_layers &&
           block::small_spectrum_layout(layers, static_cast<int>(count)).chunk > 0;
}

}  // namespace espectra
