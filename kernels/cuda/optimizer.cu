#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/optimizer.hpp"

namespace espectra {

void adam_step(CudaContext& context, const AdamStep<Space::device>& arguments) {
    group::adam_step(context, arguments);
}

void gradient_descent_step(CudaContext& context, const GradientDescentStep<Space::device>& arguments) {
    group::gradient_descent_step(context, arguments);
}

void mark_divergence(CudaContext& context, View<const double, 1, Space::device> cost,
                     View<const std::int64_t, 1, Space::device> counter,
                     View<std::int64_t, 1, Space::device> first_nonfinite) {
    group::mark_divergence(context, cost, counter, first_nonfinite);
}

void advance_counter(CudaContext& context, View<std::int64_t, 1, Space::device> counter,
                     std::int64_t epochs) {
    group::advance_counter(context, counter, epochs);
}

}  // namespace espectra
