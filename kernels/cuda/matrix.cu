#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/matrix.hpp"

namespace espectra {

void clear_upper(CudaContext& context, View<double, 3, Space::device> matrices) {
    group::clear_upper(context, matrices);
}

void symmetrize(CudaContext& context, View<double, 3, Space::device> matrices) {
    group::symmetrize(context, matrices);
}

void summarize(CudaContext& context, const MatrixSummary<Space::device>& arguments) {
    group::summarize(context, arguments);
}

void scaling_residual(CudaContext& context, const ScalingResidual<Space::device>& arguments) {
    group::scaling_residual(context, arguments);
}

void compress_rows(CudaContext& context, View<double, 2, Space::device> matrix,
                   View<const unsigned char, 1, Space::device> keep) {
    group::compress_rows(context, matrix, keep);
}

void inverse_participation_ratios(CudaContext& context, View<const double, 3, Space::device> vectors,
                                  View<double, 2, Space::device> ratios) {
    group::inverse_participation_ratios(context, vectors, ratios);
}

}  // namespace espectra
