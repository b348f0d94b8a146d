// The steps of the exact Hessian on a device: slices of arrays, and shapes on both sides of the limits of the
// kernels, with whole numbers, which have to give equal numbers.

#include "espectra/kernels/hessian.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include <string>
#include <utility>

namespace espectra::test {
namespace {

const auto expect_equal = [](const Values& expected, const Values& actual) {
    EXPECT_TRUE(equal(expected, actual));
};

/// Arrays of a case: [R, rows, columns, m] and [R, rows, m] of whole numbers.
template <class C>
class Arrays {
  public:
    Arrays(C& context, Index replicas, Index examples)
        : context_(&context), replicas_(replicas), examples_(examples) {}

    auto matrices(Index rows, Index columns) {
        return sliced(*context_, whole_numbers(replicas_ * rows * columns * examples_, ++stream_), replicas_,
                      rows, columns, examples_);
    }
    auto symmetric(Index n) {
        return sliced(*context_, symmetric_whole_numbers(replicas_, n, examples_, ++stream_), replicas_, n, n,
                      examples_);
    }
    auto rows(Index count) {
        return sliced(*context_, whole_numbers(replicas_ * count * examples_, ++stream_), replicas_, count,
                      examples_);
    }
    auto weights(Index rows, Index columns) {
        return sliced(*context_, whole_numbers(replicas_ * rows * columns, ++stream_), replicas_, rows,
                      columns);
    }
    auto matrix_results(Index rows, Index columns) {
        return sliced_results(*context_, replicas_, rows, columns, examples_);
    }
    auto row_results(Index count) { return sliced_results(*context_, replicas_, count, examples_); }

    /// Hessians [R, P, P] to which something has been added before.
    auto hessians(Index parameters) {
        return sliced(*context_, whole_numbers(replicas_ * parameters * parameters, ++stream_), replicas_,
                      parameters, parameters);
    }

  private:
    C* context_;
    Index replicas_, examples_;
    std::uint32_t stream_ = 100;
};

struct UnitShape {
    Index replicas, units, examples;
};

// Around 512 examples at a time.
TYPED_TEST(Device, CurvatureOfActivations) {
    for (const auto& [R, n, m] :
         {UnitShape{1, 1, 1}, {2, 3, 17}, {1, 2, 511}, {1, 2, 512}, {2, 2, 513}, {1, 1, 1025}, {130, 2, 3}})
        for (const auto& [beta, delta] :
             {std::pair{true, true}, {true, false}, {false, true}, {false, false}}) {
            SCOPED_TRACE(std::to_string(n) + " units, " + std::to_string(m) + " examples" +
                         (beta ? ", beta" : "") + (delta ? ", delta" : ""));
            const auto work = [&](auto& context) {
                Arrays of(context, R, m);
                auto curvature = of.symmetric(n);
                auto d_h = of.rows(n), d_beta = of.rows(n), d_hh = of.rows(n), d_hbeta = of.rows(n),
                     d_betabeta = of.rows(n), output_delta = of.rows(n);
                auto a = of.matrix_results(n, n), mixed = of.matrix_results(n, n),
                     d = of.matrix_results(n, n);
                activation_curvature(context, {.output_curvature = curvature.view(),
                                               .derivatives = {.d_h = d_h.view(),
                                                               .d_beta = given(beta, d_beta.view()),
                                                               .d_hh = d_hh.view(),
                                                               .d_hbeta = given(beta, d_hbeta.view()),
                                                               .d_betabeta = given(beta, d_betabeta.view())},
                                               .output_delta = given(delta, output_delta.view()),
                                               .curvature = a.view(),
                                               .mixed = given(beta, mixed.view()),
                                               .beta_curvature = given(beta, d.view())});
                Values results;
                for (auto* array : {&a, &mixed, &d}) array->append_to(results);
                return results;
            };
            this->on_both(work, expect_equal);
        }
}

struct ProductShape {
    Index replicas, rows, inner, columns, examples;
};

// Tiles have 64 of `columns` and 64 examples, and the inner index passes in slabs of 16.
TYPED_TEST(Device, ProductsOfEachExample) {
    for (const auto& [R, p, q, i, m] : {ProductShape{1, 1, 1, 1, 1},
                                        {2, 2, 15, 63, 65},
                                        {1, 3, 16, 64, 64},
                                        {1, 1, 17, 65, 63},
                                        {1, 2, 33, 2, 513},
                                        {1, 5, 2, 3, 2},
                                        {7, 2, 2, 2, 3}})
        for (const bool d_h_given : {true, false}) {
            SCOPED_TRACE(std::to_string(p) + " × " + std::to_string(q) + " × " + std::to_string(i) + ", " +
                         std::to_string(m) + " examples" + (d_h_given ? ", with φ_h" : ""));
            const auto work = [&](auto& context) {
                Arrays of(context, R, m);
                auto matrix = of.matrices(p, q), other = of.matrices(q, i);
                auto d_h = of.rows(q), d_h_of_rows = of.rows(p);
                auto weights = of.weights(q, i), turned = of.weights(q, p), outgoing = of.weights(p, i);
                auto pulled = of.matrix_results(p, i), product = of.matrix_results(p, i),
                     jacobian = of.matrix_results(p, i);
                auto vector = of.row_results(p);
                pull_back(context, {.matrix = matrix.view(),
                                    .d_h = given(d_h_given, d_h.view()),
                                    .weights = weights.view(),
                                    .product = pulled.view()});
                weights_transposed_times(
                    context, {.weights = turned.view(), .matrix = other.view(), .product = product.view()});
                layer_jacobian(
                    context,
                    {.d_h = d_h_of_rows.view(), .weights = outgoing.view(), .jacobian = jacobian.view()});
                curvature_times_vector(
                    context, {.curvature = matrix.view(), .vector = d_h.view(), .product = vector.view()});
                Values results;
                for (auto* array : {&pulled, &product, &jacobian}) array->append_to(results);
                vector.append_to(results);
                return results;
            };
            this->on_both(work, expect_equal);
        }
}

/// Positions of a layer's parameters that begin at `first`, with or without β, and the position after them.
std::pair<LayerOffsets, Index> offsets_from(Index first, Index units, Index inputs, bool beta) {
    const Index bias = first + units * inputs, end = bias + units;
    return {{.weights = first, .bias = bias, .beta = beta ? end : -1}, beta ? end + units : end};
}

struct LayerShape {
    Index replicas, units, inputs, examples;
};

// Tiles have 64 pairs of units and 64 pairs of inputs (with β: 64 of units × units, and of inputs); 10 and 11
// units or features make 55 and 66 pairs, 14 make 105.
TYPED_TEST(Device, BlocksOfLayers) {
    for (const auto& [R, n, k, m] : {LayerShape{1, 1, 1, 1},
                                     {2, 3, 2, 15},
                                     {1, 10, 9, 16},
                                     {2, 11, 10, 17},
                                     {1, 8, 63, 33},
                                     {1, 9, 64, 2},
                                     {1, 33, 1, 3},
                                     {1, 2, 13, 257},
                                     {130, 2, 1, 2}})
        for (const bool beta : {true, false}) {
            SCOPED_TRACE(std::to_string(n) + " units, " + std::to_string(k) + " inputs, " +
                         std::to_string(m) + " examples" + (beta ? ", beta" : ""));
            const auto work = [&](auto& context) {
                const auto [offsets, end] = offsets_from(2, n, k, beta);
                Arrays of(context, R, m);
                auto input = of.rows(k);
                auto curvature = of.symmetric(n), mixed = of.matrices(n, n), d = of.symmetric(n);
                auto hessian = of.hessians(end + 1);
                contract_layer_block(context, {.input = input.view(),
                                               .curvature = curvature.view(),
                                               .mixed = given(beta, mixed.view()),
                                               .beta_curvature = given(beta, d.view()),
                                               .offsets = offsets,
                                               .hessian = hessian.view()});
                Values results;
                hessian.append_to(results);
                return results;
            };
            this->on_both(work, expect_equal);
        }
}

struct CrossShape {
    Index replicas, units, inputs, later_units, later_inputs, examples;
};

/// The block of a layer with the next one (`adjacent`) or one behind it.
template <class C>
Values cross_block(C& context, const CrossShape& s, bool beta, bool later_beta, bool delta, bool adjacent) {
    const auto& [R, n, k, later_n, behind, m] = s;
    const Index later_k = adjacent ? n : behind;
    const auto [offsets, middle] = offsets_from(1, n, k, beta);
    const auto [later_offsets, end] = offsets_from(middle + 1, later_n, later_k, later_beta);
    Arrays of(context, R, m);
    auto input = of.rows(k), d_h = of.rows(n), d_beta = of.rows(n), later_input = of.rows(later_k),
         later_delta = of.rows(later_n);
    auto v = of.matrices(later_n, n), u = of.matrices(later_n, n), jacobian = of.matrices(later_k, n);
    auto hessian = of.hessians(end + 1);
    contract_cross_block(context, {.input = input.view(),
                                   .d_h = d_h.view(),
                                   .d_beta = given(beta, d_beta.view()),
                                   .later_input = later_input.view(),
                                   .curvature = v.view(),
                                   .mixed = given(later_beta, u.view()),
                                   .later_delta = given(delta, later_delta.view()),
                                   .jacobian = given(delta && !adjacent, jacobian.view()),
                                   .offsets = offsets,
                                   .later_offsets = later_offsets,
                                   .hessian = hessian.view()});
    Values results;
    hessian.append_to(results);
    return results;
}

// Tiles have 64 rows (inputs, bias and β of a unit) and 64 columns (all parameters of the later layer).
TYPED_TEST(Device, BlocksOfTwoLayers) {
    for (const CrossShape& s : {CrossShape{1, 1, 1, 1, 1, 1},
                                {2, 3, 2, 2, 4, 17},
                                {1, 2, 62, 4, 14, 16},
                                {1, 3, 63, 5, 11, 33},
                                {2, 2, 64, 1, 65, 15},
                                {1, 5, 3, 13, 3, 513},
                                {9, 2, 1, 1, 2, 2}})
        for (const auto& [beta, later_beta] :
             {std::pair{true, true}, {true, false}, {false, true}, {false, false}})
            for (const auto& [delta, adjacent] : {std::pair{true, true}, {true, false}, {false, true}}) {
                if (beta != later_beta && s.inputs > 3) continue;
                SCOPED_TRACE(std::to_string(s.units) + " units, " + std::to_string(s.inputs) + " inputs, " +
                             std::to_string(s.later_units) + " later units, " + (beta ? "beta, " : "") +
                             (later_beta ? "later beta, " : "") + (delta ? "delta, " : "") +
                             (adjacent ? "adjacent" : "behind"));
                this->on_both([&](auto& c) { return cross_block(c, s, beta, later_beta, delta, adjacent); },
                              expect_equal);
            }
}

}  // namespace
}  // namespace espectra::test
