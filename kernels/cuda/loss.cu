#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/loss.hpp"

namespace espectra {

void evaluate_loss(CudaContext& context, const LossEvaluation<Space::device>& arguments) {
    group::evaluate_loss(context, arguments);
}

void score_outputs(CudaContext& context, const OutputScore<Space::device>& arguments) {
    group::score_outputs(context, arguments);
}

}  // namespace espectra
