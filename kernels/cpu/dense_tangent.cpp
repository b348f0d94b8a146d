#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/dense.hpp"

#include <algorithm>

namespace espectra {

// Parallel over replicas: Hessian-vector products are formed for many vectors or many networks at a time.

void dense_tangent_forward(CpuContext& context, const DenseTangentForward<Space::host>& a) {
    const Index replicas = a.output_tangent.extent[0], units = a.output_tangent.extent[1];
    const Index examples = a.output_tangent.extent[2], inputs = a.input.extent[1];
    context.parallel_for(replicas, [&](Index r, int) {
        double* h_tangent = &a.preactivation_tangent(r, 0, 0);
        const Index stride = a.preactivation_tangent.stride[1];
        for (Index i = 0; i < units; ++i) std::fill_n(h_tangent + i * stride, examples, a.bias_tangent(r, i));
        blas::gemm(false, false, units, examples, inputs, 1.0, &a.weights_tangent(r, 0, 0),
                   a.weights_tangent.stride[1], &a.input(r, 0, 0), a.input.stride[1], 1.0, h_tangent, stride);
        if (a.input_tangent)
            blas::gemm(false, false, units, examples, inputs, 1.0, &a.weights(r, 0, 0), a.weights.stride[1],
                       &a.input_tangent(r, 0, 0), a.input_tangent.stride[1], 1.0, h_tangent, stride);
        for (Index i = 0; i < units; ++i) {
            const double beta_tangent = a.beta_tangent ? a.beta_tangent(r, i) : 0.0;
            for (Index e = 0; e < examples; ++e) {
                double tangent = a.derivatives.d_h(r, i, e) * a.preactivation_tangent(r, i, e);
                if (a.beta_tangent) tangent += a.derivatives.d_beta(r, i, e) * beta_tangent;
                a.output_tangent(r, i, e) = tangent;
            }
        }
    });
}

void dense_tangent_backward(CpuContext& context, const DenseTangentBackward<Space::host>& a) {
    const Index replicas = a.delta_tangent.extent[0], units = a.delta_tangent.extent[1];
    const Index examples = a.delta_tangent.extent[2], inputs = a.input.extent[1];
    context.parallel_for(replicas, [&](Index r, int) {
        for (Index i = 0; i < units; ++i) {
            const double beta_tangent = a.beta_tangent ? a.beta_tangent(r, i) : 0.0;
            double bias_sum = 0, beta_sum = 0;
            for (Index e = 0; e < examples; ++e) {
                const double delta_a = a.output_delta(r, i, e), delta_a_tangent = a.delta_tangent(r, i, e);
                const double h_tangent = a.preactivation_tangent(r, i, e);
                double change = a.derivatives.d_hh(r, i, e) * h_tangent;
                if (a.beta_tangent) {
                    const double d_hbeta = a.derivatives.d_hbeta(r, i, e);
                    change += d_hbeta * beta_tangent;
                    beta_sum +=
                        delta_a_tangent * a.derivatives.d_beta(r, i, e) +
                        delta_a * (d_hbeta * h_tangent + a.derivatives.d_betabeta(r, i, e) * beta_tangent);
                }
                const double tangent = a.derivatives.d_h(r, i, e) * delta_a_tangent + delta_a * change;
                a.delta_tangent(r, i, e) = tangent;
                bias_sum += tangent;
            }
            a.bias_gradient(r, i) = bias_sum;
            if (a.beta_gradient) a.beta_gradient(r, i) = beta_sum;
        }
        const double* delta_tangent = &a.delta_tangent(r, 0, 0);
        const double* delta = &a.delta(r, 0, 0);
        double* gradient = &a.weights_gradient(r, 0, 0);
        blas::gemm(false, true, units, inputs, examples, 1.0, delta_tangent, a.delta_tangent.stride[1],
                   &a.input(r, 0, 0), a.input.stride[1], 0.0, gradient, a.weights_gradient.stride[1]);
        if (a.input_tangent)
            blas::gemm(false, true, units, inputs, examples, 1.0, delta, a.delta.stride[1],
                       &a.input_tangent(r, 0, 0), a.input_tangent.stride[1], 1.0, gradient,
                       a.weights_gradient.stride[1]);
        if (!a.input_delta_tangent) return;
        double* input_delta = &a.input_delta_tangent(r, 0, 0);
        const Index stride = a.input_delta_tangent.stride[1];
        blas::gemm(true, false, inputs, examples, units, 1.0, &a.weights_tangent(r, 0, 0),
                   a.weights_tangent.stride[1], delta, a.delta.stride[1], 0.0, input_delta, stride);
        blas::gemm(true, false, inputs, examples, units, 1.0, &a.weights(r, 0, 0), a.weights.stride[1],
                   delta_tangent, a.delta_tangent.stride[1], 1.0, input_delta, stride);
    });
}

}  // namespace espectra
