// Tests of the spectra of small networks in one step, on groups of threads, against assembly and LAPACK.

#include "espectra/kernels/group/fused_spectrum.hpp"

#include "espectra/models/evaluator.hpp"
#include "espectra/models/spectrum/analyzer.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "support/network_cases.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

using enum Activation;
constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr Index examples = 45;  // no multiple of any chunk

std::vector<NetworkShape> shapes() {
    std::vector<NetworkShape> list;
    for (const Loss loss : all_values<Loss>) {
        for (const Activation activation : {esp, relu, sigmoid, tanh}) {
            list.push_back({{2, 10, 1}, {activation}, true, 1.0, loss});
            list.push_back({{2, 4, 3, 1}, {activation}, true, 1.0, loss});
        }
        list.push_back({{2, 3, 2, 2, 3}, {esp, softplus, tanh}, true, 1.0, loss});
        list.push_back({{2, 3, 2, 2, 3}, {gelu, elu, leaky_relu}, true, 1.0, loss});
        list.push_back({{3, 4, 2}, {esp}, false, 2.5, loss});
        list.push_back({{3, 2}, {}, true, 1.0, loss});
    }
    list.push_back({{1, 1}, {}, true, 1.0, {}});
    return list;
}

std::string name(const NetworkCase& c) {
    return c.network.widths_text() + " " + c.network.activations_text() + " " +
           std::string(loss_name(c.network.loss()));
}

template <class Context>
std::vector<Spectrum> analyze(Context&& context, const NetworkCase& c, bool fused,
                              const SpectrumOptions& options = {}) {
    const auto replicas = static_cast<Index>(c.thetas.size());
    const std::vector<double> theta = c.flat_theta();
    const auto view = make_view(theta.data(), replicas, c.network.parameters());
    CpuContext cpu(1);
    Evaluator<CpuContext> evaluator(cpu, c.network, c.view(), replicas);
    evaluator.evaluate(view);
    SpectrumAnalyzer<std::remove_reference_t<Context>> analyzer(context, c.network, c.view(), replicas,
                                                                options);
    EXPECT_STREQ(analyzer.method(), fused ? "in one step" : "assembled, then solved");
    return analyzer.analyze(view, evaluator.gradient());
}

FusedSpectrum<Space::host> arguments(const NetworkCase& c) {
    FusedSpectrum<Space::host> a{};
    a.network = c.network.view();
    a.full = true;
    a.features = c.view().features;
    a.targets = c.view().targets;
    return a;
}

/// Entries of both Hessians are sums of `examples` terms of a few rounded factors, in different orders:
/// within (examples + depth)·ε of Σ|terms|, which is of the order of ‖H‖_F; ten factors is more than any term
/// has.
constexpr double entry_bound = (static_cast<double>(examples) + 10) * eps;

TEST(FusedSpectrum, HessianEqualsTheAssembled) {
    for (const NetworkShape& shape : shapes()) {
        const NetworkCase c = make_case(shape, examples);
        SCOPED_TRACE(name(c));
        const Index p = c.network.parameters();
        CpuContext cpu(1);
        std::vector<double> expected(static_cast<std::size_t>(p * p));
        for (const bool full : {true, false}) {
            auto a = arguments(c);
            a.full = full;
            const auto kernel = group::fused_spectrum_kernel(a);
            const Index stride = group::eigen_stride(static_cast<int>(p));
            std::vector<double> h(static_cast<std::size_t>(p * stride), 0.0), theta = c.thetas[0],
                                                                              work(kernel.shared_doubles());
            kernel.assemble(SerialGroup{}, h.data(), theta.data(), work.data());
            HessianAssembler<CpuContext>(cpu, c.network, c.view(), 1)
                .assemble(make_view(static_cast<const double*>(theta.data()), 1, p),
                          make_view(expected.data(), 1, p, p),
                          full ? HessianPart::full : HessianPart::gauss_newton);
            double squares = 0;
            for (Index i = 0; i < p; ++i)
                for (Index j = i; j < p; ++j)
                    squares += (i == j ? 1 : 2) * std::pow(expected[static_cast<std::size_t>(i * p + j)], 2);
            for (Index i = 0; i < p; ++i)
                for (Index j = i; j < p; ++j)
                    ASSERT_NEAR(h[static_cast<std::size_t>(i * stride + j)],
                                expected[static_cast<std::size_t>(i * p + j)],
                                entry_bound * std::sqrt(squares))
                        << i << ", " << j;
        }
    }
}

TEST(FusedSpectrum, EqualsAssemblyAndLapack) {
    for (const NetworkShape& shape : shapes()) {
        const NetworkCase c = make_case(shape, examples, 3);
        SCOPED_TRACE(name(c));
        const Index p = c.network.parameters();
        const SpectrumOptions options{.tolerance = 0, .gauss_newton = true};
        const auto expected = analyze(CpuContext(1), c, false, options);
        const auto actual = analyze(EmulatedContext(1), c, true, options);
        for (std::size_t r = 0; r < 3; ++r) {
            const Spectrum &x = actual[r], &y = expected[r];
            // ‖δH‖_F ≤ P·entry, and two eigensolvers with 4·P·ε·‖H‖₂ each (group_eigen_test).
            const double bound =
                (static_cast<double>(p) * entry_bound + 2 * automatic_tolerance(p)) * y.frobenius;
            ASSERT_EQ(x.failure, "");
            ASSERT_EQ(x.eigenvalues.size(), y.eigenvalues.size());
            EXPECT_TRUE(std::is_sorted(x.eigenvalues.begin(), x.eigenvalues.end()));
            for (std::size_t i = 0; i < x.eigenvalues.size(); ++i) {
                EXPECT_NEAR(x.eigenvalues[i], y.eigenvalues[i], bound) << i;
                EXPECT_NEAR(x.gauss_newton[i], y.gauss_newton[i], bound) << i;
            }
            EXPECT_EQ(x.gamma_dead, y.gamma_dead);
            EXPECT_NEAR(x.trace, y.trace, static_cast<double>(p) * entry_bound * y.frobenius);
            EXPECT_NEAR(x.frobenius, y.frobenius, static_cast<double>(p) * entry_bound * y.frobenius);
            EXPECT_LE(x.trace_error, 2 * automatic_tolerance(p));
            EXPECT_EQ(std::isnan(x.symmetry_residual), std::isnan(y.symmetry_residual));
            EXPECT_FALSE(x.symmetry_residual > 1e-13);
        }
    }
}

/// A 2-4-2 relu network with an inactive unit and one replica that is not finite.
NetworkCase with_dead_unit() {
    NetworkCase c = make_case({{2, 4, 2}, {relu}, true, 1.0, Loss::softmax_cross_entropy}, examples, 3);
    c.thetas[1][9] = -1000;
    c.thetas[2][0] = std::nan("");
    return c;
}

TEST(FusedSpectrum, DeadUnitsAndFailures) {
    const NetworkCase c = with_dead_unit();
    const auto expected = analyze(CpuContext(1), c, false), actual = analyze(EmulatedContext(33), c, true);
    EXPECT_EQ(actual[1].gamma_dead, expected[1].gamma_dead);
    EXPECT_GE(std::count(actual[1].eigenvalues.begin(), actual[1].eigenvalues.end(), 0.0), 5);
    for (std::size_t i = 0; i < actual[1].eigenvalues.size(); ++i)
        EXPECT_NEAR(actual[1].eigenvalues[i], expected[1].eigenvalues[i], 1e-12 * expected[1].frobenius);
    EXPECT_EQ(actual[2].failure, "the Hessian has entries that are not finite");
    EXPECT_EQ(actual[0].failure, "");
}

TEST(FusedSpectrum, AWrongGradientShows) {
    const NetworkCase c = make_case({{2, 6, 1}, {esp}}, examples);
    const Index p = c.network.parameters();
    EmulatedContext context(1);
    SpectrumAnalyzer<EmulatedContext> analyzer(context, c.network, c.view(), 1, {});
    const std::vector<double> theta = c.flat_theta();
    const std::vector<double> wrong(theta.size(), 0.0);
    const auto spectra = analyzer.analyze(make_view(theta.data(), 1, p), make_view(wrong.data(), 1, p));
    EXPECT_GE(spectra[0].symmetry_residual, 1e-4);
}

TEST(FusedSpectrum, SameBitsForAnyThreads) {
    for (const NetworkCase& c : {make_case({{2, 4, 3, 1}, {esp}}, examples, 2), with_dead_unit()}) {
        const auto expected = analyze(EmulatedContext(1), c, true);
        for (const int size : {31, 32, 33, 128})
            for (const Schedule schedule : {Schedule::free, Schedule::descending}) {
                if (size == 128 && schedule == Schedule::descending) continue;
                const auto actual = analyze(EmulatedContext(size, schedule), c, true);
                for (std::size_t r = 0; r < expected.size(); ++r) {
                    EXPECT_EQ(actual[r].failure, expected[r].failure);
                    if (!expected[r].failure.empty()) continue;
                    EXPECT_EQ(actual[r].eigenvalues, expected[r].eigenvalues) << size;
                    EXPECT_EQ(actual[r].symmetry_residual == expected[r].symmetry_residual, true) << size;
                    EXPECT_EQ(actual[r].frobenius, expected[r].frobenius) << size;
                }
            }
    }
}

TEST(FusedSpectrum, TheCpuGivesTheSameBits) {
    const NetworkCase c = make_case({{2, 10, 1}, {esp}}, examples, 3);
    const Index p = c.network.parameters();
    const std::vector<double> theta = c.flat_theta();
    const auto values = [&](auto&& context) {
        std::vector<double> result(static_cast<std::size_t>(3 * p)), numbers(9);
        std::vector<unsigned char> nonzero(result.size());
        auto a = arguments(c);
        a.theta = make_view(theta.data(), 3, p);
        a.trace = make_view(numbers.data(), 3);
        a.frobenius = make_view(numbers.data() + 3, 3);
        a.nonzero_row = make_view(nonzero.data(), 3, p);
        a.eigenvalues = make_view(result.data(), 3, p);
        fused_spectrum(context, a);
        result.insert(result.end(), numbers.begin(), numbers.end());
        return result;
    };
    EXPECT_EQ(values(CpuContext(2)), values(EmulatedContext(33)));
}

TEST(FusedSpectrum, LargerNetworksDoNotFit) {
    const EmulatedContext context(1);
    const auto fits = [&](const std::vector<Index>& widths) {
        const Network network({widths, {esp}});
        return fused_spectrum_fits(context, network.view());
    };
    EXPECT_TRUE(fits({2, 10, 1}));
    EXPECT_TRUE(fits({2, 8, 2, 1}));
    EXPECT_FALSE(fits({2, 13, 1}));          // 67 parameters
    EXPECT_FALSE(fits({1, 1, 1, 1, 1, 1}));  // five layers
    EXPECT_TRUE(fits({2, 12, 1}));
}

}  // namespace
}  // namespace espectra::test
