#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/hessian.hpp"

namespace espectra {

void activation_curvature(CudaContext& context, const ActivationCurvature<Space::device>& arguments) {
    group::activation_curvature(context, arguments);
}

void pull_back(CudaContext& context, const PullBack<Space::device>& arguments) {
    group::pull_back(context, arguments);
}

void weights_transposed_times(CudaContext& context, const WeightsTransposedTimes<Space::device>& arguments) {
    group::weights_transposed_times(context, arguments);
}

void curvature_times_vector(CudaContext& context, View<const double, 4, Space::device> curvature,
                            View<const double, 3, Space::device> vector,
                            View<double, 3, Space::device> product) {
    group::curvature_times_vector(context, curvature, vector, product);
}

void layer_jacobian(CudaContext& context, const LayerJacobian<Space::device>& arguments) {
    group::layer_jacobian(context, arguments);
}

void contract_layer_block(CudaContext& context, const LayerBlock<Space::device>& arguments) {
    group::contract_layer_block(context, arguments);
}

void contract_cross_block(CudaContext& context, const CrossBlock<Space::device>& arguments) {
    group::contract_cross_block(context, arguments);
}

}  // namespace espectra
