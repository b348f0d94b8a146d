#include "espectra/kernels/dense.hpp"

#include "espectra/kernels/cpu/activation_jets.hpp"
#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/kernels/cpu/exponentials.hpp"
#include "espectra/kernels/cpu/reduction.hpp"
#include "espectra/kernels/math/activation_jet.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>

namespace espectra {

namespace {

/// out += factor·row.
void add_scaled(double factor, const double* __restrict row, double* __restrict out, Index count) {
    for (Index e = 0; e < count; ++e) out[e] += factor * row[e];
}

/// h = W·input for one chunk of examples; h is rows of `count` with stride `stride`.
void multiply_input(View<const double, 2> weights, View<const double, 2> input, Index begin, Index count,
                    double* h, Index stride) {
    const Index units = weights.extent[0], inputs = weights.extent[1];
    const double* x = &input(0, begin);
    if (inputs > few_inputs) {
        blas::gemm(false, false, units, count, inputs, 1.0, weights.data, weights.stride[0], x,
                   input.stride[0], 0.0, h, stride);
        return;
    }
    for (Index i = 0; i < units; ++i) {
        double* row = h + i * stride;
        for (Index e = 0; e < count; ++e) row[e] = weights(i, 0) * x[e];
        for (Index j = 1; j < inputs; ++j) add_scaled(weights(i, j), x + j * input.stride[0], row, count);
    }
}

/// Adds the bias to h and writes the arguments of the exponentials, for one unit.
template <Activation A>
void add_bias(double* __restrict h, double bias, double beta, Index count, double* __restrict argument) {
    for (Index e = 0; e < count; ++e) {
        h[e] += bias;
        if constexpr (has_exponential<A>) argument[e] = exponential_argument<A>(h[e], beta);
    }
}

/// Writes output = φ(h, β) and its derivatives up to order O, for one unit; those by β only with Beta.
template <Activation A, Order O, bool Beta>
void activate(const double* __restrict h, double beta, const double* __restrict exponential, Index count,
              double* __restrict output, double* __restrict d_h, double* __restrict d_beta,
              double* __restrict d_hh, double* __restrict d_hbeta, double* __restrict d_betabeta) {
    for (Index e = 0; e < count; ++e)
        store_jet<A, O, Beta>(e, h[e], beta, exponential, output, d_h, d_beta, d_hh, d_hbeta, d_betabeta);
}

constexpr Index exponential_chunk = 256;  // examples whose exponentials are evaluated together
constexpr Index exponential_scratch = 4 * exponential_chunk;

/// Activates unit i for up to exponential_chunk examples; h comes without the bias; `scratch`:
/// exponential_scratch numbers.
template <Activation A>
void activate_unit(const DenseForward<Space::host>& a, Index r, Index i, Index begin, Index count, double* h,
                   double* scratch) {
    const auto& d = a.derivatives;
    const auto row = [&](const View<double, 3>& view) { return view ? &view(r, i, begin) : nullptr; };
    const double beta = a.beta ? a.beta(r, i) : a.fixed_beta;
    add_bias<A>(h, a.bias(r, i), beta, count, scratch);
    const ExponentialRows rows(scratch + exponential_chunk, exponential_chunk);
    if constexpr (has_exponential<A>) exponentials(scratch, rows, count);
    const auto call = [&](auto function) {
        function(h, beta, rows.exponential, count, &a.output(r, i, begin), row(d.d_h), row(d.d_beta),
                 row(d.d_hh), row(d.d_hbeta), row(d.d_betabeta));
    };
    if (d.d_hh && d.d_betabeta)
        call(activate<A, Order::second, true>);
    else if (d.d_hh)
        call(activate<A, Order::second, false>);
    else if (d.d_h && d.d_beta)
        call(activate<A, Order::first, true>);
    else if (d.d_h)
        call(activate<A, Order::first, false>);
    else
        call(activate<A, Order::value, false>);
}

}  // namespace

void dense_forward(CpuContext& context, const DenseForward<Space::host>& a) {
    const Index replicas = a.output.extent[0], units = a.output.extent[1], examples = a.output.extent[2];
    require_shapes(a);
    blas::for_example_chunks(context, replicas, examples, [&](Index r, Index begin, Index count, int worker) {
        Arena::Frame frame(context.arena(worker));
        double* h = context.arena(worker).take<double>(units * count);
        double* scratch = context.arena(worker).take<double>(exponential_scratch);
        multiply_input(a.weights[r], a.input[r], begin, count, h, count);
        visit_activation(a.activation, [&](auto activation) {
            for (Index i = 0; i < units; ++i)
                for (Index e = 0; e < count; e += exponential_chunk)
                    activate_unit<activation.value>(a, r, i, begin + e,
                                                    std::min(exponential_chunk, count - e), h + i * count + e,
                                                    scratch);
        });
    });
}

void dense_backward(CpuContext& context, const DenseBackward<Space::host>& a) {
    const Index replicas = a.delta.extent[0], units = a.delta.extent[1], examples = a.delta.extent[2];
    const Index inputs = a.input.extent[1];
    require_shapes(a);

    // Each chunk of examples stores its share of the gradient; the shares are added in the order of the
    // chunks.
    const bool gradients = static_cast<bool>(a.weights_gradient);
    const Index share = units * inputs + 2 * units;
    const Index chunks = (examples + blas::example_chunk - 1) / blas::example_chunk;
    Arena::Frame outer(context.arena());
    double* shares = gradients ? context.arena().take<double>(replicas * chunks * share) : nullptr;

    blas::for_example_chunks(context, replicas, examples, [&](Index r, Index begin, Index count, int) {
        double* weights_share =
            gradients ? shares + (r * chunks + begin / blas::example_chunk) * share : nullptr;
        double* bias_share = gradients ? weights_share + units * inputs : nullptr;
        double* beta_share = gradients ? bias_share + units : nullptr;
        for (Index i = 0; i < units; ++i) {
            double* __restrict delta = &a.delta(r, i, begin);
            if (gradients && a.beta_gradient) beta_share[i] = dot(delta, &a.d_beta(r, i, begin), count);
            const double* __restrict d_h = &a.d_h(r, i, begin);
            for (Index e = 0; e < count; ++e) delta[e] *= d_h[e];
            if (gradients) bias_share[i] = sum(delta, count);
        }
        const double* delta = &a.delta(r, 0, begin);
        const Index delta_stride = a.delta.stride[1];
        const double* input = &a.input(r, 0, begin);
        const Index input_stride = a.input.stride[1];
        if (gradients) {
            if (inputs > few_inputs)
                blas::gemm(false, true, units, inputs, count, 1.0, delta, delta_stride, input, input_stride,
                           0.0, weights_share, inputs);
            else
                for (Index i = 0; i < units; ++i)
                    for (Index j = 0; j < inputs; ++j)
                        weights_share[i * inputs + j] =
                            dot(delta + i * delta_stride, input + j * input_stride, count);
        }
        if (!a.input_delta) return;
        double* input_delta = &a.input_delta(r, 0, begin);
        const Index input_delta_stride = a.input_delta.stride[1];
        if (inputs > few_inputs) {
            blas::gemm(true, false, inputs, count, units, 1.0, &a.weights(r, 0, 0), a.weights.stride[1],
                       delta, delta_stride, 0.0, input_delta, input_delta_stride);
            return;
        }
        for (Index j = 0; j < inputs; ++j) {
            double* row = input_delta + j * input_delta_stride;
            std::fill_n(row, count, 0.0);
            for (Index i = 0; i < units; ++i)
                add_scaled(a.weights(r, i, j), delta + i * delta_stride, row, count);
        }
    });
    if (!gradients) return;

    context.parallel_for(replicas, [&](Index r, int) {
        double* sum = shares + r * chunks * share;
        for (Index block = 1; block < chunks; ++block)
            for (Index p = 0; p < share; ++p) sum[p] += sum[block * share + p];
        for (Index i = 0; i < units; ++i) {
            std::copy_n(sum + i * inputs, inputs, &a.weights_gradient(r, i, 0));
            a.bias_gradient(r, i) = sum[units * inputs + i];
            if (a.beta_gradient) a.beta_gradient(r, i) = sum[units * inputs + units + i];
        }
    });
}

}  // namespace espectra
