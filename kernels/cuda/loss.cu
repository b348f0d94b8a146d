#include "espectra/kernels/block/loss.hpp"
#include "espectra/kernels/cuda/launch.cuh"

namespace espectra {

void evaluate_loss(CudaContext& context, const LossEvaluation<Space::device>& arguments) {
    block::evaluate_loss(context, arguments);
}

void score_outputs(CudaContext& context, const OutputScore<Space::device>& arguments) {
    block::score_outputs(context, arguments);
}

}  // namespace espectra
