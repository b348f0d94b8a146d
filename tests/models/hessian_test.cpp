// The exact Hessian against hyper-dual numbers, Hessian-vector products, central differences and symmetries.

#include "espectra/models/hessian.hpp"

#include "espectra/models/evaluator.hpp"
#include "espectra/models/hessian_vector.hpp"

#include <gtest/gtest.h>

#include "support/network_cases.hpp"

namespace espectra {
namespace {

using test::make_case;
using test::NetworkCase;

/// A budget for the per-example quantities that is too small for fused_hessian: step by step.
constexpr std::size_t steps_only = 4000;
constexpr std::size_t any_way = CpuContext::chunk_bytes;

struct Setting {
    std::string name;
    NetworkShape shape;
    Index examples = 9;
    Index replicas = 1;
    int threads = 2;
    double zeros = 0;  // of the features

    NetworkCase network_case() const { return make_case(shape, examples, replicas, 1, zeros); }
};

std::vector<Setting> settings() {
    using enum Activation;
    std::vector<Setting> list;
    const std::vector<std::vector<Index>> depths = {{3, 2}, {3, 4, 2}, {2, 3, 4, 3}, {3, 2, 3, 2, 2}};
    for (const Activation activation : all_values<Activation>)
        for (const Loss loss : all_values<Loss>)
            for (const auto& widths : depths) {
                std::string name = std::string(activation_name(activation)) + "_" +
                                   std::string(loss_name(loss)) + "_" + std::to_string(widths.size() - 2);
                list.push_back({name, {widths, {activation}, true, 1.0, loss}, 9, 1, 2});
            }
    list.push_back(
        {"mixture", {{3, 4, 3, 3, 2}, {esp, relu, tanh}, true, 1.0, Loss::softmax_cross_entropy}, 11, 2, 2});
    list.push_back({"mixture_esp_last", {{3, 4, 3, 2, 1}, {sigmoid, linear, esp}, true, 1.0, {}}, 7, 3, 2});
    list.push_back({"fixed_beta", {{3, 4, 2}, {esp}, false, 2.5, {}}, 9, 1, 2});
    // One hidden layer, few inputs, one output (shallow_hessian), and more inputs than it takes.
    for (const Activation activation : all_values<Activation>)
        for (const Loss loss : {Loss::sigmoid_cross_entropy, Loss::mean_squared_error})
            list.push_back(
                {"shallow_" + std::string(activation_name(activation)) + "_" + std::string(loss_name(loss)),
                 {{2, 6, 1}, {activation}, true, 1.0, loss},
                 25,
                 2,
                 2});
    list.push_back({"shallow_fixed_beta", {{3, 5, 1}, {esp}, false, 2.5, {}}, 9, 1, 2});
    list.push_back({"five_inputs_one_output", {{5, 6, 1}, {esp}, true, 1.0, {}}, 9, 1, 2});
    // Layers after one with few inputs (link sums), and before one with as many (cross blocks).
    list.push_back({"narrow_then_wide", {{2, 8, 2, 1}, {esp}, true, 1.0, {}}, 25, 1, 2});
    list.push_back({"few_inputs", {{1, 9, 7, 3}, {tanh}, true, 1.0, Loss::softmax_cross_entropy}, 20, 1, 2});
    list.push_back({"few_inputs_mixture", {{1, 8, 9, 3}, {esp, relu}, true, 1.0, {}}, 20, 1, 2});
    list.push_back({"few_inputs_fixed_beta", {{1, 8, 2}, {esp}, false, 1.5, {}}, 20, 1, 2});
    list.push_back(
        {"four_hidden", {{2, 4, 3, 5, 4, 2}, {esp, tanh, softplus, esp}, true, 1.0, {}}, 20, 1, 2});
    list.push_back({"width_one", {{1, 1, 1, 1}, {esp}, true, 1.0, {}}, 1, 1, 1});
    list.push_back({"many_examples", {{2, 3, 1}, {esp}, true, 1.0, {}}, 600, 1, 2});
    list.push_back({"wide", {{12, 9, 3}, {esp}, true, 1.0, Loss::softmax_cross_entropy}, 5, 1, 2});
    // More inputs than fused_hessian takes, most of them 0; examples that end in the middle of a word.
    list.push_back({"blank_esp", {{34, 2, 2}, {esp}, true, 1.0, {}}, 70, 1, 2, 0.75});
    list.push_back({"blank_relu", {{33, 2, 3, 2}, {relu}, true, 1.0, {}}, 70, 1, 2, 0.5});
    list.push_back({"blank_fixed_beta", {{35, 2, 1}, {esp}, false, 1.5, {}}, 64, 1, 2, 0.9});
    return list;
}

class HessianOf : public ::testing::TestWithParam<Setting> {};

double relative_error(const std::vector<double>& expected, View<const double, 2> actual) {
    double difference = 0, norm = 0;
    const Index n = actual.extent[0];
    for (Index i = 0; i < n; ++i)
        for (Index j = i; j < n; ++j) {
            const double e = expected[static_cast<std::size_t>(i * n + j)];
            difference += (actual(i, j) - e) * (actual(i, j) - e);
            norm += e * e;
        }
    return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

TEST_P(HessianOf, EqualsHyperDualNumbers) {
    const Setting& s = GetParam();
    const NetworkCase c = s.network_case();
    CpuContext context(s.threads);
    const Index p = c.network.parameters();
    const std::vector<double> theta = c.flat_theta();
    Buffer<double, Space::host> hessian(context, s.replicas * p * p);
    // With a budget of a few examples per chunk, the chunks are added up.
    for (const std::size_t chunk_bytes : {any_way, steps_only}) {
        HessianAssembler<CpuContext> assembler(context, c.network, c.view(), s.replicas, chunk_bytes);
        assembler.assemble(make_view(theta.data(), s.replicas, p), hessian.view(s.replicas, p, p));
        for (Index r = 0; r < s.replicas; ++r) {
            const auto expected =
                oracle::naive_hessian(c.naive, c.thetas[static_cast<std::size_t>(r)], c.rows_x, c.rows_y);
            EXPECT_LT(relative_error(expected, hessian.view(s.replicas, p, p)[r]), 1e-13);
        }
    }
}

TEST_P(HessianOf, TimesVectorEqualsProduct) {
    const Setting& s = GetParam();
    const NetworkCase c = s.network_case();
    CpuContext context(s.threads);
    const Index p = c.network.parameters();
    const std::vector<double> theta = c.flat_theta();
    std::vector<double> direction(theta.size()), product(theta.size());
    const RandomStream random(7, 7);
    for (std::size_t i = 0; i < direction.size(); ++i) direction[i] = random.normal(i);
    HessianVectorProduct<CpuContext> hvp(context, c.network, c.view(), s.replicas);
    hvp.apply(make_view(static_cast<const double*>(theta.data()), s.replicas, p),
              make_view(static_cast<const double*>(direction.data()), s.replicas, p),
              make_view(product.data(), s.replicas, p));
    for (Index r = 0; r < s.replicas; ++r) {
        const auto h =
            oracle::naive_hessian(c.naive, c.thetas[static_cast<std::size_t>(r)], c.rows_x, c.rows_y);
        double scale = 0;
        for (const double v : h) scale += v * v;
        for (Index i = 0; i < p; ++i) {
            double expected = 0;
            for (Index j = 0; j < p; ++j)
                expected +=
                    h[static_cast<std::size_t>(i * p + j)] * direction[static_cast<std::size_t>(r * p + j)];
            EXPECT_NEAR(product[static_cast<std::size_t>(r * p + i)], expected, 1e-12 * std::sqrt(scale));
        }
    }
}

TEST_P(HessianOf, GradientEqualsHyperDualNumbers) {
    const Setting& s = GetParam();
    const NetworkCase c = s.network_case();
    CpuContext context(s.threads);
    const Index p = c.network.parameters();
    const std::vector<double> theta = c.flat_theta();
    Evaluator<CpuContext> evaluator(context, c.network, c.view(), s.replicas);
    evaluator.evaluate(make_view(theta.data(), s.replicas, p));
    for (Index r = 0; r < s.replicas; ++r) {
        const auto& point = c.thetas[static_cast<std::size_t>(r)];
        const double cost = oracle::naive_cost(c.naive, point, c.rows_x, c.rows_y);
        EXPECT_NEAR(evaluator.cost()(r), cost, 1e-13 * (1 + std::fabs(cost)));
        const auto expected = oracle::naive_gradient(c.naive, point, c.rows_x, c.rows_y);
        for (Index i = 0; i < p; ++i)
            EXPECT_NEAR(evaluator.gradient()(r, i), expected[static_cast<std::size_t>(i)], 1e-13);
    }
}

INSTANTIATE_TEST_SUITE_P(Networks, HessianOf, ::testing::ValuesIn(settings()),
                         [](const auto& setting) { return setting.param.name; });

/// The digits network on random examples in which every eighth feature is zero.
NetworkCase digits_case(Index examples) {
    NetworkCase c = make_case({{64, 25, 10}, {Activation::esp}, true, 1.0, {}}, examples);
    for (Index j = 0; j < 64; j += 8) std::fill_n(c.features.begin() + j * examples, examples, 0.0);
    for (double& parameter : c.thetas[0]) parameter *= 0.3;
    return c;
}

TEST(HessianOfDigits, TimesVectorEqualsDifferencesOfTheGradient) {
    const NetworkCase c = digits_case(40);
    CpuContext context(2);
    const Index p = c.network.parameters();
    const std::vector<double> theta = c.flat_theta();
    Buffer<double, Space::host> hessian(context, p * p);
    const auto h = hessian.view(1, p, p);
    HessianAssembler<CpuContext>(context, c.network, c.view(), 1).assemble(make_view(theta.data(), 1, p), h);
    Evaluator<CpuContext> evaluator(context, c.network, c.view(), 1);
    double norm = 0;
    for (Index i = 0; i < p; ++i)
        for (Index j = i; j < p; ++j) norm += (i == j ? 1 : 2) * h(0, i, j) * h(0, i, j);
    norm = std::sqrt(norm);

    const double step = 0x1p-9;
    const RandomStream random(8, 8);
    for (std::uint64_t k = 0; k < 4; ++k) {
        std::vector<double> direction(theta.size()), difference(theta.size(), 0.0);
        double length = 0;
        for (std::size_t i = 0; i < theta.size(); ++i) {
            direction[i] = random.normal(k * theta.size() + i);
            length += direction[i] * direction[i];
        }
        for (double& v : direction) v /= std::sqrt(length);
        // Fourth order: (8 (g₊₁ − g₋₁) − (g₊₂ − g₋₂)) / 12 step.
        for (const auto& [multiple, weight] : {std::pair{1, 8.0}, {-1, -8.0}, {2, -1.0}, {-2, 1.0}}) {
            std::vector<double> point = theta;
            for (std::size_t i = 0; i < point.size(); ++i) point[i] += multiple * step * direction[i];
            evaluator.evaluate(make_view(static_cast<const double*>(point.data()), 1, p));
            for (Index i = 0; i < p; ++i)
                difference[static_cast<std::size_t>(i)] += weight * evaluator.gradient()(0, i) / (12 * step);
        }
        double error = 0;
        for (Index i = 0; i < p; ++i) {
            double product = 0;
            for (Index j = 0; j < p; ++j)
                product += h(0, std::min(i, j), std::max(i, j)) * direction[static_cast<std::size_t>(j)];
            error += std::pow(product - difference[static_cast<std::size_t>(i)], 2);
        }
        // step⁴/30 = 5e-13 times fifth derivatives of the loss, of the order of ‖H‖; rounding ε/step = 1e-13.
        EXPECT_LE(std::sqrt(error), 1e-11 * norm);
    }
}

TEST(HessianOfDigits, SameBitsForAnyThreads) {
    const NetworkCase c = digits_case(600);
    const Index p = c.network.parameters();
    const std::vector<double> theta = c.flat_theta();
    std::vector<double> expected;
    for (const int threads : {1, 2, 3}) {
        CpuContext context(threads);
        std::vector<double> hessian(static_cast<std::size_t>(p * p), 0.0);
        HessianAssembler<CpuContext>(context, c.network, c.view(), 1)
            .assemble(make_view(theta.data(), 1, p), make_view(hessian.data(), 1, p, p));
        if (expected.empty()) expected = hessian;
        EXPECT_TRUE(hessian == expected) << threads << " threads";
    }
}

/// Covers several parts of unit pairs, ranges of features and chunks of examples.
TEST(HessianOfImages, RowsEqualProductsWithUnitVectors) {
    for (const double zeros : {0.0, 0.6, 0.95}) {
        const NetworkCase c = make_case(
            {{70, 33, 5}, {Activation::esp}, true, 1.0, Loss::softmax_cross_entropy}, 1000, 1, 1, zeros);
        const Index p = c.network.parameters();
        const std::vector<double> theta = c.flat_theta();
        CpuContext context(2);
        std::vector<double> hessian(static_cast<std::size_t>(p * p)), product(static_cast<std::size_t>(p));
        const auto h = make_view(hessian.data(), 1, p, p);
        const auto at = make_view(theta.data(), 1, p);
        std::vector<Index> chunks;
        HessianAssembler<CpuContext> assembler(context, c.network, c.view(), 1, std::size_t{32} << 20);
        assembler.on_chunk([&](Index done) { chunks.push_back(done); });
        assembler.assemble(at, h);
        EXPECT_EQ(chunks.size(), 2U);
        HessianVectorProduct<CpuContext> hvp(context, c.network, c.view(), 1);
        double norm = 0, error = 0;
        for (const Index column :
             {0, 1, 63, 64, 1000, 2309, 2310, 2342, 2343, 2375, 2376, 2500, 2540, 2545, 2546, 2550}) {
            std::vector<double> unit(static_cast<std::size_t>(p), 0.0);
            unit[static_cast<std::size_t>(column)] = 1;
            hvp.apply(at, make_view(static_cast<const double*>(unit.data()), 1, p),
                      make_view(product.data(), 1, p));
            for (Index row = 0; row < p; ++row) {
                const double expected = product[static_cast<std::size_t>(row)];
                const double actual = h(0, std::min(row, column), std::max(row, column));
                norm += expected * expected;
                error += (actual - expected) * (actual - expected);
            }
        }
        EXPECT_LT(std::sqrt(error), 1e-13 * std::sqrt(norm)) << zeros;
    }
}

const std::vector<NetworkShape>& small_shapes() {
    using enum Activation;
    static const std::vector<NetworkShape> shapes = {
        {{5, 9, 8, 3}, {esp, tanh}, true, 1.0, Loss::softmax_cross_entropy},
        {{2, 10, 1}, {esp}, true, 1.0, {}},
        {{2, 8, 2, 1}, {relu}, true, 1.0, {}},
        {{2, 6, 6, 6, 1}, {esp}, true, 1.0, Loss::mean_squared_error}};
    return shapes;
}

std::vector<double> assembled(const NetworkCase& c, const std::vector<double>& theta, int threads,
                              std::size_t chunk_bytes, HessianPart part = HessianPart::full) {
    const Index p = c.network.parameters(), replicas = std::ssize(theta) / p;
    CpuContext context(threads);
    std::vector<double> hessian(static_cast<std::size_t>(replicas * p * p), 0.0);
    HessianAssembler<CpuContext>(context, c.network, c.view(), replicas, chunk_bytes)
        .assemble(make_view(theta.data(), replicas, p), make_view(hessian.data(), replicas, p, p), part);
    return hessian;
}

TEST(HessianOfImages, SameBitsForAnyThreads) {
    const NetworkCase c = make_case({{70, 33, 5}, {Activation::relu}, true, 1.0, {}}, 700, 1, 1, 0.8);
    const std::vector<double> expected = assembled(c, c.flat_theta(), 1, any_way);
    for (const int threads : {2, 3})
        EXPECT_TRUE(assembled(c, c.flat_theta(), threads, any_way) == expected) << threads << " threads";
}

TEST(HessianOfBatches, SameBitsForAnyThreadsAndReplicas) {
    for (const NetworkShape& shape : small_shapes()) {
        const NetworkCase c = make_case(shape, 700, 17);
        const Index p = c.network.parameters();
        const std::vector<double> theta = c.flat_theta();
        // Step by step, chunks of examples depend on the number of networks unless all examples fit.
        const std::vector<double> expected = assembled(c, theta, 1, any_way);
        EXPECT_TRUE(assembled(c, theta, 2, any_way) == expected) << c.network.widths_text();
        for (const Index replicas : {1, 3})
            for (const int threads : {1, 2}) {
                const std::vector<double> part(theta.end() - replicas * p, theta.end());
                const std::vector<double> hessian = assembled(c, part, threads, any_way);
                EXPECT_TRUE(std::equal(hessian.begin(), hessian.end(), expected.end() - replicas * p * p))
                    << c.network.widths_text() << ", " << replicas << " networks, " << threads << " threads";
            }
    }
}

TEST(HessianOfBatches, StepsGiveTheSameBitsForAnyThreads) {
    const NetworkCase c = make_case(small_shapes().front(), 300, 3);
    const std::vector<double> expected = assembled(c, c.flat_theta(), 1, steps_only);
    for (const int threads : {2, 3})
        EXPECT_TRUE(assembled(c, c.flat_theta(), threads, steps_only) == expected) << threads << " threads";
}

TEST(HessianOfBatches, PartsEqualThoseByStepsUpToRounding) {
    for (const NetworkShape& shape : small_shapes())
        for (const HessianPart part : {HessianPart::full, HessianPart::gauss_newton}) {
            const NetworkCase c = make_case(shape, 103);
            const Index p = c.network.parameters();
            const std::vector<double> expected = assembled(c, c.flat_theta(), 1, steps_only, part);
            const std::vector<double> actual = assembled(c, c.flat_theta(), 1, any_way, part);
            EXPECT_FALSE(actual == expected) << c.network.widths_text() << ": the same way twice";
            // Two sums of 103 terms in different orders: up to 103 ε ≈ 2e-14 of the sums of magnitudes.
            EXPECT_LT(relative_error(expected, make_view(actual.data(), p, p)), 1e-13)
                << c.network.widths_text();
        }
}

TEST(HessianOfBatches, ReportsEveryChunk) {
    const NetworkCase c = make_case(small_shapes().front(), 300);
    const Index p = c.network.parameters();
    CpuContext context(1);
    std::vector<double> hessian(static_cast<std::size_t>(p * p));
    HessianAssembler<CpuContext> assembler(context, c.network, c.view(), 1, steps_only);
    const std::vector<double> theta = c.flat_theta();
    std::vector<Index> done;
    assembler.on_chunk([&](Index examples) { done.push_back(examples); });
    assembler.assemble(make_view(theta.data(), 1, p), make_view(hessian.data(), 1, p, p));
    ASSERT_GT(done.size(), 1U);
    EXPECT_TRUE(std::ranges::is_sorted(done, std::less_equal<>{}));
    EXPECT_EQ(done.back(), 300);
}

/// Rows of the symmetric matrix that are exactly zero.
std::vector<Index> zero_rows(const std::vector<double>& hessian, Index p) {
    std::vector<Index> rows;
    const auto h = make_view(hessian.data(), p, p);
    for (Index i = 0; i < p; ++i) {
        bool zero = true;
        for (Index j = 0; j < p; ++j) zero = zero && h(std::min(i, j), std::max(i, j)) == 0;
        if (zero) rows.push_back(i);
    }
    return rows;
}

TEST(HessianOfBatches, DeadUnitsAndFeaturesAreExactZeros) {
    using enum Activation;
    for (const std::vector<Index>& widths :
         std::vector<std::vector<Index>>{{3, 6, 1}, {3, 6, 4, 2}, {3, 8, 8, 3, 1}})
        for (const std::size_t budget : {steps_only, any_way}) {
            NetworkCase c = make_case({widths, {relu}, true, 1.0, {}}, 130);
            std::fill_n(c.features.begin() + 130, 130, 0.0);  // the second feature
            const Layer& first = c.network.layers()[0];
            const Layer& second = c.network.layers()[1];
            std::vector<double> theta = c.thetas[0];
            const Index dead = 2;
            theta[static_cast<std::size_t>(first.offsets.bias + dead)] = -1000;
            std::vector<Index> expected;
            for (Index i = 0; i < first.units; ++i)
                for (Index j = 0; j < first.inputs; ++j)
                    if (j == 1 || i == dead) expected.push_back(first.offsets.weights + i * first.inputs + j);
            expected.push_back(first.offsets.bias + dead);
            for (Index i = 0; i < second.units; ++i)
                expected.push_back(second.offsets.weights + i * second.inputs + dead);
            const auto zeros = zero_rows(assembled(c, theta, 1, budget), c.network.parameters());
            EXPECT_TRUE(std::ranges::includes(zeros, expected)) << c.network.widths_text();
            // Step by step exactly the same rows are zero.
            EXPECT_EQ(zeros, zero_rows(assembled(c, theta, 1, steps_only), c.network.parameters()));
        }
}

TEST(HessianOfBatches, MemoryDoesNotGrowWithTheBatchBeyondTheThreads) {
    const Network small({{2, 10, 1}, {Activation::esp}, true, 1.0, {}});
    const CpuContext context(3);
    const auto bytes = [&](Index examples, Index replicas) {
        return HessianAssembler<CpuContext>::bytes(context, small, examples, replicas);
    };
    EXPECT_EQ(bytes(690, 1000), 3 * bytes(690, 1));
    EXPECT_LT(bytes(690, 1), std::size_t{1} << 20);
    // Chunks have about a hundred examples for any number of examples.
    EXPECT_LT(bytes(1000000, 1), std::size_t{1} << 20);
}

}  // namespace
}  // namespace espectra
