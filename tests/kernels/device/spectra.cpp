// Spectra of whole networks on a device, from θ to the counts of the indices.

#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/network_list.hpp"
#include "kernels/device/sliced_array.hpp"
#include "support/backend_work.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

/// Returns the spectra of all replicas.
template <class C>
std::vector<Spectrum> spectra(C& context, const NetworkCase& c, const SpectrumOptions& options = {}) {
    const ResidentCase<C> resident(context, c);
    Evaluator<C> evaluator(context, c.network, resident.examples(), resident.replicas);
    evaluator.evaluate(resident.theta());
    SpectrumAnalyzer<C> analyzer(context, c.network, resident.examples(), resident.replicas, options);
    return analyzer.analyze(resident.theta(), evaluator.gradient());
}

/// Expects eigenvalues within `bound`.
void expect_close(const std::vector<double>& expected, const std::vector<double>& actual, double bound) {
    ASSERT_EQ(actual.size(), expected.size());
    EXPECT_TRUE(std::is_sorted(actual.begin(), actual.end()));
    for (std::size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], bound) << i;
}

/// Expects the same spectra. Hessians agree to 1e-13 of their norm, as the tests of Hessians show, and by
/// Weyl's theorem so do their eigenvalues; the two solvers add automatic_tolerance() each.
void expect_same(const std::vector<Spectrum>& expected, const std::vector<Spectrum>& actual) {
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t r = 0; r < expected.size(); ++r) {
        const Spectrum &x = expected[r], &y = actual[r];
        SCOPED_TRACE("replica " + std::to_string(r));
        EXPECT_EQ(y.failure, x.failure);
        if (!x.failure.empty()) {
            EXPECT_TRUE(std::ranges::all_of(y.eigenvalues, [](double value) { return std::isnan(value); }));
            continue;
        }
        const double parameters = static_cast<double>(x.eigenvalues.size());
        const double rounding = 1e-13 + 2 * automatic_tolerance(std::ssize(x.eigenvalues));
        expect_close(x.eigenvalues, y.eigenvalues, rounding * x.frobenius);
        if (!x.gauss_newton.empty()) expect_close(x.gauss_newton, y.gauss_newton, rounding * x.frobenius);
        EXPECT_EQ(y.gamma_dead, x.gamma_dead);
        EXPECT_EQ(y.gamma_dead_inputs, x.gamma_dead_inputs);
        EXPECT_EQ(y.gamma_dead_units, x.gamma_dead_units);
        EXPECT_NEAR(y.trace, x.trace, rounding * std::sqrt(parameters) * x.frobenius);
        EXPECT_NEAR(y.frobenius, x.frobenius, rounding * x.frobenius);
        EXPECT_LT(y.trace_error, 1e-13);
        EXPECT_EQ(std::isnan(y.symmetry_residual), std::isnan(x.symmetry_residual));
        EXPECT_FALSE(y.symmetry_residual > 1e-13);
        // The device's counts are those of its own eigenvalues.
        const SpectralIndices indices = spectral_indices(y.eigenvalues, y.tolerance);
        EXPECT_EQ(y.alpha, indices.alpha);
        EXPECT_EQ(y.gamma, indices.gamma);
    }
}

TYPED_TEST(Device, SpectraEqualTheCpus) {
    for (const NetworkCase& c : networks(35)) {
        SCOPED_TRACE(name(c));
        const SpectrumOptions options = {.gauss_newton = true};
        expect_same(spectra(this->cpu_, c, options), spectra(*this->context_, c, options));
    }
}

/// A 9-8-2 relu network of 98 parameters, too large for one step, with a feature that is always zero; replica
/// 0 has no unit that is off, the others have more and more, and those in `failing` are not finite.
NetworkCase deflated_case(Index replicas, const std::vector<std::size_t>& failing) {
    NetworkCase c =
        make_case({{9, 8, 2}, {Activation::relu}, true, 1.0, Loss::softmax_cross_entropy}, 35, replicas, 3);
    std::fill_n(c.features.begin() + 35, 35, 0.0);
    for (std::size_t r = 0; r < c.thetas.size(); ++r)
        for (std::size_t unit = 0; unit < r; ++unit) c.thetas[r][9 * 8 + unit] = -1000;
    for (const std::size_t r : failing) c.thetas[r][0] = std::nan("");
    return c;
}

// Zero rows are removed: from one matrix in place, from a batch into matrices of one size. A matrix that is
// not finite spoils no other.
TYPED_TEST(Device, SpectraOfHessiansWithZeroRows) {
    for (const auto& [replicas, failing] : {std::pair<Index, std::vector<std::size_t>>{1, {}},
                                            {3, {}},
                                            {4, {0}},
                                            {4, {1, 2, 3}},
                                            {2, {0, 1}}}) {
        const NetworkCase c = deflated_case(replicas, failing);
        SCOPED_TRACE(name(c) + ", " + std::to_string(failing.size()) + " not finite");
        for (const bool vectors : {false, true}) {
            const SpectrumOptions options = {.eigenvectors = vectors, .gauss_newton = !vectors};
            const auto expected = spectra(this->cpu_, c, options),
                       actual = spectra(*this->context_, c, options);
            expect_same(expected, actual);
            for (std::size_t r = 0; r < actual.size(); ++r) {
                const bool failed = std::ranges::count(failing, r) > 0;
                EXPECT_EQ(actual[r].failure, failed ? "the Hessian has entries that are not finite" : "");
                if (failed) continue;
                EXPECT_GE(actual[r].gamma_dead, 8.0 / static_cast<double>(c.network.parameters()));
            }
        }
    }
}

// Without zero rows, matrices of a batch are solved where they are.
TYPED_TEST(Device, SpectraOfHessiansWithoutZeroRows) {
    const NetworkCase c =
        make_case({{4, 9, 2}, {Activation::esp}, true, 1.0, Loss::softmax_cross_entropy}, 30, 3);
    ASSERT_GT(c.network.parameters(), most_block_rows);
    const auto actual = spectra(*this->context_, c);
    expect_same(spectra(this->cpu_, c), actual);
    for (const Spectrum& spectrum : actual) EXPECT_EQ(spectrum.gamma_dead, 0);
}

/// ‖H v − λ v‖ ≤ rounding · ‖H‖_F for all eigenvectors, and their participation ratios.
TYPED_TEST(Device, EigenvectorsOfHessians) {
    for (const NetworkCase& c :
         {deflated_case(2, {}), make_case({{2, 4, 1}, {Activation::esp}, true, 1.0, {}}, 20, 2),
          make_case({{4, 9, 2}, {Activation::esp}, true, 1.0, {}}, 30, 1)}) {
        SCOPED_TRACE(name(c));
        const Index p = c.network.parameters();
        const auto actual = spectra(*this->context_, c, {.eigenvectors = true});
        const Values upper = hessians(this->cpu_, c, HessianPart::full, std::size_t{1} << 22);
        const double rounding = 1e-13 + 2 * automatic_tolerance(p);
        std::size_t next = 0;
        for (const Spectrum& spectrum : actual) {
            Values h(static_cast<std::size_t>(p * p));
            const auto matrix = make_view(h.data(), p, p);
            for (Index i = 0; i < p; ++i)
                for (Index j = i; j < p; ++j) matrix(i, j) = matrix(j, i) = upper[next++];
            const auto v = make_view(spectrum.eigenvectors.data(), p, p);
            for (Index e = 0; e < p; ++e) {
                double participation = 0;
                for (Index i = 0; i < p; ++i) {
                    double product = 0;
                    for (Index j = 0; j < p; ++j) product += matrix(i, j) * v(e, j);
                    ASSERT_NEAR(product, spectrum.eigenvalues[static_cast<std::size_t>(e)] * v(e, i),
                                rounding * spectrum.frobenius);
                    participation += v(e, i) * v(e, i) * v(e, i) * v(e, i);
                }
                // Sums of P positive terms in two orders.
                EXPECT_NEAR(spectrum.participation[static_cast<std::size_t>(e)], participation,
                            automatic_tolerance(p) * participation);
            }
        }
    }
}

// What a user gets for one network that has diverged: an error, from both ways to a spectrum.
TYPED_TEST(Device, OneNetworkThatIsNotFiniteThrows) {
    for (NetworkCase c : {make_case({{2, 3, 1}, {Activation::esp}, true, 1.0, {}}, 10),
                          make_case({{4, 9, 2}, {Activation::esp}, true, 1.0, {}}, 10)})
        for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
            c.thetas[0][1] = bad;
            c.thetas[0][2] = -bad;
            try {
                spectra(*this->context_, c);
                FAIL() << name(c) << ": no error";
            } catch (const NumericalError& error) {
                EXPECT_STREQ(error.what(), "the Hessian has entries that are not finite") << name(c);
            }
        }
}

// The digits network, with features that are always zero. It takes minutes on the emulated backend, where
// ctest leaves it out.
TYPED_TEST(Device, HeavySpectrumOfTheDigits) {
    NetworkCase c = make_case({{64, 25, 10}, {Activation::esp}, true, 1.0, {}}, 1437);
    for (Index j = 0; j < 64; j += 8) std::fill_n(c.features.begin() + j * 1437, 1437, 0.0);
    expect_same(spectra(this->cpu_, c), spectra(*this->context_, c));
}

}  // namespace
}  // namespace espectra::test
