#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/dense.hpp"
#include "espectra/kernels/group/dense_tangent.hpp"

namespace espectra {

void dense_forward(CudaContext& context, const DenseForward<Space::device>& arguments) {
    group::dense_forward(context, arguments);
}

void dense_backward(CudaContext& context, const DenseBackward<Space::device>& arguments) {
    group::dense_backward(context, arguments);
}

void dense_tangent_forward(CudaContext& context, const DenseTangentForward<Space::device>& arguments) {
    group::dense_tangent_forward(context, arguments);
}

void dense_tangent_backward(CudaContext& context, const DenseTangentBackward<Space::device>& arguments) {
    group::dense_tangent_backward(context, arguments);
}

}  // namespace espectra
