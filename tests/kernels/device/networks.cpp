// Evaluations, Hessians and Hessian–vector products of whole networks on a device.

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/network_list.hpp"
#include "kernels/device/sliced_array.hpp"
#include "support/backend_work.hpp"
#include <algorithm>
#include <string>

namespace espectra::test {
namespace {

/// Bytes of chunks that hold all examples of these networks.
constexpr std::size_t chunk_bytes = std::size_t{1} << 22;

/// Most examples of a Hessian of a whole network; hessian.cpp has more of them, around every limit.
constexpr Index hessian_examples = 35;

TYPED_TEST(Device, EvaluatesAsTheCpuDoes) {
    for (const NetworkCase& c : networks()) {
        SCOPED_TRACE(name(c));
        const Values expected = evaluation(this->cpu_, c), actual = evaluation(*this->context_, c);
        if (has_few_inputs(c.network)) {
            EXPECT_TRUE(identical(expected, actual));
        } else {
            EXPECT_LT(relative_error(expected, actual), 1e-14);
        }
    }
}

// With the arithmetic of the CPU: the same bits of every activation with every loss, with and without hidden
// layers, for one example and for several chunks; and the second derivatives of every activation.
TYPED_TEST(Device, EvaluatesAllActivationsAndLosses) {
    using enum Activation;
    for (const Loss loss : all_values<Loss>) {
        for (const Activation activation : all_values<Activation>)
            for (const bool beta : {true, false}) {
                if (!beta && activation != esp) continue;
                const NetworkCase c = make_case({{3, 4, 2}, {activation}, beta, 1.5, loss, 0.3}, 37, 2);
                EXPECT_TRUE(identical(evaluation(this->cpu_, c), evaluation(*this->context_, c))) << name(c);
                if (loss != Loss::softmax_cross_entropy) continue;
                EXPECT_LT(relative_error(hessians(this->cpu_, c, HessianPart::full, chunk_bytes),
                                         hessians(*this->context_, c, HessianPart::full, chunk_bytes)),
                          1e-13)
                    << name(c);
                EXPECT_LT(relative_error(hessian_times_vector(this->cpu_, c),
                                         hessian_times_vector(*this->context_, c)),
                          1e-13)
                    << name(c);
            }
        for (const Index examples : {1, 600}) {
            const NetworkCase c = make_case({{4, 3}, {}, true, 1.0, loss}, examples, 2);
            EXPECT_TRUE(identical(evaluation(this->cpu_, c), evaluation(*this->context_, c))) << name(c);
        }
    }
}

TYPED_TEST(Device, HessiansEqualTheCpus) {
    for (const NetworkCase& c : networks(hessian_examples))
        for (const HessianPart part : {HessianPart::full, HessianPart::gauss_newton})
            EXPECT_LT(relative_error(hessians(this->cpu_, c, part, chunk_bytes),
                                     hessians(*this->context_, c, part, chunk_bytes)),
                      1e-13)
                << name(c);
}

// The Hessian in chunks of examples: the last of them smaller, and one of each example.
TYPED_TEST(Device, HessiansInChunksOfExamples) {
    using enum Activation;
    for (const NetworkCase& c : {make_case({{2, 3, 2}, {esp}, true, 1.0, Loss::softmax_cross_entropy}, 23, 2),
                                 make_case({{3, 2, 2, 1}, {relu, tanh}, true, 1.0, {}}, 11, 3)}) {
        const Values expected = hessians(this->cpu_, c, HessianPart::full, chunk_bytes);
        for (const std::size_t bytes : {std::size_t{1}, std::size_t{3000}, std::size_t{9000}})
            EXPECT_LT(relative_error(expected, hessians(*this->context_, c, HessianPart::full, bytes)), 1e-13)
                << name(c) << ", " << bytes << " bytes";
    }
}

TYPED_TEST(Device, HessianVectorProductsEqualTheCpus) {
    for (const NetworkCase& c : networks(hessian_examples))
        EXPECT_LT(
            relative_error(hessian_times_vector(this->cpu_, c), hessian_times_vector(*this->context_, c)),
            1e-13)
            << name(c);
}

TYPED_TEST(Device, TwoRunsGiveTheSameBits) {
    const NetworkCase c = make_case({{18, 5, 2}, {Activation::esp}, true, 1.0, {}}, 300, 2);
    EXPECT_TRUE(identical(evaluation(*this->context_, c), evaluation(*this->context_, c)));
    EXPECT_TRUE(identical(hessians(*this->context_, c, HessianPart::full, chunk_bytes),
                          hessians(*this->context_, c, HessianPart::full, chunk_bytes)));
    EXPECT_TRUE(
        identical(hessian_times_vector(*this->context_, c), hessian_times_vector(*this->context_, c)));
}

}  // namespace
}  // namespace espectra::test
