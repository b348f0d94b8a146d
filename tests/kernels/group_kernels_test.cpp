// Tests of the group kernels of the CUDA backend on groups of threads: against hyper-dual numbers, against
// the CPU backend, and with one sync() left out, which has to change the result.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulation/emulated_context.hpp"
#include "support/backend_work.hpp"
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace espectra::test {
namespace {

/// One thread, less than a warp, a warp, more than one, and four.
constexpr int group_sizes[] = {1, 31, 32, 33, 128};

struct Setting {
    std::string name;
    NetworkShape shape;
    Index examples, replicas;
};

std::vector<Setting> settings() {
    using enum Activation;
    constexpr Loss sigmoid_ce = Loss::sigmoid_cross_entropy, softmax_ce = Loss::softmax_cross_entropy;
    return {
        {"width_one", {{1, 1, 1, 1}, {esp}, true, 1.0, sigmoid_ce}, 1, 1},
        {"esp", {{3, 4, 2}, {esp}, true, 1.0, sigmoid_ce}, 17, 2},
        {"esp_deep", {{3, 4, 3, 3, 2}, {esp}, true, 1.0, softmax_ce}, 11, 2},
        {"fixed_beta", {{3, 4, 2}, {esp}, false, 2.5, softmax_ce}, 9, 1},
        {"relu", {{3, 4, 3, 2}, {relu}, true, 1.0, Loss::mean_squared_error}, 16, 3},
        {"mixture", {{3, 4, 3, 2, 1}, {sigmoid, tanh, esp}, true, 1.0, sigmoid_ce}, 7, 3},
        {"softplus_linear", {{3, 5, 2, 2}, {softplus, linear}, true, 1.0, softmax_ce}, 33, 1},
        {"gelu_elu_leaky_relu", {{3, 5, 4, 3, 2}, {gelu, elu, leaky_relu}, true, 1.0, softmax_ce}, 33, 2},
        {"two_example_blocks", {{2, 3, 1}, {esp}, true, 1.0, sigmoid_ce}, 515, 2},
        {"many_inputs", {{17, 5, 3}, {esp}, true, 1.0, softmax_ce}, 13, 2},
    };
}

class GroupKernels : public ::testing::TestWithParam<Setting> {
  protected:
    const NetworkCase c_ = make_case(GetParam().shape, GetParam().examples, GetParam().replicas);
};

TEST_P(GroupKernels, HessianEqualsHyperDualNumbers) {
    Values expected;
    const Index p = c_.network.parameters();
    for (const auto& theta : c_.thetas) {
        const auto full = oracle::naive_hessian(c_.naive, theta, c_.rows_x, c_.rows_y);
        for (Index i = 0; i < p; ++i)
            for (Index j = i; j < p; ++j) expected.push_back(full[static_cast<std::size_t>(i * p + j)]);
    }
    for (const std::size_t chunk_bytes : {EmulatedContext::chunk_bytes, std::size_t{20000}})
        for (const bool stored : {false, true}) {
            EmulatedContext context(1);
            context.stores_factors = [=](const ContractionShape&) { return stored; };
            EXPECT_LT(relative_error(expected, hessians(context, c_, HessianPart::full, chunk_bytes)), 1e-13);
        }
}

// Threads share the work, not the order of any sum.
TEST_P(GroupKernels, AnyNumberOfThreadsGivesTheSameBits) {
    const auto all = [&](int size, Schedule schedule) {
        EmulatedContext context(size, schedule);
        Values values = evaluation(context, c_);
        for (const HessianPart part : {HessianPart::full, HessianPart::gauss_newton})
            for (const bool stored : {false, true}) {
                context.stores_factors = [=](const ContractionShape&) { return stored; };
                const Values upper = hessians(context, c_, part, std::size_t{1} << 20);
                values.insert(values.end(), upper.begin(), upper.end());
            }
        const Values product = hessian_times_vector(context, c_);
        values.insert(values.end(), product.begin(), product.end());
        return values;
    };
    const Values expected = all(1, Schedule::free);
    // Many threads take long on few cores: all sizes for two of the networks, one for the others.
    const bool all_sizes = GetParam().name == "width_one" || GetParam().name == "many_inputs";
    for (const int size : group_sizes)
        if (all_sizes || size == 31) {
            EXPECT_TRUE(same_bits(expected, all(size, Schedule::free))) << size << " threads";
        }
}

// Layers with few inputs: the CPU's arithmetic, so its bits. With more, both are within the rounding of their
// sums.
TEST_P(GroupKernels, EvaluationEqualsTheCpuBackend) {
    CpuContext cpu(1);
    EmulatedContext context(1);
    const Values expected = evaluation(cpu, c_), actual = evaluation(context, c_);
    if (c_.network.inputs() <= few_inputs) {
        EXPECT_TRUE(same_bits(expected, actual));
    } else {
        EXPECT_LT(relative_error(expected, actual), 1e-14);
    }
}

TEST_P(GroupKernels, HessianVectorProductEqualsTheCpuBackend) {
    CpuContext cpu(1);
    EmulatedContext context(1);
    EXPECT_LT(relative_error(hessian_times_vector(cpu, c_), hessian_times_vector(context, c_)), 1e-13);
}

INSTANTIATE_TEST_SUITE_P(Networks, GroupKernels, ::testing::ValuesIn(settings()),
                         [](const auto& setting) { return setting.param.name; });

// Tiles of 64 × 64 × 16 begin and end inside these shapes.
TEST(Tiles, CutAnyShape) {
    for (const std::vector<Index>& widths : {std::vector<Index>{65, 66, 3}, {17, 64, 17, 5}, {40, 7, 2}}) {
        const NetworkCase c =
            make_case({widths, {Activation::esp}, true, 1.0, Loss::softmax_cross_entropy}, 130, 2);
        CpuContext cpu(2);
        EmulatedContext context(1);
        EXPECT_LT(relative_error(evaluation(cpu, c), evaluation(context, c)), 1e-14);
        EXPECT_LT(relative_error(hessian_times_vector(cpu, c), hessian_times_vector(context, c)), 1e-13);
        if (c.network.parameters() < 2000) {
            EXPECT_LT(relative_error(hessians(cpu, c, HessianPart::full, 1 << 22),
                                     hessians(context, c, HessianPart::full, 1 << 22)),
                      1e-13);
        }
    }
}

// The fragments of the warps in the layout of PTX give the same products as plain multiply-adds.
TEST(Tiles, OnTensorCoresOfOneAndFourWarps) {
    const NetworkCase c = make_case({{20, 18, 2}, {Activation::tanh}, true, 1.0, {}}, 40);
    CpuContext cpu(1);
    const Values expected = evaluation(cpu, c);
    for (const int size : {32, 128}) {
        EmulatedContext context(size);
        context.tensor_cores = true;
        EXPECT_LT(relative_error(expected, evaluation(context, c)), 1e-14) << size << " threads";
    }
    const NetworkCase small = make_case({{17, 2, 1}, {Activation::esp}, true, 1.0, {}}, 20);
    EmulatedContext context(32);
    context.tensor_cores = true;
    EXPECT_LT(relative_error(hessians(cpu, small, HessianPart::full, 1 << 20),
                             hessians(context, small, HessianPart::full, 1 << 20)),
              1e-13);
}

TEST(MatrixOperations, EqualTheCpuBackend) {
    for (const Index n : {1, 2, 35, 70, 257}) {
        CpuContext cpu(1);
        const Values expected = matrix_operations(cpu, 2, n);
        for (const int size : group_sizes) {
            if (n > 35 && size > 1 && !(n == 70 && size == 33)) continue;  // as many blocks as rows
            EmulatedContext context(size);
            const Values actual = matrix_operations(context, 2, n);
            ASSERT_EQ(actual.size(), expected.size());
            // Copies are exact; the sums (scaling residuals, participation) have another order than the
            // CPU's.
            for (std::size_t i = 0; i < expected.size(); ++i)
                ASSERT_NEAR(actual[i], expected[i], 1e-15 * static_cast<double>(n) * std::fabs(expected[i]))
                    << "n = " << n << ", " << size << " threads, value " << i;
        }
    }
}

TEST(ScalingResidual, KeepsANotANumberOfAnyDirection) {
    const Values h = {1, 0, 0, 1}, signs = {1, 0, 0, 1}, theta = {1, 1}, frobenius = {1};
    for (const Values& gradient : {Values{std::nan(""), 0}, Values{0, std::nan("")}}) {
        const auto residual = [&](auto& context) {
            double value = 0;
            scaling_residual(context, {.matrices = make_view(h.data(), 1, 2, 2),
                                       .signs = make_view(signs.data(), 2, 2),
                                       .theta = make_view(theta.data(), 1, 2),
                                       .gradient = make_view(gradient.data(), 1, 2),
                                       .frobenius = make_view(frobenius.data(), 1),
                                       .residual = make_view(&value, 1)});
            return value;
        };
        CpuContext cpu(1);
        EmulatedContext context(1);
        EXPECT_TRUE(std::isnan(residual(cpu)));
        EXPECT_TRUE(std::isnan(residual(context)));
    }
}

TEST(Optimizers, GiveTheBitsOfTheCpu) {
    constexpr Index replicas = 3, parameters = 131;
    Values gradient(replicas * parameters);
    for (std::size_t i = 0; i < gradient.size(); ++i)
        gradient[i] = 1.0 / (1.0 + static_cast<double>(i)) - 0.01;
    Values rates(replicas * rate_segment, 0.01);  // one of each replica
    for (std::size_t i = 0; i < rates.size(); ++i) rates[i] /= 1.0 + static_cast<double>(i / rate_segment);
    const std::vector<std::int64_t> counter = {3};
    const auto step = [&](auto& context) {
        Values theta(gradient.size(), 0.5), first(gradient.size(), 0.1), second(gradient.size(), 0.2);
        adam_step(context, {.beta1 = 0.9,
                            .beta2 = 0.999,
                            .epsilon = 1e-8,
                            .rates = make_view(std::as_const(rates).data(), replicas, rate_segment),
                            .counter = make_view(counter.data(), 1),
                            .gradient = make_view(gradient.data(), replicas, parameters),
                            .theta = make_view(theta.data(), replicas, parameters),
                            .first_moment = make_view(first.data(), replicas, parameters),
                            .second_moment = make_view(second.data(), replicas, parameters)});
        theta.insert(theta.end(), first.begin(), first.end());
        theta.insert(theta.end(), second.begin(), second.end());
        return theta;
    };
    CpuContext cpu(1);
    const Values expected = step(cpu);
    for (const int size : group_sizes) {
        EmulatedContext context(size);
        EXPECT_TRUE(same_bits(expected, step(context))) << size << " threads";
    }
}

/// A row whose entries other than zero are all in the lower triangle, which is not read, is marked too.
TEST(GroupKernelsOfMatrices, RowsAreMarkedByTheirColumns) {
    using Entries = std::vector<std::pair<Index, Index>>;
    constexpr Index n = 300;
    const auto marks_of = [](const Entries& entries, auto& context) {
        std::vector<double> values(n * n, 0.0), results(2);
        for (const auto& [row, column] : entries) values[static_cast<std::size_t>(row * n + column)] = -2.0;
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < i; ++j) values[static_cast<std::size_t>(i * n + j)] = 1e300;
        std::vector<unsigned char> marks(n, 9);
        summarize(context, {.matrices = make_view(std::as_const(values).data(), 1, n, n),
                            .trace = make_view(results.data(), 1),
                            .frobenius = make_view(results.data() + 1, 1),
                            .nonzero_row = make_view(marks.data(), 1, n)});
        return marks;
    };
    CpuContext cpu(1);
    for (const Entries& entries : {Entries{}, Entries{{2, 5}}, Entries{{0, 299}, {298, 299}},
                                   Entries{{4, 4}, {15, 140}, {16, 141}, {130, 200}}}) {
        std::vector<unsigned char> expected(n, 0);
        for (const auto& [row, column] : entries)
            expected[static_cast<std::size_t>(row)] = expected[static_cast<std::size_t>(column)] = 1;
        EXPECT_EQ(marks_of(entries, cpu), expected);
        for (const int threads : group_sizes) {
            EmulatedContext context(threads);
            EXPECT_EQ(marks_of(entries, context), expected) << threads;
        }
    }
}

// Under a sanitizer these tests add nothing but its reports of the races that the missing sync() causes.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)

/// Returns true if `work` gives `expected` without the sync() number `dropped`. It runs in a process of its
/// own, since it may read an index to anywhere.
bool same_without(long dropped, int threads, Schedule schedule,
                  const std::function<Values(EmulatedContext&)>& work, const Values& expected) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        EmulatedContext context(threads, schedule);
        context.drop_sync(dropped);
        _exit(same_bits(expected, work(context)) ? 0 : 1);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) throw ResourceError("cannot run a child process");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Expects that leaving out each sync() of `work` in turn changes the result, with the first or the last
/// thread ahead.
void expect_every_sync_to_matter(const std::function<Values(EmulatedContext&)>& work) {
    constexpr int threads = 7;
    EmulatedContext whole(threads, Schedule::ascending);
    const Values expected = work(whole);
    ASSERT_GT(whole.syncs(), 0);
    for (long dropped = 0; dropped < whole.syncs(); ++dropped)
        EXPECT_FALSE(same_without(dropped, threads, Schedule::ascending, work, expected) &&
                     same_without(dropped, threads, Schedule::descending, work, expected))
            << "sync " << dropped << " of " << whole.syncs() << " is not needed";
}

TEST(Mutation, EverySyncOfTheEvaluationMatters) {
    for (const Loss loss : {Loss::sigmoid_cross_entropy, Loss::softmax_cross_entropy}) {
        const NetworkCase c = make_case({{3, 2, 2}, {Activation::esp}, true, 1.0, loss}, 37);
        expect_every_sync_to_matter([&](EmulatedContext& context) { return evaluation(context, c); });
    }
}

TEST(Mutation, EverySyncOfTheHessianMatters) {
    const NetworkCase c = make_case({{18, 2, 2}, {Activation::esp}, true, 1.0, {}}, 37);
    expect_every_sync_to_matter([&](EmulatedContext& context) {
        return hessians(context, c, HessianPart::full, std::size_t{1} << 20);
    });
}

TEST(Mutation, EverySyncOfTheHessianVectorProductMatters) {
    const NetworkCase c = make_case({{3, 2, 2}, {Activation::esp}, true, 1.0, {}}, 37);
    expect_every_sync_to_matter([&](EmulatedContext& context) { return hessian_times_vector(context, c); });
}

TEST(Mutation, EverySyncOfTheMatrixOperationsMatters) {
    expect_every_sync_to_matter([&](EmulatedContext& context) { return matrix_operations(context, 1, 70); });
}

#endif

}  // namespace
}  // namespace espectra::test
