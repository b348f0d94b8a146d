// Spectra in batches: each is that of its network alone, whatever rows are zero or not finite in others.

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "support/spectra.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace espectra {
namespace {

using namespace test;
using enum Activation;

constexpr Loss softmax_loss = Loss::softmax_cross_entropy;

TEST(Batches, GiveTheSameBitsAsNetworksAlone) {
    const NetworkCase c = make_case({{3, 6, 2}, {esp}}, 30, 3);
    for (const int threads : {1, 2, 3}) {
        const auto together = analyze(c, {}, 0, threads);
        for (std::size_t r = 0; r < 3; ++r) {
            NetworkCase one = c;
            one.thetas = {c.thetas[r]};
            const auto alone = analyze(one);
            EXPECT_EQ(alone[0].eigenvalues, together[r].eigenvalues);
            EXPECT_EQ(alone[0].symmetry_residual, together[r].symmetry_residual);
            EXPECT_EQ(alone[0].trace_error, together[r].trace_error);
        }
    }
}

/// Five 2-3-2 relu networks with 0, 1, 2, 3 and 0 hidden units that are off for all examples.
NetworkCase with_dead_units() {
    NetworkCase c = make_case({{2, 3, 2}, {relu}, true, 1.0, softmax_loss}, 15, 5, 4);
    for (std::size_t r = 0; r < 5; ++r)
        for (std::size_t unit = 0; unit < 3; ++unit) c.thetas[r][6 + unit] = r < 4 && unit < r ? -1000 : 3;
    return c;
}

/// Bound of the difference of eigenvalues solved alone and in a batch: the rounding of the eigensolver,
/// 4·n·ε·‖·‖ (group_eigen_test), with ‖H‖ alone and with 2‖H‖_F in a batch.
double batch_bound(const Spectrum& spectrum) {
    return 3 * automatic_tolerance(static_cast<Index>(spectrum.eigenvalues.size())) * spectrum.frobenius;
}

/// Compares `together`, the spectrum of replica r in a batch on the same backend, with its spectrum alone.
template <class Context>
void expect_equal_to_alone(Context& context, const NetworkCase& c, std::size_t r, const Spectrum& together) {
    NetworkCase one = c;
    one.thetas = {c.thetas[r]};
    const Spectrum alone = analyze_on(context, one)[0];
    EXPECT_EQ(together.failure, "");
    ASSERT_EQ(together.eigenvalues.size(), alone.eigenvalues.size());
    EXPECT_TRUE(std::is_sorted(together.eigenvalues.begin(), together.eigenvalues.end()));
    for (std::size_t i = 0; i < alone.eigenvalues.size(); ++i)
        EXPECT_NEAR(together.eigenvalues[i], alone.eigenvalues[i], batch_bound(alone)) << i;
    EXPECT_EQ(together.gamma_dead, alone.gamma_dead);
    EXPECT_EQ(together.frobenius, alone.frobenius);
    EXPECT_EQ(together.symmetry_residual, alone.symmetry_residual);
    EXPECT_LE(together.trace_error, 3 * automatic_tolerance(c.network.parameters()));
    const SpectralIndices indices = spectral_indices(together.eigenvalues, together.tolerance);
    EXPECT_EQ(together.alpha, indices.alpha);
    EXPECT_EQ(together.gamma, indices.gamma);
}

/// Calls test(context) on the CPU and on emulated devices that assemble and solve in batches.
template <class Test>
void on_backends(Test&& test) {
    CpuContext cpu(2);
    test(cpu);
    for (const int size : {1, 33}) {
        SCOPED_TRACE(size);
        EmulatedContext device(size);
        device.fuses_spectra = false;
        test(device);
    }
}

TEST(Batches, DeflateEachReplicaByItself) {
    NetworkCase c = with_dead_relu();
    const NetworkCase alive = make_case(c.network.shape(), 15, 2, 9);
    c.thetas = {alive.thetas[0], c.thetas[0], alive.thetas[1]};
    const auto spectra = analyze(c, {.tolerance = 0, .eigenvectors = true, .gauss_newton = true});
    for (std::size_t r = 0; r < 3; ++r) {
        const auto hessian = naive_hessian(c, r);
        expect_spectrum(spectra[r].eigenvalues, naive_spectrum(hessian), spectra[r].frobenius);
        int dead = 0;
        for (std::size_t i = 0; i < 17; ++i)
            dead += std::all_of(hessian.begin() + static_cast<Index>(i * 17),
                                hessian.begin() + static_cast<Index>((i + 1) * 17),
                                [](double v) { return v == 0; });
        EXPECT_EQ(spectra[r].gamma_dead, dead / 17.0);
    }
    EXPECT_EQ(spectra[1].gamma_dead, 5.0 / 17);
}

TEST(Batches, OfMatricesWithDifferentDeadRows) {
    const NetworkCase c = with_dead_units();
    on_backends([&](auto& context) {
        const auto spectra = analyze_on(context, c);
        for (std::size_t r = 0; r < 5; ++r) {
            SCOPED_TRACE(r);
            // Per unit two weights, the bias and two outgoing weights, of 2·3 + 3 + 3·2 + 2 = 17.
            const double dead = r == 1 ? 5 : r == 2 ? 10 : r == 3 ? 15 : 0;
            EXPECT_EQ(spectra[r].gamma_dead, dead / 17);
            EXPECT_GE(std::count(spectra[r].eigenvalues.begin(), spectra[r].eigenvalues.end(), 0.0), dead);
            expect_equal_to_alone(context, c, r, spectra[r]);
        }
    });
}

TEST(Batches, WhereNoUnitIsOn) {
    NetworkCase c = with_dead_units();
    for (auto& theta : c.thetas) std::fill_n(theta.begin() + 6, 3, -1000.0);
    on_backends([&](auto& context) {
        const auto spectra = analyze_on(context, c);
        for (std::size_t r = 0; r < 5; ++r) {
            EXPECT_EQ(spectra[r].gamma_dead, 15.0 / 17);  // two output biases remain
            expect_equal_to_alone(context, c, r, spectra[r]);
        }
    });
}

TEST(Batches, ANetworkThatIsNotFiniteFailsAlone) {
    for (const std::size_t bad : {1u, 2u}) {
        NetworkCase c = with_dead_units();
        c.thetas[bad][0] = std::nan("");
        if (bad == 1)  // no other network has dead rows
            for (const std::size_t r : {2u, 3u}) c.thetas[r] = c.thetas[4];
        on_backends([&](auto& context) {
            const auto spectra = analyze_on(context, c, {.tolerance = 0, .gauss_newton = true});
            for (std::size_t r = 0; r < 5; ++r) {
                SCOPED_TRACE(r);
                if (r != bad) {
                    expect_equal_to_alone(context, c, r, spectra[r]);
                    continue;
                }
                EXPECT_EQ(spectra[r].failure, "the Hessian has entries that are not finite");
                EXPECT_EQ(spectra[r].eigenvalues.size(), 17u);
                for (const auto& values : {spectra[r].eigenvalues, spectra[r].gauss_newton})
                    for (const double v : values) EXPECT_TRUE(std::isnan(v));
                EXPECT_TRUE(std::isnan(spectra[r].alpha));
            }
        });
        const auto spectra = analyze(c, {.tolerance = 0, .eigenvectors = true});
        EXPECT_NE(spectra[bad].failure, "");
        EXPECT_TRUE(std::isnan(spectra[bad].eigenvectors.front()));
        EXPECT_EQ(spectra[0].failure, "");
    }
}

TEST(Batches, AGradientThatIsNotFiniteFailsAlone) {
    const NetworkCase c = with_dead_units();
    CpuContext context(2);
    const auto spectra = analyze_on(context, c, {}, std::nan(""));  // of the first network
    EXPECT_EQ(spectra[0].failure, "the gradient is not finite");
    for (std::size_t r = 1; r < 5; ++r) expect_equal_to_alone(context, c, r, spectra[r]);
}

}  // namespace
}  // namespace espectra
