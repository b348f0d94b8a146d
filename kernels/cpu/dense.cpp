#include "espectra/kernels/dense.hpp"

#include <algorithm>

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/runtime/error.hpp"

namespace espectra {

namespace {

/// Up to this many inputs a layer is a sum of scaled rows; above it a matrix product.
constexpr Index few_inputs = 16;

/// h = W·input + b for one block of examples; h is rows of `count` with stride `stride`.
void preactivations(View<const double, 2> weights, View<const double, 1> bias, View<const double, 2> input,
                    Index begin, Index count, double* h, Index stride) {
    const Index units = weights.extent[0], inputs = weights.extent[1];
    for (Index i = 0; i < units; ++i) std::fill_n(h + i * stride, count, bias(i));
    const double* x = &input(0, begin);
    if (inputs > few_inputs) {
        blas::gemm(false, false, units, count, inputs, 1.0, weights.data, weights.stride[0], x, input.stride[0], 1.0,
                   h, stride);
        return;
    }
    for (Index i = 0; i < units; ++i) {
        double* row = h + i * stride;
        for (Index j = 0; j < inputs; ++j) {
            const double w = weights(i, j);
            const double* column = x + j * input.stride[0];
            for (Index e = 0; e < count; ++e) row[e] += w * column[e];
        }
    }
}

template <Activation A>
void activate(const double* h, double beta, Index count, double* output,
              const ActivationDerivatives<double, Space::host>& derivatives, Index replica, Index unit, Index begin) {
    const auto row = [&](const View<double, 3>& view) { return view ? &view(replica, unit, begin) : nullptr; };
    double* const d_h = row(derivatives.d_h);
    double* const d_beta = row(derivatives.d_beta);
    double* const d_hh = row(derivatives.d_hh);
    double* const d_hbeta = row(derivatives.d_hbeta);
    double* const d_betabeta = row(derivatives.d_betabeta);
    for (Index e = 0; e < count; ++e) {
        const ActivationJet jet = activation_jet<A>(h[e], beta);
        output[e] = jet.value;
        if (d_h) d_h[e] = jet.d_h;
        if (d_beta) d_beta[e] = jet.d_beta;
        if (d_hh) d_hh[e] = jet.d_hh;
        if (d_hbeta) d_hbeta[e] = jet.d_hbeta;
        if (d_betabeta) d_betabeta[e] = jet.d_betabeta;
    }
}

}  // namespace

void dense_forward(CpuContext& context, const DenseForward<Space::host>& a) {
    const Index replicas = a.output.extent[0], units = a.output.extent[1], examples = a.output.extent[2];
    require_equal("dense_forward: weights, units", units, a.weights.extent[1]);
    require_equal("dense_forward: weights, inputs", a.input.extent[1], a.weights.extent[2]);
    require_equal("dense_forward: input, examples", examples, a.input.extent[2]);
    blas::for_example_blocks(context, replicas, examples, [&](Index r, Index begin, Index count, int worker) {
        Arena::Frame frame(context.arena(worker));
        double* h = context.arena(worker).take<double>(units * count);
        preactivations(a.weights[r], a.bias[r], a.input[r], begin, count, h, count);
        visit_activation(a.activation, [&](auto activation) {
            for (Index i = 0; i < units; ++i)
                activate<activation.value>(h + i * count, a.beta ? a.beta(r, i) : a.fixed_beta, count,
                                           &a.output(r, i, begin), a.derivatives, r, i, begin);
        });
    });
}

void dense_backward(CpuContext& context, const DenseBackward<Space::host>& a) {
    const Index replicas = a.delta.extent[0], units = a.delta.extent[1], examples = a.delta.extent[2];
    const Index inputs = a.input.extent[1];
    require_equal("dense_backward: weights, units", units, a.weights.extent[1]);
    require_equal("dense_backward: weights, inputs", inputs, a.weights.extent[2]);

    // Each block of examples leaves its share of the gradient; the shares are added in the blocks' order.
    const bool gradients = static_cast<bool>(a.weights_gradient);
    const Index share = units * inputs + 2 * units;
    const Index blocks = (examples + blas::example_block - 1) / blas::example_block;
    Arena::Frame outer(context.arena());
    double* shares = gradients ? context.arena().take<double>(replicas * blocks * share) : nullptr;

    blas::for_example_blocks(context, replicas, examples, [&](Index r, Index begin, Index count, int) {
        double* weights_share = gradients ? shares + (r * blocks + begin / blas::example_block) * share : nullptr;
        double* bias_share = gradients ? weights_share + units * inputs : nullptr;
        double* beta_share = gradients ? bias_share + units : nullptr;
        for (Index i = 0; i < units; ++i) {
            double* delta = &a.delta(r, i, begin);
            if (gradients && a.beta_gradient) {
                const double* d_beta = &a.d_beta(r, i, begin);
                double sum = 0;
                for (Index e = 0; e < count; ++e) sum += delta[e] * d_beta[e];
                beta_share[i] = sum;
            }
            const double* d_h = &a.d_h(r, i, begin);
            double sum = 0;
            for (Index e = 0; e < count; ++e) {
                delta[e] *= d_h[e];
                sum += delta[e];
            }
            if (gradients) bias_share[i] = sum;
        }
        const double* delta = &a.delta(r, 0, begin);
        const Index delta_stride = a.delta.stride[1];
        if (gradients)
            blas::gemm(false, true, units, inputs, count, 1.0, delta, delta_stride, &a.input(r, 0, begin),
                       a.input.stride[1], 0.0, weights_share, inputs);
        if (a.input_delta)
            blas::gemm(true, false, inputs, count, units, 1.0, &a.weights(r, 0, 0), a.weights.stride[1], delta,
                       delta_stride, 0.0, &a.input_delta(r, 0, begin), a.input_delta.stride[1]);
    });
    if (!gradients) return;

    context.parallel_for(replicas, [&](Index r, int) {
        double* sum = shares + r * blocks * share;
        for (Index block = 1; block < blocks; ++block)
            for (Index p = 0; p < share; ++p) sum[p] += sum[block * share + p];
        for (Index i = 0; i < units; ++i) {
            std::copy_n(sum + i * inputs, inputs, &a.weights_gradient(r, i, 0));
            a.bias_gradient(r, i) = sum[units * inputs + i];
            if (a.beta_gradient) a.beta_gradient(r, i) = sum[units * inputs + units + i];
        }
    });
}

}  // namespace espectra
