#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/fused_spectrum.hpp"

namespace espectra {

#define FUSED_SPECTRUM_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

bool fused_spectrum_fits(const CudaContext& /*context*/, const NetworkView& network) {
    return group::fused_spectrum_fits(network);
}

}  // namespace espectra
