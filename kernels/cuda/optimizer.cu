#include "espectra/kernels/optimizer.hpp"
#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"

#include <algorithm>

// Not yet run on a GPU.

namespace espectra {

namespace {

constexpr int threads_per_block = 256;

// The arguments' addresses are [R, P] with a stride per replica: blockIdx.y is the replica.

__global__ void adam_kernel(AdamStep<Space::device> a) {
    const Index p = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x, r = blockIdx.y;
    if (p >= a.theta.extent[1]) return;
    const double g = a.gradient(r, p);
    const double first = a.first_moment(r, p) + (g - a.first_moment(r, p)) * (1.0 - a.beta1);
    const double second = a.second_moment(r, p) + (g * g - a.second_moment(r, p)) * (1.0 - a.beta2);
    a.first_moment(r, p) = first;
    a.second_moment(r, p) = second;
    a.theta(r, p) -= first * a.rate / (sqrt(second) + a.epsilon);
}

__global__ void gradient_descent_kernel(GradientDescentStep<Space::device> a) {
    const Index p = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x, r = blockIdx.y;
    if (p < a.theta.extent[1]) a.theta(r, p) -= a.rate * a.gradient(r, p);
}

__global__ void mark_divergence_kernel(View<const double, 1, Space::device> cost, std::int64_t epoch,
                                       View<std::int64_t, 1, Space::device> first_nonfinite) {
    const Index r = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (r < cost.extent[0] && first_nonfinite(r) < 0 && !isfinite(cost(r))) first_nonfinite(r) = epoch;
}

dim3 blocks(Index parameters, Index replicas) {
    return dim3(static_cast<unsigned>((parameters + threads_per_block - 1) / threads_per_block),
                static_cast<unsigned>(std::max<Index>(replicas, 1)));
}

cudaStream_t stream_of(CudaContext& context) { return static_cast<cudaStream_t>(context.stream()); }

}  // namespace

void adam_step(CudaContext& context, const AdamStep<Space::device>& arguments) {
    adam_kernel<<<blocks(arguments.theta.extent[1], arguments.theta.extent[0]), threads_per_block, 0,
                  stream_of(context)>>>(arguments);
    check(cudaGetLastError());
}

void gradient_descent_step(CudaContext& context, const GradientDescentStep<Space::device>& arguments) {
    gradient_descent_kernel<<<blocks(arguments.theta.extent[1], arguments.theta.extent[0]), threads_per_block,
                              0, stream_of(context)>>>(arguments);
    check(cudaGetLastError());
}

void mark_divergence(CudaContext& context, View<const double, 1, Space::device> cost, std::int64_t epoch,
                     View<std::int64_t, 1, Space::device> first_nonfinite) {
    mark_divergence_kernel<<<blocks(cost.extent[0], 1), threads_per_block, 0, stream_of(context)>>>(
        cost, epoch, first_nonfinite);
    check(cudaGetLastError());
}

}  // namespace espectra
