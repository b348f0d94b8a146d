#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/spectrum.hpp"

namespace espectra {

void deflate(CudaContext& context, const Deflation<Space::device>& arguments) {
    group::deflate(context, arguments);
}

void summarize_spectra(CudaContext& context, const SpectrumSummary<Space::device>& arguments) {
    group::summarize_spectra(context, arguments);
}

}  // namespace espectra
