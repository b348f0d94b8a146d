#include "espectra/kernels/block/spectrum.hpp"
#include "espectra/kernels/cuda/launch.cuh"

namespace espectra {

void deflate(CudaContext& context, const Deflation<Space::device>& arguments) {
    block::deflate(context, arguments);
}

void summarize_spectra(CudaContext& context, const SpectrumSummary<Space::device>& arguments) {
    block::summarize_spectra(context, arguments);
}

}  // namespace espectra
