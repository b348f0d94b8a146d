// Dense layers forward and backward against plain triple loops.

#include "espectra/kernels/dense.hpp"

#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace espectra {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr double untouched = 12345.678;

/// An array inside a bigger one: `pad` more elements at both ends of the last two axes, all of them
/// `untouched`.
class Padded {
  public:
    Padded(Index replicas, Index rows, Index columns, Index pad)
        : pad_(pad),
          rows_(rows),
          columns_(columns),
          data_(static_cast<std::size_t>(replicas * (rows + 2 * pad) * (columns + 2 * pad)), untouched),
          replicas_(replicas) {}

    View<double, 3> view() {
        return make_view(data_.data(), replicas_, rows_ + 2 * pad_, columns_ + 2 * pad_)
            .slice(1, pad_, rows_)
            .slice(2, pad_, columns_);
    }
    void fill(std::uint32_t stream) {
        const RandomStream random(21, stream);
        const auto v = view();
        std::uint64_t i = 0;
        for (Index r = 0; r < replicas_; ++r)
            for (Index row = 0; row < rows_; ++row)
                for (Index column = 0; column < columns_; ++column) v(r, row, column) = random.normal(i++);
    }
    /// How many elements around the array still are `untouched`.
    bool padding_intact() {
        Index count = 0;
        for (const double value : data_) count += value == untouched;
        return count == static_cast<Index>(data_.size()) - replicas_ * rows_ * columns_;
    }
    const std::vector<double>& data() const { return data_; }

  private:
    Index pad_, rows_, columns_;
    std::vector<double> data_;
    Index replicas_;
};

struct Shape {
    Index replicas, inputs, units, examples;
    bool shared_input = false;
    Index pad = 0;
    std::string text() const {
        return std::to_string(replicas) + " × (" + std::to_string(inputs) + " → " + std::to_string(units) +
               "), " + std::to_string(examples) + " examples, shared " + std::to_string(shared_input) +
               ", pad " + std::to_string(pad);
    }
};

std::vector<Shape> shapes() {
    std::vector<Shape> list;
    const Index sizes[] = {1, 2, 15, 16, 17, 31, 33, 257};
    for (const Index inputs : sizes)
        for (const Index units : sizes) list.push_back({1, inputs, units, 5, false, 0});
    for (const Index examples : {1, 511, 512, 513, 1300})
        for (const Index replicas : {1, 3})
            for (const Index inputs : {2, 17})
                for (const bool shared : {false, true})
                    list.push_back({replicas, inputs, 3, examples, shared, 2});
    list.push_back({3, 33, 31, 40, true, 3});
    list.push_back({2, 16, 257, 513, false, 1});
    return list;
}

/// All arguments and results of a layer, forward and backward.
struct LayerCase {
    Shape shape;
    Padded weights, bias, beta, input, output, d_h, d_beta, d_hh, d_hbeta, d_betabeta;
    Padded delta, weights_gradient, bias_gradient, beta_gradient, input_delta;

    explicit LayerCase(const Shape& s)
        : shape(s),
          weights(s.replicas, s.units, s.inputs, s.pad),
          bias(s.replicas, 1, s.units, s.pad),
          beta(s.replicas, 1, s.units, s.pad),
          input(s.shared_input ? 1 : s.replicas, s.inputs, s.examples, s.pad),
          output(s.replicas, s.units, s.examples, s.pad),
          d_h(output),
          d_beta(output),
          d_hh(output),
          d_hbeta(output),
          d_betabeta(output),
          delta(output),
          weights_gradient(weights),
          bias_gradient(bias),
          beta_gradient(beta),
          input_delta(s.replicas, s.inputs, s.examples, s.pad) {
        weights.fill(0);
        bias.fill(1);
        beta.fill(2);
        input.fill(3);
        delta.fill(4);
    }

    static View<double, 2> vector_of(Padded& array) {
        const View<double, 3> v = array.view();
        View<double, 2> vector;
        vector.data = v.data;
        vector.extent[0] = v.extent[0];
        vector.extent[1] = v.extent[2];
        vector.stride[0] = v.stride[0];
        vector.stride[1] = 1;
        return vector;
    }
    View<const double, 3> input_view() {
        return shape.shared_input ? share(input.view()[0], shape.replicas) : input.view();
    }

    void forward(CpuContext& context, Activation activation) {
        dense_forward(context, {.activation = activation,
                                .weights = weights.view(),
                                .bias = vector_of(bias),
                                .beta = vector_of(beta),
                                .input = input_view(),
                                .output = output.view(),
                                .derivatives = {.d_h = d_h.view(),
                                                .d_beta = d_beta.view(),
                                                .d_hh = d_hh.view(),
                                                .d_hbeta = d_hbeta.view(),
                                                .d_betabeta = d_betabeta.view()}});
    }
    void backward(CpuContext& context) {
        dense_backward(context, {.weights = weights.view(),
                                 .input = input_view(),
                                 .d_h = d_h.view(),
                                 .d_beta = d_beta.view(),
                                 .delta = delta.view(),
                                 .weights_gradient = weights_gradient.view(),
                                 .bias_gradient = vector_of(bias_gradient),
                                 .beta_gradient = vector_of(beta_gradient),
                                 .input_delta = input_delta.view()});
    }
    std::vector<Padded*> results() {
        return {&output,           &d_h,           &d_beta,        &d_hh,       &d_hbeta, &d_betabeta, &delta,
                &weights_gradient, &bias_gradient, &beta_gradient, &input_delta};
    }
};

/// Rounding of a sum of `terms` products whose sizes add up to `size`: at most terms·ε·size on either side.
double sum_tolerance(Index terms, double size) { return 2 * static_cast<double>(terms + 2) * eps * size; }

double pre_activation(LayerCase& c, Index r, Index i, Index e, double* size = nullptr) {
    double h = LayerCase::vector_of(c.bias)(r, i), sizes = std::fabs(h);
    for (Index j = 0; j < c.shape.inputs; ++j) {
        const double term = c.weights.view()(r, i, j) * c.input_view()(r, j, e);
        h += term;
        sizes += std::fabs(term);
    }
    if (size) *size = sizes;
    return h;
}

// esp, |φ_h| ≤ 1.1 and its derivatives at β·h bounded by a few |h|^n: an error of h by d changes each part by
// at most 4(1 + |h| + |β|)³ d (σ and its derivatives are below 1).
TEST(DenseForward, EqualsPlainLoops) {
    CpuContext context(2);
    for (const Shape& shape : shapes()) {
        LayerCase c(shape);
        c.forward(context, Activation::esp);
        for (Index r = 0; r < shape.replicas; ++r)
            for (Index i = 0; i < shape.units; ++i)
                for (Index e = 0; e < shape.examples; ++e) {
                    double size = 0;
                    const double h = pre_activation(c, r, i, e, &size),
                                 b = LayerCase::vector_of(c.beta)(r, i);
                    const double grow = 1 + std::fabs(h) + std::fabs(b);
                    const double bound = 4 * grow * grow * grow * sum_tolerance(shape.inputs, size + 1);
                    const double s = 1 / (1 + std::exp(-b * h)), s1 = s * (1 - s), s2 = s1 * (1 - 2 * s);
                    ASSERT_NEAR(c.output.view()(r, i, e), h * s, bound) << shape.text();
                    ASSERT_NEAR(c.d_h.view()(r, i, e), s + b * h * s1, bound) << shape.text();
                    ASSERT_NEAR(c.d_beta.view()(r, i, e), h * h * s1, bound) << shape.text();
                    ASSERT_NEAR(c.d_hh.view()(r, i, e), 2 * b * s1 + b * b * h * s2, bound) << shape.text();
                    ASSERT_NEAR(c.d_hbeta.view()(r, i, e), 2 * h * s1 + b * h * h * s2, bound)
                        << shape.text();
                    ASSERT_NEAR(c.d_betabeta.view()(r, i, e), h * h * h * s2, bound) << shape.text();
                }
        for (Padded* array : {&c.output, &c.d_h, &c.d_beta, &c.d_hh, &c.d_hbeta, &c.d_betabeta})
            ASSERT_TRUE(array->padding_intact()) << shape.text();
    }
}

TEST(DenseBackward, EqualsPlainLoops) {
    CpuContext context(2);
    for (const Shape& shape : shapes()) {
        LayerCase c(shape);
        for (Padded* array : {&c.d_h, &c.d_beta}) array->fill(array == &c.d_h ? 5 : 6);
        Padded upstream = c.delta;  // δ^a, which backward overwrites
        c.backward(context);
        const auto da = upstream.view(), d_h = c.d_h.view(), d_beta = c.d_beta.view();
        const auto x = c.input_view();
        const Index m = shape.examples;
        for (Index r = 0; r < shape.replicas; ++r) {
            for (Index i = 0; i < shape.units; ++i) {
                for (Index e = 0; e < m; ++e)
                    ASSERT_EQ(c.delta.view()(r, i, e), da(r, i, e) * d_h(r, i, e)) << shape.text();
                double bias = 0, bias_size = 0, beta = 0, beta_size = 0;
                for (Index e = 0; e < m; ++e) {
                    bias += c.delta.view()(r, i, e);
                    bias_size += std::fabs(c.delta.view()(r, i, e));
                    beta += da(r, i, e) * d_beta(r, i, e);
                    beta_size += std::fabs(da(r, i, e) * d_beta(r, i, e));
                }
                ASSERT_NEAR(LayerCase::vector_of(c.bias_gradient)(r, i), bias, sum_tolerance(m, bias_size));
                ASSERT_NEAR(LayerCase::vector_of(c.beta_gradient)(r, i), beta, sum_tolerance(m, beta_size));
                for (Index j = 0; j < shape.inputs; ++j) {
                    double sum = 0, size = 0;
                    for (Index e = 0; e < m; ++e) {
                        sum += c.delta.view()(r, i, e) * x(r, j, e);
                        size += std::fabs(c.delta.view()(r, i, e) * x(r, j, e));
                    }
                    ASSERT_NEAR(c.weights_gradient.view()(r, i, j), sum, sum_tolerance(m, size))
                        << shape.text();
                }
            }
            for (Index j = 0; j < shape.inputs; ++j)
                for (Index e = 0; e < m; ++e) {
                    double sum = 0, size = 0;
                    for (Index i = 0; i < shape.units; ++i) {
                        const double term = c.weights.view()(r, i, j) * c.delta.view()(r, i, e);
                        sum += term;
                        size += std::fabs(term);
                    }
                    ASSERT_NEAR(c.input_delta.view()(r, j, e), sum, sum_tolerance(shape.units, size))
                        << shape.text();
                }
        }
        for (Padded* array :
             {&c.delta, &c.weights_gradient, &c.bias_gradient, &c.beta_gradient, &c.input_delta})
            ASSERT_TRUE(array->padding_intact()) << shape.text();
    }
}

TEST(Dense, SameBitsForAnyThreads) {
    for (const Shape& shape : {Shape{1, 64, 25, 1300}, {3, 2, 10, 1300, true}, {3, 40, 33, 513, false, 2}}) {
        std::vector<std::vector<double>> expected;
        for (const int threads : {1, 2, 3}) {
            CpuContext context(threads);
            LayerCase c(shape);
            c.forward(context, Activation::esp);
            c.backward(context);
            std::vector<std::vector<double>> results;
            for (Padded* array : c.results()) results.push_back(array->data());
            if (expected.empty()) expected = results;
            EXPECT_EQ(results, expected) << shape.text() << ", threads " << threads;
        }
    }
}

TEST(Dense, ReplicasAloneGiveTheSameBits) {
    CpuContext context(2);
    LayerCase all(Shape{3, 20, 6, 600});
    all.forward(context, Activation::tanh);
    all.backward(context);
    for (Index r = 0; r < 3; ++r) {
        LayerCase one(Shape{1, 20, 6, 600});
        const auto take = [&](Padded& from, Padded& to) {
            const auto source = from.view()[r], target = to.view()[0];
            for (Index i = 0; i < source.extent[0]; ++i)
                for (Index j = 0; j < source.extent[1]; ++j) target(i, j) = source(i, j);
        };
        LayerCase fresh(Shape{3, 20, 6, 600});  // δ^a before it was overwritten
        take(all.weights, one.weights);
        take(all.bias, one.bias);
        take(all.beta, one.beta);
        take(all.input, one.input);
        take(fresh.delta, one.delta);
        one.forward(context, Activation::tanh);
        one.backward(context);
        const auto of_one = one.results(), of_all = all.results();
        for (std::size_t k = 0; k < of_one.size(); ++k) {
            const auto a = of_one[k]->view()[0], b = of_all[k]->view()[r];
            for (Index i = 0; i < a.extent[0]; ++i)
                for (Index j = 0; j < a.extent[1]; ++j) ASSERT_EQ(a(i, j), b(i, j)) << "array " << k;
        }
    }
}

TEST(DenseForward, FixedBetaAndNoDerivatives) {
    CpuContext context(2);
    LayerCase c(Shape{2, 3, 4, 7});
    DenseForward<Space::host> arguments = {.activation = Activation::sigmoid,
                                           .weights = c.weights.view(),
                                           .bias = LayerCase::vector_of(c.bias),
                                           .beta = {},
                                           .fixed_beta = -0.5,
                                           .input = c.input.view(),
                                           .output = c.output.view(),
                                           .derivatives = {}};
    dense_forward(context, arguments);
    for (Index r = 0; r < 2; ++r)
        for (Index i = 0; i < 4; ++i)
            for (Index e = 0; e < 7; ++e)  // σ′ ≤ ¼: 3 terms of a few units
                EXPECT_NEAR(c.output.view()(r, i, e), 1 / (1 + std::exp(0.5 * pre_activation(c, r, i, e))),
                            32 * eps);
}

TEST(DenseBackward, LeavesOutWhatIsNotAskedFor) {
    CpuContext context(2);
    LayerCase all(Shape{2, 5, 4, 600}), some(Shape{2, 5, 4, 600});
    all.forward(context, Activation::esp);
    some.forward(context, Activation::esp);
    all.backward(context);
    DenseBackward<Space::host> arguments = {.weights = some.weights.view(),
                                            .input = some.input.view(),
                                            .d_h = some.d_h.view(),
                                            .d_beta = {},
                                            .delta = some.delta.view(),
                                            .weights_gradient = {},
                                            .bias_gradient = {},
                                            .beta_gradient = {},
                                            .input_delta = some.input_delta.view()};
    dense_backward(context, arguments);
    EXPECT_EQ(some.delta.data(), all.delta.data());
    EXPECT_EQ(some.input_delta.data(), all.input_delta.data());

    some.delta.fill(4);
    arguments.weights_gradient = some.weights_gradient.view();
    arguments.bias_gradient = LayerCase::vector_of(some.bias_gradient);
    arguments.input_delta = {};
    dense_backward(context, arguments);
    EXPECT_EQ(some.weights_gradient.data(), all.weights_gradient.data());
    EXPECT_EQ(some.bias_gradient.data(), all.bias_gradient.data());
}

TEST(Dense, ShapeMismatchHasTheNumbers) {
    CpuContext context(1);
    const auto message = [](auto&& call) -> std::string {
        try {
            call();
        } catch (const InputError& error) {
            return error.what();
        }
        return "";
    };
    LayerCase c(Shape{1, 64, 25, 8}), narrow(Shape{1, 63, 25, 8}), flat(Shape{1, 64, 24, 8}),
        brief(Shape{1, 64, 25, 7});
    const auto forward = [&](LayerCase& weights, LayerCase& input) {
        return message([&] {
            dense_forward(context, {.activation = Activation::relu,
                                    .weights = weights.weights.view(),
                                    .bias = LayerCase::vector_of(c.bias),
                                    .beta = {},
                                    .input = input.input.view(),
                                    .output = c.output.view(),
                                    .derivatives = {}});
        });
    };
    EXPECT_EQ(forward(c, c), "");
    EXPECT_EQ(forward(narrow, c), "dense_forward: weights, inputs: expected 64, got 63");
    EXPECT_EQ(forward(flat, c), "dense_forward: weights, units: expected 25, got 24");
    EXPECT_EQ(forward(c, brief), "dense_forward: input, examples: expected 8, got 7");
    const auto backward = [&](LayerCase& weights) {
        return message([&] {
            dense_backward(context, {.weights = weights.weights.view(),
                                     .input = c.input.view(),
                                     .d_h = c.d_h.view(),
                                     .d_beta = {},
                                     .delta = c.delta.view(),
                                     .weights_gradient = {},
                                     .bias_gradient = {},
                                     .beta_gradient = {},
                                     .input_delta = {}});
        });
    };
    EXPECT_EQ(backward(c), "");
    EXPECT_EQ(backward(narrow), "dense_backward: weights, inputs: expected 64, got 63");
    EXPECT_EQ(backward(flat), "dense_backward: weights, units: expected 25, got 24");
}

}  // namespace
}  // namespace espectra
