#include "espectra/kernels/block/dense.hpp"
#include "espectra/kernels/block/dense_tangent.hpp"
#include "espectra/kernels/cuda/launch.cuh"

namespace espectra {

void dense_forward(CudaContext& context, const DenseForward<Space::device>& arguments) {
    block::dense_forward(context, arguments);
}

void dense_backward(CudaContext& context, const DenseBackward<Space::device>& arguments) {
    block::dense_backward(context, arguments);
}

void dense_tangent_forward(CudaContext& context, const DenseTangentForward<Space::device>& arguments) {
    block::dense_tangent_forward(context, arguments);
}

void dense_tangent_backward(CudaContext& context, const DenseTangentBackward<Space::device>& arguments) {
    block::dense_tangent_backward(context, arguments);
}

}  // namespace espectra
