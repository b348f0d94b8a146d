#include "espectra/kernels/hessian.hpp"

#include "espectra/kernels/cpu/blas.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>

namespace espectra {

namespace {

/// out = left ∘ right ∘ matrix along the examples.
void scale_both(const double* left, const double* right, const double* matrix, double* out, Index count) {
    for (Index e = 0; e < count; ++e) out[e] = left[e] * right[e] * matrix[e];
}

void add_product(const double* x, const double* y, double* out, Index count) {
    for (Index e = 0; e < count; ++e) out[e] += x[e] * y[e];
}

}  // namespace

void activation_curvature(CpuContext& context, const ActivationCurvature<Space::host>& a) {
    const Index units = a.curvature.extent[1], examples = a.curvature.extent[3];
    const auto& d = a.derivatives;
    context.parallel_for(a.curvature.extent[0] * units, [&](Index task, int) {
        const Index r = task / units, i = task % units;
        for (Index j = 0; j < units; ++j) {
            const double* b = &a.output_curvature(r, i, j, 0);
            scale_both(&d.d_h(r, i, 0), &d.d_h(r, j, 0), b, &a.curvature(r, i, j, 0), examples);
            if (a.mixed) scale_both(&d.d_beta(r, i, 0), &d.d_h(r, j, 0), b, &a.mixed(r, i, j, 0), examples);
            if (a.beta_curvature)
                scale_both(&d.d_beta(r, i, 0), &d.d_beta(r, j, 0), b, &a.beta_curvature(r, i, j, 0),
                           examples);
        }
        if (!a.output_delta) return;
        const double* delta = &a.output_delta(r, i, 0);
        add_product(delta, &d.d_hh(r, i, 0), &a.curvature(r, i, i, 0), examples);
        if (a.mixed) add_product(delta, &d.d_hbeta(r, i, 0), &a.mixed(r, i, i, 0), examples);
        if (a.beta_curvature)
            add_product(delta, &d.d_betabeta(r, i, 0), &a.beta_curvature(r, i, i, 0), examples);
    });
}

void pull_back(CpuContext& context, const PullBack<Space::host>& a) {
    const Index rows = a.matrix.extent[1], inner = a.matrix.extent[2], examples = a.matrix.extent[3];
    const Index columns = a.product.extent[2];
    require_equal("pull_back: inner extent", inner, a.weights.extent[1]);
    const Index chunks = (examples + blas::example_chunk - 1) / blas::example_chunk;
    context.parallel_for(a.matrix.extent[0] * rows * chunks, [&](Index task, int worker) {
        const Index r = task / (rows * chunks), p = task / chunks % rows;
        const Index begin = task % chunks * blas::example_chunk;
        const Index count = std::min(blas::example_chunk, examples - begin);
        Arena::Frame frame(context.arena(worker));
        const double* matrix = &a.matrix(r, p, 0, begin);
        Index stride = a.matrix.stride[2];
        if (a.d_h) {
            double* scaled = context.arena(worker).take<double>(inner * count);
            for (Index q = 0; q < inner; ++q) {
                const double* x = matrix + q * stride;
                const double* d_h = &a.d_h(r, q, begin);
                for (Index e = 0; e < count; ++e) scaled[q * count + e] = x[e] * d_h[e];
            }
            matrix = scaled;
            stride = count;
        }
        blas::gemm(true, false, columns, count, inner, 1.0, &a.weights(r, 0, 0), a.weights.stride[1], matrix,
                   stride, 0.0, &a.product(r, p, 0, begin), a.product.stride[2]);
    });
}

void weights_transposed_times(CpuContext& context, const WeightsTransposedTimes<Space::host>& a) {
    const Index inner = a.matrix.extent[1], columns = a.matrix.extent[2], examples = a.matrix.extent[3];
    const Index rows = a.product.extent[1];
    require_equal("weights_transposed_times: inner extent", inner, a.weights.extent[1]);
    context.parallel_for(a.matrix.extent[0] * columns, [&](Index task, int) {
        const Index r = task / columns, i = task % columns;
        blas::gemm(true, false, rows, examples, inner, 1.0, &a.weights(r, 0, 0), a.weights.stride[1],
                   &a.matrix(r, 0, i, 0), a.matrix.stride[1], 0.0, &a.product(r, 0, i, 0),
                   a.product.stride[1]);
    });
}

void curvature_times_vector(CpuContext& context, const CurvatureTimesVector<Space::host>& a) {
    const auto& curvature = a.curvature;
    const Index rows = curvature.extent[1], inner = curvature.extent[2], examples = curvature.extent[3];
    context.parallel_for(curvature.extent[0] * rows, [&](Index task, int) {
        const Index r = task / rows, p = task % rows;
        double* out = &a.product(r, p, 0);
        std::fill_n(out, examples, 0.0);
        for (Index q = 0; q < inner; ++q)
            add_product(&curvature(r, p, q, 0), &a.vector(r, q, 0), out, examples);
    });
}

void layer_jacobian(CpuContext& context, const LayerJacobian<Space::host>& a) {
    const Index rows = a.jacobian.extent[1], columns = a.jacobian.extent[2], examples = a.jacobian.extent[3];
    context.parallel_for(a.jacobian.extent[0] * rows, [&](Index task, int) {
        const Index r = task / rows, p = task % rows;
        const double* d_h = &a.d_h(r, p, 0);
        for (Index i = 0; i < columns; ++i) {
            const double w = a.weights(r, p, i);
            double* out = &a.jacobian(r, p, i, 0);
            for (Index e = 0; e < examples; ++e) out[e] = d_h[e] * w;
        }
    });
}

}  // namespace espectra
