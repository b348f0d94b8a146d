// Tests of the CUDA backend on a device against the CPU backend. Without a device they are skipped, or fail
// with ESPECTRA_REQUIRE_GPU=1. The same tests run in every build on the emulated backend, so that they are
// known to be correct before they run on a device.

#include "espectra/kernels/eigen.hpp"
#include "espectra/models/spectrum/analyzer.hpp"
#include "espectra/models/trainer.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "support/backend_work.hpp"
#include <cstdlib>
#include <memory>
#include <string>
#include <type_traits>

#if ESPECTRA_WITH_CUDA
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/device.hpp"
#endif

namespace espectra::test {
namespace {

template <class C>
class Device : public ::testing::Test {
  protected:
    void SetUp() override {
        if constexpr (std::is_same_v<C, EmulatedContext>) {
            context_ = std::make_unique<C>(1);
        } else {
#if ESPECTRA_WITH_CUDA
            if (cuda_problem().empty()) {
                context_ = std::make_unique<C>();
                return;
            }
#endif
            const char* required = std::getenv("ESPECTRA_REQUIRE_GPU");
            if (required && std::string(required) != "0")
                FAIL() << "no CUDA device, and ESPECTRA_REQUIRE_GPU is set";
            GTEST_SKIP() << "no CUDA device";
        }
    }

    static constexpr bool emulated = std::is_same_v<C, EmulatedContext>;
    std::unique_ptr<C> context_;
    CpuContext cpu_{2};
};

#if ESPECTRA_WITH_CUDA
using Backends = ::testing::Types<EmulatedContext, CudaContext>;
#else
using Backends = ::testing::Types<EmulatedContext>;
#endif

struct Names {
    template <class C>
    static std::string GetName(int) {
        return std::is_same_v<C, EmulatedContext> ? "Emulated" : "Cuda";
    }
};
TYPED_TEST_SUITE(Device, Backends, Names);

constexpr std::size_t chunk_bytes = std::size_t{1} << 22;

std::vector<NetworkCase> cases() {
    using enum Activation;
    constexpr Loss softmax = Loss::softmax_cross_entropy;
    return {make_case({{1, 1, 1}, {esp}, true, 1.0, {}}, 1),
            make_case({{2, 10, 1}, {esp}, true, 1.0, {}}, 690, 3),
            make_case({{3, 4, 3, 3, 2}, {esp, relu, tanh}, true, 1.0, softmax}, 130, 2),
            make_case({{3, 5, 2}, {softplus}, true, 1.0, Loss::mean_squared_error}, 33, 2),
            make_case({{3, 5, 4, 3, 2}, {gelu, elu, leaky_relu}, true, 1.0, softmax}, 65, 2),
            make_case({{17, 20, 5}, {sigmoid}, true, 1.0, softmax}, 515, 2)};
}

// Layers with few inputs are computed operation by operation, as on the CPU; the others within the rounding
// of their sums.
TYPED_TEST(Device, EvaluatesAsTheCpuDoes) {
    for (const NetworkCase& c : cases()) {
        const Values expected = evaluation(this->cpu_, c), actual = evaluation(*this->context_, c);
        if (c.network.inputs() <= few_inputs) {
            EXPECT_TRUE(same_bits(expected, actual)) << c.network.widths_text();
        } else {
            EXPECT_LT(relative_error(expected, actual), 1e-14) << c.network.widths_text();
        }
    }
}

TYPED_TEST(Device, HessiansEqualTheCpus) {
    for (const NetworkCase& c : cases())
        for (const HessianPart part : {HessianPart::full, HessianPart::gauss_newton})
            EXPECT_LT(relative_error(hessians(this->cpu_, c, part, chunk_bytes),
                                     hessians(*this->context_, c, part, chunk_bytes)),
                      1e-13)
                << c.network.widths_text();
}

TYPED_TEST(Device, HessianVectorProductsEqualTheCpus) {
    for (const NetworkCase& c : cases())
        EXPECT_LT(
            relative_error(hessian_times_vector(this->cpu_, c), hessian_times_vector(*this->context_, c)),
            1e-13)
            << c.network.widths_text();
}

TYPED_TEST(Device, MatrixOperationsEqualTheCpus) {
    for (const Index n : {1, 35, 130}) {
        const Values expected = matrix_operations(this->cpu_, 3, n),
                     actual = matrix_operations(*this->context_, 3, n);
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            ASSERT_NEAR(actual[i], expected[i], 1e-15 * static_cast<double>(n) * std::fabs(expected[i])) << i;
    }
}

/// Returns the ascending eigenvalues of `matrices` [R, n, n], with `vectors` followed by the vectors.
template <class C>
Values solve(C& context, const Values& matrices, Index replicas, Index n, bool vectors) {
    auto memory = upload(context, matrices);
    Buffer<double, C::space> eigenvalues(context, replicas * n);
    if (vectors)
        symmetric_eigenvectors(context, {memory.view(replicas, n, n), eigenvalues.view(replicas, n)});
    else
        symmetric_eigenvalues(context, {memory.view(replicas, n, n), eigenvalues.view(replicas, n)});
    Values values = fetch(context, eigenvalues.data(), eigenvalues.size());
    if (vectors) append(context, values, memory.data(), memory.size());
    return values;
}

// Small, batched and large solvers, on matrices that lack rank as Hessians of relu networks do.
TYPED_TEST(Device, EigenvaluesEqualTheCpus) {
    for (const auto& [replicas, n] :
         {std::pair<Index, Index>{5, 1}, {7, 52}, {3, 64}, {4, 65}, {3, 200}, {1, 300}}) {
        Values matrices = matrices_with_dead_rows(replicas, n);
        for (double& value : matrices)
            if (value == 1e300) value = 0;  // below the diagonal: not read
        const Values expected = solve(this->cpu_, matrices, replicas, n, false);
        const Values actual = solve(*this->context_, matrices, replicas, n, false);
        for (Index r = 0; r < replicas; ++r) {
            const double largest = std::max(-expected[static_cast<std::size_t>(r * n)],
                                            expected[static_cast<std::size_t>((r + 1) * n - 1)]);
            for (Index i = r * n; i < (r + 1) * n; ++i)
                EXPECT_NEAR(actual[static_cast<std::size_t>(i)], expected[static_cast<std::size_t>(i)],
                            1e-12 * largest)
                    << "n = " << n;
        }
    }
}

TYPED_TEST(Device, EigenvectorsDiagonalise) {
    constexpr Index n = 70;
    Values matrix = matrices_with_dead_rows(1, n);
    for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < i; ++j)
            matrix[static_cast<std::size_t>(i * n + j)] = matrix[static_cast<std::size_t>(j * n + i)];
    const Values solution = solve(*this->context_, matrix, 1, n, true);
    for (Index e = 0; e < n; ++e)
        for (Index i = 0; i < n; ++i) {
            double product = 0;
            for (Index j = 0; j < n; ++j)
                product += matrix[static_cast<std::size_t>(i * n + j)] *
                           solution[static_cast<std::size_t>(n + e * n + j)];
            EXPECT_NEAR(
                product,
                solution[static_cast<std::size_t>(e)] * solution[static_cast<std::size_t>(n + e * n + i)],
                1e-12 * n);
        }
}

/// Returns θ, cost and gradient after `epochs` updates, which are done in three parts.
template <class C>
Values training(C& context, const NetworkCase& c, std::int64_t epochs, Optimizer optimizer) {
    const ResidentCase<C> resident(context, c);
    TrainingSettings settings;
    settings.optimizer = optimizer;
    settings.decay_steps = 20;
    Trainer<C> trainer(context, c.network, resident.examples(), {}, settings, c.flat_theta());
    for (const std::int64_t epoch : {epochs / 3, epochs / 3 + 1, epochs}) trainer.advance_to(epoch);
    const Snapshot<C> state = trainer.snapshot();
    Values values;
    for (const auto* part :
         {&state.theta, &state.gradient, &state.cost, &state.accuracy, &state.zero_residuals})
        append(context, values, part->data(), part->size());
    for (const std::int64_t epoch : trainer.diverged()) values.push_back(static_cast<double>(epoch));
    return values;
}

TYPED_TEST(Device, SmallNetworksTrainToTheCpusBits) {
    for (const Optimizer optimizer : {Optimizer::adam, Optimizer::gradient_descent})
        for (const NetworkCase& c : cases()) {
            if (c.network.inputs() > few_inputs) continue;
            EXPECT_TRUE(same_bits(training(this->cpu_, c, 30, optimizer),
                                  training(*this->context_, c, 30, optimizer)))
                << c.network.widths_text();
        }
}

// Few epochs, since rounding grows while a network trains.
TYPED_TEST(Device, LargerNetworksTrainAsOnTheCpu) {
    const NetworkCase c =
        make_case({{20, 18, 3}, {Activation::esp}, true, 1.0, Loss::softmax_cross_entropy}, 200, 2);
    EXPECT_LT(relative_error(training(this->cpu_, c, 10, Optimizer::adam),
                             training(*this->context_, c, 10, Optimizer::adam)),
              1e-9);
}

TYPED_TEST(Device, TwoRunsGiveTheSameBits) {
    const NetworkCase c = make_case({{20, 18, 3}, {Activation::esp}, true, 1.0, {}}, 300, 2);
    EXPECT_TRUE(same_bits(training(*this->context_, c, 20, Optimizer::adam),
                          training(*this->context_, c, 20, Optimizer::adam)));
    EXPECT_TRUE(same_bits(hessians(*this->context_, c, HessianPart::full, chunk_bytes),
                          hessians(*this->context_, c, HessianPart::full, chunk_bytes)));
}

/// Returns the spectra of all replicas and their certificates.
template <class C>
std::vector<Spectrum> spectra(C& context, const NetworkCase& c) {
    const ResidentCase<C> resident(context, c);
    Evaluator<C> evaluator(context, c.network, resident.examples(), resident.replicas);
    evaluator.evaluate(resident.theta());
    SpectrumAnalyzer<C> analyzer(context, c.network, resident.examples(), resident.replicas, {});
    return analyzer.analyze(resident.theta(), evaluator.gradient());
}

TYPED_TEST(Device, SpectraEqualTheCpus) {
    std::vector<NetworkCase> all = cases();
    // The digits network, with features that are always zero, on a device alone: it takes minutes elsewhere.
    if (!TestFixture::emulated) {
        all.push_back(make_case({{64, 25, 10}, {Activation::esp}, true, 1.0, {}}, 1437));
        for (Index j = 0; j < 64; j += 8) std::fill_n(all.back().features.begin() + j * 1437, 1437, 0.0);
    }
    for (const NetworkCase& c : all) {
        const auto expected = spectra(this->cpu_, c), actual = spectra(*this->context_, c);
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t r = 0; r < expected.size(); ++r) {
            const auto &x = expected[r].eigenvalues, &y = actual[r].eigenvalues;
            ASSERT_EQ(x.size(), y.size());
            const double largest = std::max(std::fabs(x.front()), std::fabs(x.back()));
            for (std::size_t i = 0; i < x.size(); ++i)
                EXPECT_NEAR(y[i], x[i], 1e-12 * largest) << c.network.widths_text();
            EXPECT_EQ(actual[r].gamma_dead, expected[r].gamma_dead);
            EXPECT_LT(actual[r].trace_error, 1e-13);
            EXPECT_TRUE(std::isnan(actual[r].symmetry_residual) || actual[r].symmetry_residual < 1e-13);
        }
    }
}

}  // namespace
}  // namespace espectra::test
