// Spectra of small networks in one step on a device. The CPU backend runs the same kernel by one thread, and
// any group of threads gives the same bits.

#include "espectra/kernels/fused_spectrum.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include "support/network_cases.hpp"
#include <cmath>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

/// Returns everything that fused_spectrum writes; eigenvalues that it does not write are NaN.
template <class C>
Values fused_spectra(C& context, const NetworkCase& c, bool full, bool directions) {
    const Index replicas = std::ssize(c.thetas), p = c.network.parameters(), m = c.examples;
    const Values signs_of = directions ? c.network.scaling_directions() : Values{};
    auto features = sliced(context, c.features, c.network.inputs(), m),
         targets = sliced(context, c.targets, c.network.outputs(), m);
    auto signs = sliced(context, signs_of, std::ssize(signs_of) / p, p);
    Values gradients = c.flat_theta();
    for (double& value : gradients) value *= 0.125;
    auto theta = sliced(context, c.flat_theta(), replicas, p),
         gradient = sliced(context, gradients, replicas, p),
         eigenvalues = sliced_results(context, replicas, p);
    auto trace = sliced_results(context, replicas), frobenius = sliced_results(context, replicas),
         residual = sliced_results(context, replicas);
    SlicedArray<C, unsigned char, 2> nonzero(context, {replicas, p});
    fused_spectrum(context, {.network = c.network.view(),
                             .full = full,
                             .features = features.view(),
                             .targets = targets.view(),
                             .signs = signs.view(),
                             .theta = theta.view(),
                             .gradient = gradient.view(),
                             .trace = trace.view(),
                             .frobenius = frobenius.view(),
                             .residual = residual.view(),
                             .nonzero_row = nonzero.view(),
                             .eigenvalues = eigenvalues.view()});
    Values results;
    for (auto* array : {&trace, &frobenius, &residual}) array->append_to(results);
    nonzero.append_to(results);
    eigenvalues.append_to(results);
    return results;
}

const auto expect_identical = [](const Values& expected, const Values& actual) {
    EXPECT_TRUE(identical(expected, actual));
};

// 45 examples: no multiple of a chunk.
TYPED_TEST(Device, FusedSpectraOfAllActivationsAndLosses) {
    using enum Activation;
    for (const Loss loss : all_values<Loss>)
        for (const std::vector<Activation>& activations :
             {std::vector{esp, relu, sigmoid}, {tanh, linear, softplus}, {gelu, elu, leaky_relu}})
            for (const bool beta : {true, false}) {
                if (!beta && activations[0] != esp) continue;
                const NetworkCase c =
                    make_case({{2, 3, 2, 2, 3}, activations, beta, 1.5, loss, 0.25}, 45, 2, 3, 0.2);
                SCOPED_TRACE(c.network.activations_text() + ", " + std::string(loss_name(loss)));
                this->on_both([&](auto& b) { return fused_spectra(b, c, true, true); }, expect_identical);
                this->on_both([&](auto& b) { return fused_spectra(b, c, false, false); }, expect_identical);
            }
}

// From 2 parameters to the most, 64; without a hidden layer; one example; many replicas.
TYPED_TEST(Device, FusedSpectraOfAllSizes) {
    using enum Activation;
    constexpr Loss softmax = Loss::softmax_cross_entropy, squares = Loss::mean_squared_error;
    for (const NetworkCase& c : {make_case({{1, 1}, {}, true, 1.0, {}}, 1, 130),
                                 make_case({{1, 1, 1}, {esp}, true, 1.0, squares}, 33, 3),
                                 make_case({{3, 2}, {}, true, 1.0, softmax}, 32, 2),
                                 make_case({{2, 2, 1}, {relu}, true, 1.0, {}}, 31, 130),
                                 make_case({{2, 12, 1}, {esp}, true, 1.0, {}}, 40, 1),
                                 make_case({{28, 2, 1}, {esp}, true, 1.0, {}}, 100, 2),
                                 make_case({{31, 2}, {}, true, 1.0, softmax}, 7, 2)}) {
        SCOPED_TRACE(c.network.widths_text());
        this->on_both([&](auto& b) { return fused_spectra(b, c, true, true); }, expect_identical);
    }
    EXPECT_EQ(Network({{28, 2, 1}, {esp}}).parameters(), fused_spectrum_parameters);
    EXPECT_EQ(Network({{31, 2}, {}}).parameters(), fused_spectrum_parameters);
}

// A feature that is always zero, units that are off for all examples, all of them off, and a replica that is
// not finite.
TYPED_TEST(Device, FusedSpectraWithZeroRows) {
    NetworkCase c = make_case({{3, 4, 2}, {Activation::relu}, true, 1.0, Loss::softmax_cross_entropy}, 40, 4);
    std::fill_n(c.features.begin() + 40, 40, 0.0);
    const auto bias = [&](std::size_t replica, std::size_t unit) -> double& {
        return c.thetas[replica][3 * 4 + unit];
    };
    bias(1, 2) = -1000;
    for (std::size_t unit = 0; unit < 4; ++unit) bias(2, unit) = -1000;
    c.thetas[3][0] = std::nan("");
    this->on_both([&](auto& b) { return fused_spectra(b, c, true, true); },
                  [](const Values& expected, const Values& actual) {
                      EXPECT_TRUE(identical(expected, actual));
                      EXPECT_TRUE(std::isfinite(actual[6]));  // norms: trace, Frobenius
                      EXPECT_FALSE(std::isfinite(actual[7]));
                  });
}

}  // namespace
}  // namespace espectra::test
