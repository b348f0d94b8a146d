#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/fused_spectrum.hpp"
#include "espectra/kernels/hessian.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/optimizer.hpp"
#include "espectra/kernels/spectrum.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/random.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

// Every kernel operation with arguments of the shape that a network gives it, and what it costs: the bytes of
// its arguments, each read and written once, and its arithmetic operations. A multiply-add counts as two; the
// evaluation of an activation or of a loss by the number of operations in kernels/math/elementary.hpp.

namespace espectra {

inline constexpr double activation_flops = 46;  ///< logistic: 38; φ, φ_h, φ_β of esp: 8
inline constexpr double loss_flops = 80;        ///< logistic and log(1 + e^x) that share the exponential

struct Operation {
    double bytes = 0, flops = 0;
    std::function<void()> restore;  ///< brings arguments that run() destroys into their first state, or empty
    std::function<void()> run;
};

/// Arrays of random numbers on a backend, kept as long as this object.
template <Backend B>
class Arrays {
  public:
    explicit Arrays(B& context) : context_(&context) {
        const RandomStream random(1, 300);
        for (std::size_t i = 0; i < tile_.size(); ++i) tile_[i] = random.uniform(i);
    }

    B& context() { return *context_; }

    /// Uniform in [−½, ½).
    template <class... E>
    auto array(E... extents) {
        return filled(-0.5, extents...);
    }

    /// Uniform in [0, 1).
    template <class... E>
    auto positive(E... extents) {
        return filled(0.0, extents...);
    }

    /// What stands in `values`.
    template <class... E>
    auto values(const std::vector<double>& values, E... extents) {
        buffers_.emplace_back(*context_, (static_cast<Index>(extents) * ...));
        copy(*context_, values.data(), buffers_.back().data(), buffers_.back().size());
        context_->synchronize();
        return buffers_.back().view(extents...);
    }

    /// A counter of epochs: 0.
    auto counter() {
        const std::int64_t zero = 0;
        counters_.emplace_back(*context_, 1);
        copy(*context_, &zero, counters_.back().data(), 1);
        context_->synchronize();
        return counters_.back().view(1);
    }

    /// Three quarters ones, the others zero.
    auto mask(Index count) {
        std::vector<unsigned char> values(static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 4 != 3;
        bytes_.emplace_back(*context_, count);
        copy(*context_, values.data(), bytes_.back().data(), count);
        context_->synchronize();
        return bytes_.back().view(count);
    }

  private:
    template <class... E>
    auto filled(double shift, E... extents) {
        const Index size = (static_cast<Index>(extents) * ...);
        std::vector<double> values = tile_;
        for (double& value : values) value += shift;
        buffers_.emplace_back(*context_, size);
        for (Index done = 0; done < size; done += static_cast<Index>(values.size()))
            copy(*context_, values.data(), buffers_.back().data() + done,
                 std::min(size - done, static_cast<Index>(values.size())));
        context_->synchronize();
        return buffers_.back().view(extents...);
    }

    B* context_;
    std::vector<double> tile_ = std::vector<double>((1 << 18) - 1);  // odd: rows of a matrix differ
    std::vector<Buffer<double, B::space>> buffers_;
    std::vector<Buffer<unsigned char, B::space>> bytes_;
    std::vector<Buffer<std::int64_t, B::space>> counters_;
};

/// Bytes of the arrays seen; one that replicas share counts once.
template <class... V>
double bytes_of(const V&... views) {
    const auto one = [](const auto& view) {
        if (!view.data) return 0.0;
        const Index size =
            view.stride[0] == 0 ? view.size() / std::max<Index>(view.extent[0], 1) : view.size();
        return static_cast<double>(size) * static_cast<double>(sizeof(*view.data));
    };
    return (one(views) + ... + 0.0);
}

template <Backend B>
using NamedOperation = std::pair<std::string, std::function<Operation(Arrays<B>&)>>;

/// The operations on one layer (of n units, k inputs and m examples, with β) in training and Hessian.
template <Backend B>
void add_layer_operations(std::vector<NamedOperation<B>>& operations, const Network& network, std::size_t l,
                          Index replicas, Index m) {
    constexpr Space S = B::space;
    const Layer layer = network.layers()[l];
    const Index n = layer.units, k = layer.inputs, parameters = network.parameters();
    const bool beta = layer.trainable_beta, first = l == 0;
    const std::string suffix = "/layer" + std::to_string(l + 1);
    const auto count = static_cast<double>(replicas) * static_cast<double>(m);
    const auto dn = static_cast<double>(n), dk = static_cast<double>(k);

    operations.emplace_back("dense_forward" + suffix, [=](Arrays<B>& arrays) {
        const auto theta = layer_parameters(layer, arrays.array(replicas, parameters));
        DenseForward<S> a{};
        a.activation = layer.activation;
        a.weights = theta.weights;
        a.bias = theta.bias;
        a.beta = theta.beta;
        a.fixed_beta = layer.fixed_beta;
        a.input =
            first ? share<const double, 2, S>(arrays.array(k, m), replicas) : arrays.array(replicas, k, m);
        a.output = arrays.array(replicas, n, m);
        a.derivatives.d_h = arrays.array(replicas, n, m);
        if (beta) a.derivatives.d_beta = arrays.array(replicas, n, m);
        return Operation{
            bytes_of(a.weights, a.bias, a.beta, a.input, a.output, a.derivatives.d_h, a.derivatives.d_beta),
            count * dn * (2 * dk + 1 + (layer.activation == Activation::linear ? 1 : activation_flops)),
            {},
            [&context = arrays.context(), a] { dense_forward(context, a); }};
    });

    operations.emplace_back("dense_backward" + suffix, [=](Arrays<B>& arrays) {
        const auto theta = layer_parameters(layer, arrays.array(replicas, parameters));
        const auto gradient = layer_parameters(layer, arrays.array(replicas, parameters));
        const auto delta = arrays.array(replicas, n, m), original = arrays.array(replicas, n, m);
        DenseBackward<S> a{};
        a.weights = theta.weights;
        a.input =
            first ? share<const double, 2, S>(arrays.array(k, m), replicas) : arrays.array(replicas, k, m);
        a.d_h = arrays.array(replicas, n, m);
        if (beta) a.d_beta = arrays.array(replicas, n, m);
        a.delta = delta;
        a.weights_gradient = gradient.weights;
        a.bias_gradient = gradient.bias;
        a.beta_gradient = gradient.beta;
        if (!first) a.input_delta = arrays.array(replicas, k, m);
        return Operation{bytes_of(a.weights, a.input, a.d_h, a.d_beta, a.delta, a.delta, a.weights_gradient,
                                  a.bias_gradient, a.beta_gradient, a.input_delta),
                         count * dn * ((first ? 2 : 4) * dk + (beta ? 4 : 2)),
                         [&context = arrays.context(), original, delta] {
                             copy(context, original.data, delta.data, delta.size());
                         },
                         [&context = arrays.context(), a] { dense_backward(context, a); }};
    });

    operations.emplace_back("dense_tangent_forward" + suffix, [=](Arrays<B>& arrays) {
        const auto tangent = layer_parameters(layer, arrays.array(replicas, parameters));
        DenseTangentForward<S> a{};
        a.weights = layer_parameters(layer, arrays.array(replicas, parameters)).weights;
        a.weights_tangent = tangent.weights;
        a.bias_tangent = tangent.bias;
        a.beta_tangent = tangent.beta;
        a.input =
            first ? share<const double, 2, S>(arrays.array(k, m), replicas) : arrays.array(replicas, k, m);
        if (!first) a.input_tangent = arrays.array(replicas, k, m);
        a.derivatives.d_h = arrays.array(replicas, n, m);
        if (beta) a.derivatives.d_beta = arrays.array(replicas, n, m);
        a.preactivation_tangent = arrays.array(replicas, n, m);
        a.output_tangent = arrays.array(replicas, n, m);
        return Operation{
            bytes_of(a.weights, a.weights_tangent, a.bias_tangent, a.beta_tangent, a.input, a.input_tangent,
                     a.derivatives.d_h, a.derivatives.d_beta, a.preactivation_tangent, a.output_tangent),
            count * dn * ((first ? 2 : 4) * dk + (beta ? 4 : 2)),
            {},
            [&context = arrays.context(), a] { dense_tangent_forward(context, a); }};
    });

    operations.emplace_back("dense_tangent_backward" + suffix, [=](Arrays<B>& arrays) {
        const auto tangent = layer_parameters(layer, arrays.array(replicas, parameters));
        const auto gradient = layer_parameters(layer, arrays.array(replicas, parameters));
        const auto delta_tangent = arrays.array(replicas, n, m), original = arrays.array(replicas, n, m);
        DenseTangentBackward<S> a{};
        a.weights = layer_parameters(layer, arrays.array(replicas, parameters)).weights;
        a.weights_tangent = tangent.weights;
        a.beta_tangent = tangent.beta;
        a.input =
            first ? share<const double, 2, S>(arrays.array(k, m), replicas) : arrays.array(replicas, k, m);
        a.preactivation_tangent = arrays.array(replicas, n, m);
        a.derivatives.d_h = arrays.array(replicas, n, m);
        a.derivatives.d_hh = arrays.array(replicas, n, m);
        if (beta) {
            a.derivatives.d_beta = arrays.array(replicas, n, m);
            a.derivatives.d_hbeta = arrays.array(replicas, n, m);
            a.derivatives.d_betabeta = arrays.array(replicas, n, m);
        }
        a.output_delta = arrays.array(replicas, n, m);
        a.delta = arrays.array(replicas, n, m);
        a.delta_tangent = delta_tangent;
        a.weights_gradient = gradient.weights;
        a.bias_gradient = gradient.bias;
        a.beta_gradient = gradient.beta;
        if (!first) {
            a.input_tangent = arrays.array(replicas, k, m);
            a.input_delta_tangent = arrays.array(replicas, k, m);
        }
        const auto& d = a.derivatives;
        return Operation{
            bytes_of(a.weights, a.weights_tangent, a.beta_tangent, a.input, a.input_tangent,
                     a.preactivation_tangent, d.d_h, d.d_hh, d.d_beta, d.d_hbeta, d.d_betabeta,
                     a.output_delta, a.delta, a.delta_tangent, a.delta_tangent, a.weights_gradient,
                     a.bias_gradient, a.beta_gradient, a.input_delta_tangent),
            count * dn * ((first ? 2 : 8) * dk + (beta ? 13 : 5)),
            [&context = arrays.context(), original, delta_tangent] {
                copy(context, original.data, delta_tangent.data, delta_tangent.size());
            },
            [&context = arrays.context(), a] { dense_tangent_backward(context, a); }};
    });

    operations.emplace_back("activation_curvature" + suffix, [=](Arrays<B>& arrays) {
        ActivationCurvature<S> a{};
        a.output_curvature = arrays.array(replicas, n, n, m);
        a.derivatives.d_h = arrays.array(replicas, n, m);
        a.derivatives.d_hh = arrays.array(replicas, n, m);
        a.output_delta = arrays.array(replicas, n, m);
        a.curvature = arrays.array(replicas, n, n, m);
        if (beta) {
            a.derivatives.d_beta = arrays.array(replicas, n, m);
            a.derivatives.d_hbeta = arrays.array(replicas, n, m);
            a.derivatives.d_betabeta = arrays.array(replicas, n, m);
            a.mixed = arrays.array(replicas, n, n, m);
            a.beta_curvature = arrays.array(replicas, n, n, m);
        }
        const auto& d = a.derivatives;
        return Operation{bytes_of(a.output_curvature, d.d_h, d.d_hh, a.output_delta, d.d_beta, d.d_hbeta,
                                  d.d_betabeta, a.curvature, a.mixed, a.beta_curvature),
                         count * (beta ? 3 : 1) * (2 * dn * dn + 2 * dn),
                         {},
                         [&context = arrays.context(), a] { activation_curvature(context, a); }};
    });

    operations.emplace_back("contract_layer_block" + suffix, [=](Arrays<B>& arrays) {
        LayerBlock<S> a{};
        a.input =
            first ? share<const double, 2, S>(arrays.array(k, m), replicas) : arrays.array(replicas, k, m);
        a.curvature = arrays.array(replicas, n, n, m);
        if (beta) {
            a.mixed = arrays.array(replicas, n, n, m);
            a.beta_curvature = arrays.array(replicas, n, n, m);
        }
        a.offsets = layer.offsets;
        a.hessian = arrays.array(replicas, parameters, parameters);
        const double rows = dn * (dk + (beta ? 2 : 1)), augmented = dk + 1;
        const double block = static_cast<double>(replicas) * rows * (rows + 1) / 2;
        return Operation{
            bytes_of(a.input, a.curvature, a.mixed, a.beta_curvature) + 2 * sizeof(double) * block,
            2 * count *
                (dn * (dn + 1) / 2 * augmented * (augmented + 1) / 2 +
                 (beta ? dn * dn * augmented + dn * (dn + 1) / 2 : 0)),
            {},
            [&context = arrays.context(), a] { contract_layer_block(context, a); }};
    });
}

/// The operations between layer l and the next (p units, their β).
template <Backend B>
void add_coupling_operations(std::vector<NamedOperation<B>>& operations, const Network& network,
                             std::size_t l, Index replicas, Index m) {
    constexpr Space S = B::space;
    const Layer layer = network.layers()[l], later = network.layers()[l + 1];
    const Index n = layer.units, p = later.units, k = layer.inputs, parameters = network.parameters();
    const auto count = static_cast<double>(replicas) * static_cast<double>(m);
    const auto dn = static_cast<double>(n), dp = static_cast<double>(p);

    operations.emplace_back("pull_back", [=](Arrays<B>& arrays) {
        PullBack<S> a{};
        a.matrix = arrays.array(replicas, p, p, m);
        a.weights = layer_parameters(later, arrays.array(replicas, parameters)).weights;
        a.product = arrays.array(replicas, p, n, m);
        return Operation{bytes_of(a.matrix, a.weights, a.product),
                         2 * count * dp * dp * dn,
                         {},
                         [&context = arrays.context(), a] { pull_back(context, a); }};
    });

    operations.emplace_back("weights_transposed_times", [=](Arrays<B>& arrays) {
        WeightsTransposedTimes<S> a{};
        a.weights = layer_parameters(later, arrays.array(replicas, parameters)).weights;
        a.matrix = arrays.array(replicas, p, n, m);
        a.product = arrays.array(replicas, n, n, m);
        return Operation{bytes_of(a.weights, a.matrix, a.product),
                         2 * count * dn * dp * dn,
                         {},
                         [&context = arrays.context(), a] { weights_transposed_times(context, a); }};
    });

    operations.emplace_back("layer_jacobian", [=](Arrays<B>& arrays) {
        LayerJacobian<S> a{};
        a.d_h = arrays.array(replicas, p, m);
        a.weights = layer_parameters(later, arrays.array(replicas, parameters)).weights;
        a.jacobian = arrays.array(replicas, p, n, m);
        return Operation{
            bytes_of(a.d_h, a.weights, a.jacobian), count * dp * dn, {}, [&context = arrays.context(), a] {
                layer_jacobian(context, a);
            }};
    });

    operations.emplace_back("curvature_times_vector", [=](Arrays<B>& arrays) {
        const View<const double, 4, S> curvature = arrays.array(replicas, p, p, m);
        const View<const double, 3, S> vector = arrays.array(replicas, p, m);
        const auto product = arrays.array(replicas, p, m);
        return Operation{bytes_of(curvature, vector, product),
                         2 * count * dp * dp,
                         {},
                         [&context = arrays.context(), curvature, vector, product] {
                             curvature_times_vector(context, {curvature, vector, product});
                         }};
    });

    operations.emplace_back("contract_cross_block", [=](Arrays<B>& arrays) {
        CrossBlock<S> a{};
        a.input =
            l == 0 ? share<const double, 2, S>(arrays.array(k, m), replicas) : arrays.array(replicas, k, m);
        a.d_h = arrays.array(replicas, n, m);
        if (layer.trainable_beta) a.d_beta = arrays.array(replicas, n, m);
        a.later_input = arrays.array(replicas, n, m);
        a.curvature = arrays.array(replicas, p, n, m);
        if (later.trainable_beta) a.mixed = arrays.array(replicas, p, n, m);
        a.later_delta = arrays.array(replicas, p, m);
        a.offsets = layer.offsets;
        a.later_offsets = later.offsets;
        a.hessian = arrays.array(replicas, parameters, parameters);
        const double rows = static_cast<double>(k) + (layer.trainable_beta ? 2 : 1),
                     columns = dp * (dn + (later.trainable_beta ? 2 : 1));
        return Operation{
            bytes_of(a.input, a.d_h, a.d_beta, a.later_input, a.curvature, a.mixed, a.later_delta) +
                2 * sizeof(double) * static_cast<double>(replicas) * rows * dn * columns,
            2 * count * rows * dn * columns,
            {},
            [&context = arrays.context(), a] { contract_cross_block(context, a); }};
    });
}

/// Loss, optimizer, and what is done with whole Hessians.
template <Backend B>
void add_network_operations(std::vector<NamedOperation<B>>& operations, const Network& network,
                            Index replicas, Index m) {
    constexpr Space S = B::space;
    const Index c = network.outputs(), n = network.parameters();
    const Loss loss = network.loss();
    const auto outputs = static_cast<double>(replicas * c) * static_cast<double>(m);
    const auto size = static_cast<double>(replicas * n), square = size * static_cast<double>(n);

    operations.emplace_back("evaluate_loss", [=](Arrays<B>& arrays) {
        LossEvaluation<S> a{};
        a.loss = loss;
        a.total_examples = m;
        a.logits = arrays.array(replicas, c, m);
        a.targets = share<const double, 2, S>(arrays.positive(c, m), replicas);
        a.cost = arrays.array(replicas);
        a.delta = arrays.array(replicas, c, m);
        return Operation{bytes_of(a.logits, a.targets, a.cost, a.delta),
                         loss_flops * outputs,
                         {},
                         [&context = arrays.context(), a] { evaluate_loss(context, a); }};
    });

    operations.emplace_back("score_outputs", [=](Arrays<B>& arrays) {
        OutputScore<S> a{};
        a.loss = loss;
        a.zero_residual_tolerance = 1e-5;
        a.logits = arrays.array(replicas, c, m);
        a.targets = share<const double, 2, S>(arrays.positive(c, m), replicas);
        a.accuracy = arrays.array(replicas);
        a.zero_residuals = arrays.array(replicas);
        return Operation{bytes_of(a.logits, a.targets, a.accuracy, a.zero_residuals),
                         activation_flops * outputs,
                         {},
                         [&context = arrays.context(), a] { score_outputs(context, a); }};
    });

    operations.emplace_back("adam_step", [=](Arrays<B>& arrays) {
        AdamStep<S> a{};
        a.rates = arrays.values(std::vector<double>(rate_segment, 1e-3), 1, rate_segment);
        a.rates.stride[0] = 0;
        a.counter = arrays.counter();
        a.beta1 = 0.9;
        a.beta2 = 0.999;
        a.epsilon = 1e-8;
        a.gradient = arrays.array(replicas, n);
        a.theta = arrays.array(replicas, n);
        a.first_moment = arrays.array(replicas, n);
        a.second_moment = arrays.positive(replicas, n);
        return Operation{7 * sizeof(double) * size, 12 * size, {}, [&context = arrays.context(), a] {
                             adam_step(context, a);
                         }};
    });

    operations.emplace_back("clear_upper", [=](Arrays<B>& arrays) {
        const auto matrices = arrays.array(replicas, n, n);
        return Operation{sizeof(double) * square / 2, 0, {}, [&context = arrays.context(), matrices] {
                             clear_upper(context, {matrices});
                         }};
    });

    operations.emplace_back("symmetrize", [=](Arrays<B>& arrays) {
        const auto matrices = arrays.array(replicas, n, n);
        return Operation{sizeof(double) * square, 0, {}, [&context = arrays.context(), matrices] {
                             symmetrize(context, {matrices});
                         }};
    });

    operations.emplace_back("summarize", [=](Arrays<B>& arrays) {
        MatrixSummary<S> a{};
        a.matrices = arrays.array(replicas, n, n);
        a.trace = arrays.array(replicas);
        a.frobenius = arrays.array(replicas);
        const auto rows = arrays.mask(replicas * n);
        a.nonzero_row = make_view<S>(rows.data, replicas, n);
        return Operation{sizeof(double) * square / 2, square, {}, [&context = arrays.context(), a] {
                             summarize(context, a);
                         }};
    });

    const Index directions = network.scaling_direction_count();
    operations.emplace_back("scaling_residual", [=, signs = network.scaling_directions()](Arrays<B>& arrays) {
        ScalingResidual<S> a{};
        a.matrices = arrays.array(replicas, n, n);
        a.signs = arrays.values(signs, directions, n);
        a.theta = arrays.array(replicas, n);
        a.gradient = arrays.array(replicas, n);
        a.frobenius = arrays.positive(replicas);
        a.residual = arrays.array(replicas);
        return Operation{sizeof(double) * square / 2 + bytes_of(a.signs, a.theta, a.gradient),
                         2 * static_cast<double>(directions) * square,
                         {},
                         [&context = arrays.context(), a] { scaling_residual(context, a); }};
    });

    operations.emplace_back("compress_rows", [=](Arrays<B>& arrays) {
        const auto matrix = arrays.array(n, n);
        const View<const unsigned char, 1, S> keep = arrays.mask(n);
        const double kept = 0.75 * static_cast<double>(n);
        return Operation{sizeof(double) * kept * kept,  // the upper triangle, read and written
                         0,
                         {},
                         [&context = arrays.context(), matrix, keep] {
                             compress_rows(context, {matrix, keep});
                         }};
    });

    operations.emplace_back("deflate", [=](Arrays<B>& arrays) {
        Deflation<S> a{};
        a.matrices = arrays.array(replicas, n, n);
        const auto keep = arrays.mask(replicas * n);
        a.keep = make_view<S>(keep.data, replicas, n);
        a.frobenius = arrays.positive(replicas);
        a.deflated = arrays.array(replicas, n, n);
        return Operation{sizeof(double) * square + bytes_of(a.keep, a.frobenius),  // two triangles
                         0,
                         {},
                         [&context = arrays.context(), a] { deflate(context, a); }};
    });

    operations.emplace_back("summarize_spectra", [=](Arrays<B>& arrays) {
        SpectrumSummary<S> a{};
        a.eigenvalues = arrays.array(replicas, n);
        const auto keep = arrays.mask(replicas * n);
        a.keep = make_view<S>(keep.data, replicas, n);
        a.trace = arrays.array(replicas);
        a.frobenius = arrays.positive(replicas);
        a.tolerance = 1e-6;
        a.trace_error = arrays.array(replicas);
        a.largest = arrays.array(replicas);
        a.negative = arrays.array(replicas);
        a.zero = arrays.array(replicas);
        return Operation{bytes_of(a.eigenvalues, a.keep, a.trace, a.frobenius, a.trace_error, a.largest,
                                  a.negative, a.zero),
                         6 * size,
                         {},
                         [&context = arrays.context(), a] { summarize_spectra(context, a); }};
    });

    operations.emplace_back("inverse_participation_ratios", [=](Arrays<B>& arrays) {
        const View<const double, 3, S> vectors = arrays.array(replicas, n, n);
        const auto ratios = arrays.array(replicas, n);
        return Operation{
            bytes_of(vectors, ratios), 3 * square, {}, [&context = arrays.context(), vectors, ratios] {
                inverse_participation_ratios(context, {vectors, ratios});
            }};
    });

    operations.emplace_back("symmetric_eigenvalues", [=](Arrays<B>& arrays) {
        const auto matrices = arrays.array(replicas, n, n), original = arrays.array(replicas, n, n);
        const auto eigenvalues = arrays.array(replicas, n);
        return Operation{2 * sizeof(double) * square, 4.0 / 3.0 * square * static_cast<double>(n),
                         [&context = arrays.context(), matrices, original] {
                             copy(context, original.data, matrices.data, matrices.size());
                         },
                         [&context = arrays.context(), matrices, eigenvalues] {
                             symmetric_eigenvalues(context, {matrices, eigenvalues});
                         }};
    });
}

/// From θ to eigenvalues in one step, for networks that are small enough. Counted are the products of the
/// upper triangle over the examples and the reduction to tridiagonal form.
template <Backend B>
void add_fused_spectrum(std::vector<NamedOperation<B>>& operations, const Network& network, Index replicas,
                        Index m) {
    if (network.parameters() > fused_spectrum_parameters || network.layers().size() > fused_spectrum_layers)
        return;
    operations.emplace_back("fused_spectrum", [=](Arrays<B>& arrays) {
        const Index n = network.parameters(), directions = network.scaling_direction_count();
        FusedSpectrum<B::space> a{};
        a.full = true;
        a.features = arrays.array(network.inputs(), m);
        a.targets = arrays.positive(network.outputs(), m);
        a.signs = arrays.values(network.scaling_directions(), directions, n);
        a.theta = arrays.array(replicas, n);
        a.gradient = arrays.array(replicas, n);
        a.trace = arrays.array(replicas);
        a.frobenius = arrays.array(replicas);
        a.residual = arrays.array(replicas);
        const auto rows = arrays.mask(replicas * n);
        a.nonzero_row = make_view<B::space>(rows.data, replicas, n);
        a.eigenvalues = arrays.array(replicas, n);
        const auto p = static_cast<double>(n);
        return Operation{
            bytes_of(a.features, a.targets, a.signs, a.theta, a.gradient, a.trace, a.frobenius, a.residual,
                     a.nonzero_row, a.eigenvalues),
            static_cast<double>(replicas) * (static_cast<double>(m) * p * p + 4.0 / 3.0 * p * p * p),
            {},
            [&context = arrays.context(), a, network]() mutable {
                a.network = network.view();
                fused_spectrum(context, a);
            }};
    });
}

template <Backend B>
std::vector<NamedOperation<B>> kernel_operations(const Network& network, Index replicas, Index examples) {
    std::vector<NamedOperation<B>> operations;
    for (std::size_t l = 0; l < network.layers().size(); ++l)
        add_layer_operations<B>(operations, network, l, replicas, examples);
    for (std::size_t l = 0; l + 1 < network.layers().size(); ++l)
        add_coupling_operations<B>(operations, network, l, replicas, examples);
    add_network_operations<B>(operations, network, replicas, examples);
    add_fused_spectrum<B>(operations, network, replicas, examples);
    return operations;
}

}  // namespace espectra
