// Tests of the eigenvalues by one block per matrix, on groups of threads, against Jacobi rotations and
// LAPACK.

#include "espectra/kernels/group/eigen.hpp"
#include "espectra/kernels/group/spectrum.hpp"
#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include "emulation/emulated_context.hpp"
#include "oracle/jacobi.hpp"
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();
const double nan = std::numeric_limits<double>::quiet_NaN();
constexpr int group_sizes[] = {1, 31, 32, 33, 128};

struct Matrix {
    std::string name;
    Index n;
    std::vector<double> upper;  // row-major, NaN below the diagonal

    std::vector<double> full() const {
        std::vector<double> both = upper;
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < i; ++j)
                both[static_cast<std::size_t>(i * n + j)] = both[static_cast<std::size_t>(j * n + i)];
        return both;
    }
};

template <class F>
Matrix make(const std::string& name, Index n, F&& f) {
    Matrix matrix{name, n, std::vector<double>(static_cast<std::size_t>(n * n), nan)};
    for (Index i = 0; i < n; ++i)
        for (Index j = i; j < n; ++j) matrix.upper[static_cast<std::size_t>(i * n + j)] = f(i, j);
    return matrix;
}

std::vector<Matrix> matrices(Index n) {
    const RandomStream random(11, static_cast<std::uint32_t>(n));
    const auto normal = [&](Index i, Index j) {
        return random.normal(static_cast<std::uint64_t>(i * 64 + j));
    };
    const auto rank_three = [&](Index i, Index j) {
        return normal(i, 1) * normal(j, 1) - normal(i, 2) * normal(j, 2) + normal(i, 3) * normal(j, 3);
    };
    return {
        make("random", n, normal),
        make("zero", n, [](Index, Index) { return 0.0; }),
        make("diagonal", n, [&](Index i, Index j) { return i == j ? normal(i, i) : 0.0; }),
        make("identity", n, [](Index i, Index j) { return i == j ? 1.0 : 0.0; }),
        make("one_multiple", n, [](Index i, Index j) { return i == j ? 3.0 : 2.0; }),
        // A pattern like that of a ReLU network: zero rows of inactive units, and few directions in the
        // others.
        make("dead_rows", n,
             [&](Index i, Index j) { return i % 3 == 1 || j % 3 == 1 ? 0.0 : rank_three(i, j); }),
        make("rank_three", n, rank_three),
        make("tiny", n, [&](Index i, Index j) { return 1e-300 * normal(i, j); }),
        make("huge", n, [&](Index i, Index j) { return 1e300 * normal(i, j); }),
        make("graded", n,
             [&](Index i, Index j) { return std::exp2(-5.0 * static_cast<double>(i + j)) * normal(i, j); }),
        make("nearly_diagonal", n,
             [&](Index i, Index j) {
                 return i == j ? 1.0 + static_cast<double>(i % 2) : 1e-170 * normal(i, j);
             }),
        // A row whose squares are subnormal, next to others that are not.
        make("tiny_row", n,
             [&](Index i, Index j) { return (i == 0 && j > 0 ? 1e-161 : 1.0) * normal(i, j); }),
        make("wilkinson", n,
             [&](Index i, Index j) {
                 return i == j ? std::fabs(static_cast<double>(i) - 0.5 * static_cast<double>(n - 1))
                               : (j == i + 1 ? 1.0 : 0.0);
             }),
        make("second_difference", n,
             [](Index i, Index j) { return i == j ? 2.0 : (j == i + 1 ? -1.0 : 0.0); }),
    };
}

template <class Context>
std::vector<double> eigenvalues(Context&& context, const Matrix& matrix) {
    std::vector<double> data = matrix.upper, values(static_cast<std::size_t>(matrix.n), nan);
    symmetric_eigenvalues(
        context, {make_view(data.data(), 1, matrix.n, matrix.n), make_view(values.data(), 1, matrix.n)});
    return values;
}

double norm(const std::vector<double>& ascending) {
    return std::max(std::fabs(ascending.front()), std::fabs(ascending.back()));
}

/// Each of the n − 2 reflections is a similarity up to a few ε ‖A‖ (Wilkinson, 1965, chapter 5, section 26),
/// the Sturm counts are those of a T that is a few ε ‖T‖ away, and ε ‖T‖ / 2 is left by bisection: c n ε
/// ‖A‖₂. With c = 4 this is the rounding that automatic_tolerance() counts as zero; Jacobi's own error is
/// within it.
double bound(Index n, double largest) { return 4 * static_cast<double>(n) * eps * largest; }

TEST(BlockEigenvalues, EqualJacobiAndLapack) {
    double worst = 0;
    for (const Index n : {1, 2, 3, 4, 7, 8, 31, 32, 33, 52, 63, 64})
        for (const Matrix& matrix : matrices(n)) {
            SCOPED_TRACE(matrix.name + " " + std::to_string(n));
            EmulatedContext context(1);
            const auto actual = eigenvalues(context, matrix);
            ASSERT_TRUE(std::is_sorted(actual.begin(), actual.end()));
            const auto lapack = eigenvalues(CpuContext(1), matrix);
            // Jacobi's plain squares need entries of order 1.
            std::vector<double> entries = matrix.full();
            const double scale = matrix.name == "tiny" ? 1e300 : matrix.name == "huge" ? 1e-300 : 1.0;
            for (double& entry : entries) entry *= scale;
            const auto jacobi = oracle::jacobi_eigenvalues(entries, static_cast<std::size_t>(n));
            for (std::size_t k = 0; k < actual.size(); ++k) {
                ASSERT_NEAR(actual[k] * scale, jacobi[k], bound(n, norm(jacobi))) << k;
                ASSERT_NEAR(actual[k], lapack[k], bound(n, norm(lapack))) << k;
                if (norm(jacobi) > 0)
                    worst = std::max(worst, std::fabs(actual[k] * scale - jacobi[k]) /
                                                (static_cast<double>(n) * eps * norm(jacobi)));
            }
        }
    RecordProperty("largest_error_over_n_eps_norm", std::to_string(worst));
}

TEST(BlockEigenvalues, SameBitsForAnyThreads) {
    for (const Index n : {1, 2, 3, 8, 33, 64})
        for (const Matrix& matrix : matrices(n)) {
            if (matrix.name != "random" && (matrix.name != "dead_rows" || n > 33)) continue;
            EmulatedContext serial(1);
            const auto expected = eigenvalues(serial, matrix);
            for (const int size : group_sizes) {
                EmulatedContext context(size);
                EXPECT_EQ(eigenvalues(context, matrix), expected) << n << ", " << size << " threads";
                if (n > 8) continue;
                EmulatedContext descending(size, Schedule::descending);
                EXPECT_EQ(eigenvalues(descending, matrix), expected) << n << ", " << size << " threads";
            }
        }
}

TEST(BlockEigenvalues, EverySyncCounts) {
    for (const Index n : {3, 6}) {
        const Matrix matrix = matrices(n).front();
        EmulatedContext reference(33, Schedule::ascending);
        const auto expected = eigenvalues(reference, matrix);
        ASSERT_EQ(reference.syncs(), 1 + 2 + 6 * (n - 2) + 1);
        for (long number = 0; number < reference.syncs(); ++number) {
            bool shows = false;
            for (const Schedule schedule : {Schedule::ascending, Schedule::descending}) {
                EmulatedContext context(33, schedule);
                context.drop_sync(number);
                shows = shows || eigenvalues(context, matrix) != expected;
            }
            EXPECT_TRUE(shows) << "n = " << n << ", sync " << number;
        }
    }
}

TEST(BlockEigenvalues, OfDiagonalMatricesAreTheDiagonal) {
    // Numbers that 57 halvings reach are exact: small integers and zeros.
    EmulatedContext context(1);
    const std::vector<double> diagonal = {3, 0, -2, 0, 1, 0.5, -2};
    const Matrix matrix =
        make("", 7, [&](Index i, Index j) { return i == j ? diagonal[static_cast<std::size_t>(i)] : 0.0; });
    EXPECT_EQ(eigenvalues(context, matrix), (std::vector<double>{-2, -2, 0, 0, 0.5, 1, 3}));
}

TEST(BlockEigenvalues, SubnormalNumbers) {
    // (2 1; 1 2)·2⁻¹⁰⁷⁴: 1 and 3 units in the last place.
    EmulatedContext context(1);
    const double unit = std::numeric_limits<double>::denorm_min();
    const Matrix matrix = make("", 2, [&](Index i, Index j) { return (i == j ? 2 : 1) * unit; });
    EXPECT_EQ(eigenvalues(context, matrix), (std::vector<double>{unit, 3 * unit}));
}

TEST(BlockEigenvalues, NotFiniteGivesNaN) {
    for (const Index n : {1, 2, 3, 33, 64})
        for (const double bad : {nan, std::numeric_limits<double>::infinity()})
            for (const Index row : {Index{0}, n - 1}) {
                Matrix matrix = matrices(n).front();
                matrix.upper[static_cast<std::size_t>(row * n + n - 1)] = bad;
                EmulatedContext context(1);
                for (const double value : eigenvalues(context, matrix)) EXPECT_TRUE(std::isnan(value));
            }
}

TEST(BlockEigenvalues, BatchInStridedViews) {
    const Index n = 12, count = 3, stride = 17;
    std::vector<double> data(static_cast<std::size_t>(count * n * stride), nan),
        values(static_cast<std::size_t>(count * 20), nan);
    std::vector<std::vector<double>> expected;
    for (Index r = 0; r < count; ++r) {
        const Matrix matrix = matrices(n)[static_cast<std::size_t>(5 * r)];
        EmulatedContext context(1);
        expected.push_back(eigenvalues(context, matrix));
        for (Index i = 0; i < n; ++i)
            std::copy_n(matrix.upper.begin() + i * n, n, data.begin() + (r * n + i) * stride);
    }
    EmulatedContext context(32);
    symmetric_eigenvalues(context, {make_view(data.data(), count, n, stride).slice(2, 0, n),
                                    make_view(values.data(), count, 20).slice(1, 4, n)});
    for (Index r = 0; r < count; ++r) {
        EXPECT_EQ(std::vector<double>(values.begin() + r * 20 + 4, values.begin() + r * 20 + 16),
                  expected[static_cast<std::size_t>(r)]);
        EXPECT_TRUE(std::isnan(values[static_cast<std::size_t>(r * 20 + 3)]));
        EXPECT_TRUE(std::isnan(values[static_cast<std::size_t>(r * 20 + 16)]));
    }
    double nothing = 5;
    symmetric_eigenvalues(context, {make_view(&nothing, 1, 0, 0), make_view(&nothing, 1, 0)});
    symmetric_eigenvalues(context, {make_view(&nothing, 0, 4, 4), make_view(&nothing, 0, 4)});
    EXPECT_EQ(nothing, 5);
}

/// Three matrices of 130 parameters: few dead rows, many, and one with a norm that is not finite.
struct Batch {
    static constexpr Index replicas = 3, parameters = 130;
    std::vector<double> matrices, frobenius{2.5, 1.25, nan};
    std::vector<unsigned char> keep;
    Batch() {
        const RandomStream random(3, 3);
        for (std::uint64_t i = 0; i < replicas * parameters * parameters; ++i)
            matrices.push_back(random.normal(i));
        for (Index r = 0; r < replicas; ++r)
            for (Index p = 0; p < parameters; ++p) keep.push_back(p % (r == 0 ? 40 : 3) != 1);
    }
    Index kept(Index r) const {
        return std::count(keep.begin() + r * parameters, keep.begin() + (r + 1) * parameters, 1);
    }
    View<const unsigned char, 2> keep_view() const { return make_view(keep.data(), replicas, parameters); }
    View<const double, 1> frobenius_view() const { return make_view(frobenius.data(), replicas); }
};

TEST(Deflate, EqualsTheCpu) {
    const Batch batch;
    const Index n = batch.kept(0);
    ASSERT_LT(n, batch.parameters);
    const auto deflated = [&](auto&& context) {
        std::vector<double> result(static_cast<std::size_t>(batch.replicas * n * n), -1);
        deflate(context, {.matrices = make_view(batch.matrices.data(), batch.replicas, batch.parameters,
                                                batch.parameters),
                          .keep = batch.keep_view(),
                          .frobenius = batch.frobenius_view(),
                          .deflated = make_view(result.data(), batch.replicas, n, n)});
        return result;
    };
    const auto expected = deflated(CpuContext(2));
    const auto view = make_view(expected.data(), batch.replicas, n, n);
    EXPECT_EQ(view(0, 0, 1), batch.matrices[2]);  // column 1 is dead
    EXPECT_EQ(view(0, 1, 1), batch.matrices[2 * 130 + 2]);
    EXPECT_EQ(view(1, n - 1, n - 1), 2.5);
    EXPECT_EQ(view(1, 0, n - 1), 0);
    EXPECT_EQ(view(2, 0, 0), 0);
    EXPECT_EQ(view(0, 1, 0), -1);  // lower triangles do not change
    for (const int size : group_sizes)
        for (const Schedule schedule : {Schedule::free, Schedule::descending})
            EXPECT_EQ(deflated(EmulatedContext(size, schedule)), expected) << size;
}

TEST(Deflate, EverySyncCounts) {
    const Batch batch;
    const auto positions = [&](EmulatedContext& context) {
        std::vector<Index> result(static_cast<std::size_t>(batch.replicas * (batch.parameters + 1)));
        launch(context, group::PositionsKernel<group::KeptOfFinite<Space::host>, Space::host>{
                            {batch.keep_view(), batch.frobenius_view()},
                            make_view(result.data(), batch.replicas, batch.parameters + 1)});
        return result;
    };
    EmulatedContext reference(33, Schedule::ascending);
    const auto expected = positions(reference);
    EXPECT_EQ(expected[131 + 130], batch.kept(1));
    ASSERT_EQ(reference.syncs(), batch.replicas);
    EmulatedContext context(33, Schedule::ascending);
    context.drop_sync(0);
    EXPECT_NE(positions(context), expected);
}

TEST(SpectrumSummary, ByHandAndOnTheCpu) {
    // −3, −1e-9, 0.5, 4 of six rows: the two dead rows and −1e-9 are zero at τ = 1e-9.
    const std::vector<double> values = {-3, -1e-9, 0.5, 4, nan}, trace = {1.5 - 1e-9}, frobenius = {5};
    const std::vector<unsigned char> keep = {1, 0, 1, 1, 0, 1};
    const auto summary = [&](auto&& context) {
        std::vector<double> result(4, nan);
        summarize_spectra(context, {.eigenvalues = make_view(values.data(), 1, 5),
                                    .keep = make_view(keep.data(), 1, 6),
                                    .trace = make_view(trace.data(), 1),
                                    .frobenius = make_view(frobenius.data(), 1),
                                    .tolerance = 1e-9,
                                    .trace_error = make_view(result.data(), 1),
                                    .largest = make_view(result.data() + 1, 1),
                                    .negative = make_view(result.data() + 2, 1),
                                    .zero = make_view(result.data() + 3, 1)});
        return result;
    };
    const auto cpu = summary(CpuContext(1));
    // (9 + 0.25 + 16)/25 = 1.01; the sum is right to 1e-9.
    EXPECT_NEAR(cpu[0], 0.01, 8 * eps);
    EXPECT_EQ(std::vector<double>(cpu.begin() + 1, cpu.end()), (std::vector<double>{4, 1, 3}));
    for (const int size : group_sizes) EXPECT_EQ(summary(EmulatedContext(size)), cpu) << size;
}

TEST(SpectrumSummary, SumsInOneOrder) {
    const Batch batch;
    const Index n = 117;  // rows longer than the lanes are summed in turns
    std::vector<double> values;
    for (Index i = 0; i < batch.replicas * n; ++i) values.push_back(std::sin(static_cast<double>(i)));
    const auto summary = [&](auto&& context) {
        std::vector<double> result(12, nan);
        const auto part = [&](Index i) { return make_view(result.data() + i * 3, 3); };
        summarize_spectra(context, {.eigenvalues = make_view(values.data(), batch.replicas, n),
                                    .keep = batch.keep_view(),
                                    .trace = batch.frobenius_view(),
                                    .frobenius = batch.frobenius_view(),
                                    .tolerance = 0.3,
                                    .trace_error = part(0),
                                    .largest = part(1),
                                    .negative = part(2),
                                    .zero = part(3)});
        return result;
    };
    const auto cpu = summary(CpuContext(1)), expected = summary(EmulatedContext(1));
    // The two orders of the sums: each is within n·ε·Σ|term| ≤ 117·ε·120 of the exact one.
    for (const std::size_t r : {0u, 1u}) EXPECT_NEAR(expected[r], cpu[r], 2 * 117 * eps * 120);
    for (std::size_t i = 3; i < 12; ++i) EXPECT_EQ(expected[i], cpu[i]) << i;
    for (const int size : group_sizes)
        for (const Schedule schedule : {Schedule::free, Schedule::descending}) {
            const auto actual = summary(EmulatedContext(size, schedule));
            EXPECT_TRUE(std::equal(actual.begin(), actual.end(), expected.begin())) << size;
        }
    EmulatedContext reference(33, Schedule::ascending);
    summary(reference);
    ASSERT_EQ(reference.syncs(), 3 * batch.replicas);
    for (long number = 0; number < reference.syncs(); ++number) {
        bool shows = false;
        for (const Schedule schedule : {Schedule::ascending, Schedule::descending}) {
            EmulatedContext context(33, schedule);
            context.drop_sync(number);
            shows = shows || summary(context) != expected;
        }
        EXPECT_TRUE(shows) << number;
    }
}

TEST(CopyMatrices, CopiesPartsOfRows) {
    const Index rows = 3, stride = 1100, columns = 1050;
    std::vector<double> from(static_cast<std::size_t>(2 * rows * stride)), to(2 * rows * columns, nan);
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<double>(i);
    const View<const double, 3> source = make_view(from.data(), 2, rows, stride).slice(2, 0, columns);
    for (const int size : {1, 33}) {
        std::fill(to.begin(), to.end(), nan);
        EmulatedContext context(size);
        const auto target = make_view(to.data(), 2, rows, columns);
        group::copy_matrices(context, source, target);
        for (Index r = 0; r < 2; ++r)
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j < columns; ++j) ASSERT_EQ(target(r, i, j), source(r, i, j));
    }
}

}  // namespace
}  // namespace espectra::test
