#include "espectra/kernels/block/optimizer.hpp"
#include "espectra/kernels/cuda/launch.cuh"

namespace espectra {

void adam_step(CudaContext& context, const AdamStep<Space::device>& arguments) {
    block::adam_step(context, arguments);
}

void gradient_descent_step(CudaContext& context, const GradientDescentStep<Space::device>& arguments) {
    block::gradient_descent_step(context, arguments);
}

void mark_divergence(CudaContext& context, View<const double, 1, Space::device> cost,
                     View<const std::int64_t, 1, Space::device> counter,
                     View<std::int64_t, 1, Space::device> first_nonfinite) {
    block::mark_divergence(context, cost, counter, first_nonfinite);
}

void advance_counter(CudaContext& context, View<std::int64_t, 1, Space::device> counter,
                     std::int64_t epochs) {
    block::advance_counter(context, counter, epochs);
}

}  // namespace espectra
