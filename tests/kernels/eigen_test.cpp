// Symmetric eigenvalues and eigenvectors: hand-worked matrices, closed forms, invariants.

#include "espectra/kernels/eigen.hpp"

#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include "kernels/symmetric_matrices.hpp"
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

namespace espectra {
namespace {

void expect_values(const Matrix& matrix, std::vector<double> expected, int threads = 1) {
    std::sort(expected.begin(), expected.end());
    const auto actual = eigenvalues(matrix, threads);
    const double bound = backward_error(matrix);
    for (std::size_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(actual[i], expected[i], bound) << "eigenvalue " << i << " of " << matrix.n;
}

void expect_decomposition(const Matrix& matrix, const Decomposition& d) {
    const Index n = matrix.n;
    const double bound = backward_error(matrix);
    double residual = 0, orthogonality = 0;
    const auto row = [&](Index e) { return d.vectors.data.data() + e * d.vectors.stride; };
    for (Index e = 0; e < n; ++e) {
        for (Index i = 0; i < n; ++i) {
            double product = 0;
            for (Index j = 0; j < n; ++j) product += matrix.at(i, j) * row(e)[j];
            const double r = product - d.values[static_cast<std::size_t>(e)] * row(e)[i];
            residual += r * r;
        }
        for (Index f = 0; f < n; ++f) {
            double dot = e == f ? -1 : 0;
            for (Index j = 0; j < n; ++j) dot += row(e)[j] * row(f)[j];
            orthogonality += dot * dot;
        }
    }
    EXPECT_LE(std::sqrt(residual), bound) << "‖HV − VΛ‖_F, n = " << n;
    EXPECT_LE(std::sqrt(orthogonality), 4 * eps * static_cast<double>(n)) << "‖VᵀV − I‖_F, n = " << n;
    EXPECT_TRUE(std::is_sorted(d.values.begin(), d.values.end()));
}

/// A full matrix: min(i, j) for i, j = 1 … n, the inverse of the second difference of a path fixed at one
/// end: 1/(4 sin²((2k − 1)π/(4n + 2))), k = 1 … n.
Matrix brownian(Index n) {
    return upper(n, [](Index i, Index j) { return static_cast<double>(std::min(i, j) + 1); });
}
std::vector<double> brownian_values(Index n) {
    std::vector<double> values;
    for (Index k = 1; k <= n; ++k) {
        const double s =
            std::sin((2 * static_cast<double>(k) - 1) * std::numbers::pi / (4 * static_cast<double>(n) + 2));
        values.push_back(1 / (4 * s * s));
    }
    return values;
}

TEST(Eigenvalues, TwoByTwoByHand) {
    const double h[] = {2, 1, 2};  // (2 1; 1 2): 1 and 3
    expect_values(upper(2, [&](Index i, Index j) { return h[i + j]; }), {1, 3});
    const double g[] = {1, 2, -2};  // (1 2; 2 −2): λ² + λ − 6 = 0: −3 and 2
    expect_values(upper(2, [&](Index i, Index j) { return g[i + j]; }), {-3, 2});
    expect_values(upper(1, [](Index, Index) { return -7.5; }), {-7.5});
}

TEST(Eigenvalues, ThreeByThreeByHand) {
    // (2 −1 0; −1 2 −1; 0 −1 2): 2 − √2, 2, 2 + √2; all ones: 0, 0, 3.
    const double root = std::sqrt(2.0);
    expect_values(toeplitz(3), {2 - root, 2, 2 + root});
    expect_values(upper(3, [](Index, Index) { return 1.0; }), {0, 0, 3});
}

TEST(Eigenvectors, TwoByTwoByHand) {
    const double g[] = {1, 2, -2};
    const Decomposition d = eigenvectors(upper(2, [&](Index i, Index j) { return g[i + j]; }));
    // λ = −3: (1, −2)/√5; λ = 2: (2, 1)/√5; the sign is free.
    const double first = d.vectors.data[0] < 0 ? -1 : 1, second = d.vectors.data[2] < 0 ? -1 : 1;
    const double expected[] = {first / std::sqrt(5.0), -2 * first / std::sqrt(5.0),
                               2 * second / std::sqrt(5.0), second / std::sqrt(5.0)};
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(d.vectors.data[i], expected[i], 8 * eps);
    EXPECT_NEAR(d.values[0], -3, 16 * eps);
    EXPECT_NEAR(d.values[1], 2, 16 * eps);
}

class EigenOfSize : public ::testing::TestWithParam<Index> {};

TEST_P(EigenOfSize, ClosedForms) {
    const Index n = GetParam();
    expect_values(toeplitz(n), toeplitz_values(n), 2);
    expect_values(brownian(n), brownian_values(n), 1);
}

TEST_P(EigenOfSize, InvariantsOfARandomMatrix) {
    const Index n = GetParam();
    const Matrix matrix = random_matrix(n);
    for (const int threads : {1, 2}) {
        const auto values = eigenvalues(matrix, threads);
        EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
        double trace = 0, sum = 0, squares = 0;
        for (Index i = 0; i < n; ++i) trace += matrix.at(i, i);
        for (const double v : values) sum += v, squares += v * v;
        // Each eigenvalue within the backward error: √n times that for the sum; twice for the squares.
        EXPECT_NEAR(sum, trace, std::sqrt(static_cast<double>(n)) * backward_error(matrix));
        EXPECT_NEAR(std::sqrt(squares), matrix.frobenius(), 2 * backward_error(matrix));
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, EigenOfSize, ::testing::Values(1, 2, 31, 33, 64, 257, 600),
                         ::testing::PrintToStringParamName());

TEST(Eigenvectors, DecompositionOfARandomMatrix) {
    for (const Index n : {1, 2, 31, 33, 64, 257}) {
        const Matrix matrix = random_matrix(n);
        const Decomposition d = eigenvectors(matrix, 2);
        expect_decomposition(matrix, d);
        const auto values = eigenvalues(matrix);
        const double bound = 2 * backward_error(matrix);
        for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], d.values[i], bound);
    }
}

TEST(Eigenvectors, OfALargeMatrixWithAllThreads) {
    const Matrix matrix = random_matrix(520);  // large enough for one matrix to take several threads
    expect_decomposition(matrix, eigenvectors(matrix, 2));
}

// Size above the crossover to the two-stage reduction (kernels/cpu/eigen/lapack.cpp): known eigenvalues.
TEST(Eigenvalues, TwoStageReductionOfALargeMatrix) {
    expect_values(brownian(2510), brownian_values(2510), 2);
}

TEST(Eigenvalues, RowStrideLargerThanTheMatrix) {
    for (const Index n : {3, 70, 530}) {
        Matrix padded = random_matrix(n, n + 5), dense = random_matrix(n);
        const auto a = eigenvalues(padded), b = eigenvalues(dense);
        const double bound = 2 * backward_error(dense);
        for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], bound);
        const Decomposition d = eigenvectors(padded);
        if (n < 100) expect_decomposition(padded, d);
        for (Index i = 0; i < n; ++i)
            for (Index j = n; j < n + 5; ++j)  // the padding is unchanged
                ASSERT_TRUE(std::isnan(d.vectors.data[static_cast<std::size_t>(i * (n + 5) + j)]));
    }
}

/// Largest |λ − λ_dsyevd| in units of n ε ‖H‖₂; symmetric_eigenvectors is dsyevd.
double distance_from_dsyevd(const Matrix& matrix) {
    const auto values = eigenvalues(matrix), expected = eigenvectors(matrix).values;
    const double norm = std::max(std::fabs(expected.front()), std::fabs(expected.back()));
    EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
    double largest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_TRUE(std::isfinite(values[i]));
        largest = std::max(largest, std::fabs(values[i] / norm - expected[i] / norm));
    }
    return largest / (eps * static_cast<double>(matrix.n));
}

// Each solver's backward error is up to p(n) ε ‖H‖₂ with a modest p: 0.94 n ε ‖H‖₂ was measured for both
// together.
TEST(Eigenvalues, AgreeWithDsyevd) {
    for (const Index n : {2, 3, 4, 5, 8, 17, 33, 52, 100, 200}) {
        const auto expect_near = [&](const char* name, auto&& entry) {
            EXPECT_LE(distance_from_dsyevd(upper(n, entry)), 2) << name << ", n = " << n;
        };
        const Matrix matrix = random_matrix(n, 0, 3), deficient = rank_deficient(n, (n + 3) / 4);
        const auto size = static_cast<double>(n);
        const auto random = [&](Index i, Index j) { return matrix.at(i, j); };
        const auto graded = [&](double least, Index i, Index j) {
            return std::pow(least, static_cast<double>(i + j) / (2 * size - 2)) * matrix.at(i, j);
        };
        expect_near("random", random);
        expect_near("rank deficient", [&](Index i, Index j) { return deficient.at(i, j); });
        expect_near("graded down", [&](Index i, Index j) { return graded(1e-30, i, j); });
        expect_near("graded up", [&](Index i, Index j) { return graded(1e30, i, j); });
        expect_near("1e150 … 1e-300", [&](Index i, Index j) { return 1e75 * graded(1e-225, i, j) * 1e75; });
        expect_near("tridiagonal", [&](Index i, Index j) { return j < i + 2 ? graded(1e-9, i, j) : 0.0; });
        expect_near("pairs", [](Index i, Index j) { return j == i + 1 ? std::pow(1e-40, i * i % 7) : 0; });
        expect_near("clusters", [&](Index i, Index j) {
            return 1e-14 * matrix.at(i, j) + (i == j) + 2 * (j - i == n / 2);
        });
        expect_near("Wilkinson", [&](Index i, Index j) {
            return i == j ? std::fabs(size - 1 - 2 * static_cast<double>(i)) / 2 : j == i + 1;
        });
        expect_near("ring", [&](Index i, Index j) { return j == i + 1 || j - i == n - 1 ? 1 : 0; });
        expect_near("blocks",
                    [&](Index i, Index j) { return i / 4 == j / 4 && j % 4 < 3 ? random(i, j) : 0; });
        expect_near("arrow", [](Index i, Index j) { return i == 0 ? 1 : (i == j) * (1 + 1e-9 * double(j)); });
        expect_near("exchange", [&](Index i, Index j) { return i + j == n - 1 ? 1 : 0; });
        expect_near("whole numbers", [&](Index i, Index j) { return std::round(0.7 * random(i, j)); });
    }
}

/// Zero diagonal, off-diagonal entries √(k(n − k)); eigenvalues n − 1, n − 3, …, 1 − n (Clement, SIAM Review
/// 1, 1959).
TEST(Eigenvalues, OfClementsMatrix) {
    for (const Index n : {2, 3, 17, 52, 199, 200}) {
        std::vector<double> expected;
        for (Index k = 0; k < n; ++k) expected.push_back(static_cast<double>(n - 1 - 2 * k));
        expect_values(
            upper(n, [&](Index i,
                         Index j) { return j == i + 1 ? std::sqrt(static_cast<double>(j * (n - j))) : 0.0; }),
            expected);
    }
}

TEST(Eigenvalues, OfDiagonalMatricesAreExact) {
    for (const Index n : {1, 2, 9, 64, 200})
        for (const double factor : {0.0, 1.0, -1e300}) {
            const auto entry = [&](Index i) { return factor * (static_cast<double>(i * 37 % 101) / 7 - 6); };
            std::vector<double> expected;
            for (Index i = 0; i < n; ++i) expected.push_back(entry(i));
            std::sort(expected.begin(), expected.end());
            EXPECT_EQ(eigenvalues(upper(n, [&](Index i, Index j) { return i == j ? entry(i) : 0; })),
                      expected);
        }
}

TEST(Eigenvectors, BatchInStridedValues) {
    const Index n = 12, count = 3;
    CpuContext context(2);
    std::vector<double> matrices, values(static_cast<std::size_t>(count * 20), nan);
    for (Index r = 0; r < count; ++r) {
        const Matrix matrix = random_matrix(n, 0, static_cast<std::uint32_t>(r));
        matrices.insert(matrices.end(), matrix.data.begin(), matrix.data.end());
    }
    symmetric_eigenvectors(context, {make_view(matrices.data(), count, n, n),
                                     make_view(values.data(), count, 20).slice(1, 4, n)});
    for (Index r = 0; r < count; ++r) {
        Decomposition d{{values.begin() + r * 20 + 4, values.begin() + r * 20 + 4 + n}, Matrix(n)};
        std::copy_n(matrices.begin() + r * n * n, n * n, d.vectors.data.begin());
        expect_decomposition(random_matrix(n, 0, static_cast<std::uint32_t>(r)), d);
        EXPECT_TRUE(std::isnan(values[static_cast<std::size_t>(r * 20 + 3)]));
        EXPECT_TRUE(std::isnan(values[static_cast<std::size_t>(r * 20 + 16)]));
    }
}

TEST(Eigenvalues, RankDeficient) {
    // Σ u_k u_kᵀ of three vectors, n = 40: 37 eigenvalues are zero to the backward error, three are positive.
    const RandomStream random(5, 5);
    const auto u = [&](Index k, Index i) { return random.normal(static_cast<std::uint64_t>(100 * k + i)); };
    const Matrix matrix = upper(
        40, [&](Index i, Index j) { return u(0, i) * u(0, j) + u(1, i) * u(1, j) + u(2, i) * u(2, j); });
    const auto values = eigenvalues(matrix);
    for (std::size_t i = 0; i < 37; ++i) EXPECT_NEAR(values[i], 0, backward_error(matrix));
    EXPECT_GT(values[37], 1);
    for (const double v : eigenvalues(upper(50, [](Index, Index) { return 0.0; }))) EXPECT_EQ(v, 0);
}

TEST(Eigenvalues, ExtremeScales) {
    for (const double scale : {1e-300, 1e-160, 1e150, 1e300, 0x1p-1022}) {
        const Matrix matrix = upper(20, [&](Index i, Index j) { return scale * toeplitz(20).at(i, j); });
        const auto values = eigenvalues(matrix), expected = toeplitz_values(20);
        for (std::size_t i = 0; i < 20; ++i) EXPECT_NEAR(values[i] / scale, expected[i], 4 * 20 * eps * 4);
    }
}

// A matrix with NaN neither hangs the solver nor results in a finite spectrum.
TEST(Eigenvalues, NotFiniteMatricesDoNotHang) {
    for (const Index n : {1, 2, 5, 40, 300})
        for (const double bad : {nan, std::numeric_limits<double>::infinity()})
            for (const bool vectors : {false, true}) {
                Matrix matrix = random_matrix(n);
                matrix(0, n - 1) = bad;
                try {
                    const auto values = vectors ? eigenvectors(matrix).values : eigenvalues(matrix);
                    EXPECT_FALSE(
                        std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }))
                        << n << " " << bad;
                } catch (const NumericalError& error) {
                    EXPECT_NE(std::string(error.what()).find("dsyevd"), std::string::npos);
                }
            }
}

TEST(Eigenvalues, RejectsMatricesThatAreNotSquare) {
    CpuContext context(1);
    std::vector<double> data(12);
    const auto view = make_view(data.data(), 1, 3, 4);
    EXPECT_THROW(symmetric_eigenvalues(context, {view, make_view(data.data(), 1, 3)}), InputError);
    EXPECT_THROW(symmetric_eigenvectors(context, {view, make_view(data.data(), 1, 3)}), InputError);
}

TEST(Eigenvalues, LibraryAndWorkspaceAreNamed) {
    CpuContext context(1);
    EXPECT_NE(std::string(eigen_library(context)).find("OpenBLAS"), std::string::npos);
    EXPECT_NE(std::string(eigen_library(context)).find("lanes"), std::string::npos);
    EXPECT_GE(eigen_workspace_bytes(context, 1, 100, false), 100u * 101 / 2 * sizeof(double));
    EXPECT_GT(eigen_workspace_bytes(context, 1, 1000, false), 0u);
    EXPECT_GE(eigen_workspace_bytes(context, 1, 100, true),
              2u * 100 * 100 * sizeof(double));  // dsyevd's documentation
}

}  // namespace
}  // namespace espectra
