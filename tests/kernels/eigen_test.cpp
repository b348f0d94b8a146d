// Symmetric eigenvalues and eigenvectors: hand-worked matrices, closed forms, invariants.

#include "espectra/kernels/eigen.hpp"

#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/spectrum.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

namespace espectra {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();
const double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double pi = std::numbers::pi;

/// Row-major n × n inside rows of `stride` elements; what is not read is NaN.
struct Matrix {
    Index n, stride;
    std::vector<double> data;
    explicit Matrix(Index size, Index row_stride = 0)
        : n(size),
          stride(row_stride > 0 ? row_stride : size),
          data(static_cast<std::size_t>(std::max<Index>(1, n * stride)), nan) {}
    double& operator()(Index i, Index j) { return data[static_cast<std::size_t>(i * stride + j)]; }
    /// Element of the symmetric matrix.
    double at(Index i, Index j) const {
        return data[static_cast<std::size_t>(std::min(i, j) * stride + std::max(i, j))];
    }
    View<double, 3> view() {
        auto whole = make_view(data.data(), 1, n, stride);
        return whole.slice(2, 0, n);
    }
    double frobenius() const {
        double sum = 0;
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < n; ++j) sum += at(i, j) * at(i, j);
        return std::sqrt(sum);
    }
};

/// f(i, j) in the upper triangle, NaN everywhere else.
template <class F>
Matrix upper(Index n, F&& f, Index stride = 0) {
    Matrix matrix(n, stride);
    for (Index i = 0; i < n; ++i)
        for (Index j = i; j < n; ++j) matrix(i, j) = f(i, j);
    return matrix;
}

Matrix random_matrix(Index n, Index stride = 0, std::uint32_t stream = 0) {
    const RandomStream random(31, stream);
    return upper(
        n, [&](Index i, Index j) { return random.normal(static_cast<std::uint64_t>(i * n + j)); }, stride);
}

std::vector<double> eigenvalues(Matrix matrix, int threads = 1) {
    CpuContext context(threads);
    std::vector<double> values(static_cast<std::size_t>(matrix.n), nan);
    symmetric_eigenvalues(context, {matrix.view(), make_view(values.data(), 1, matrix.n)});
    return values;
}

struct Decomposition {
    std::vector<double> values;
    Matrix vectors;  // row e
};

Decomposition eigenvectors(Matrix matrix, int threads = 1) {
    CpuContext context(threads);
    std::vector<double> values(static_cast<std::size_t>(matrix.n), nan);
    symmetric_eigenvectors(context, {matrix.view(), make_view(values.data(), 1, matrix.n)});
    return {values, matrix};
}

// Backward error of dsyevd: p(n) ε ‖H‖₂ with a modest p (LAPACK Users' Guide, 4.7.1); 4·√n·ε·‖H‖_F ≥
// 4·√n·ε·‖H‖₂ is an observed bound for the sizes here, and what models/spectrum/indices.cpp uses is 4·n·ε.
double backward_error(const Matrix& matrix) {
    return 4 * eps * std::sqrt(static_cast<double>(matrix.n)) * matrix.frobenius();
}

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

/// Second difference, 2 on the diagonal and −1 beside it: 2 − 2 cos(kπ/(n + 1)), k = 1 … n.
Matrix toeplitz(Index n) {
    return upper(n, [](Index i, Index j) { return i == j ? 2.0 : j == i + 1 ? -1.0 : 0.0; });
}
std::vector<double> toeplitz_values(Index n) {
    std::vector<double> values;
    for (Index k = 1; k <= n; ++k)
        values.push_back(
            4 * std::pow(std::sin(static_cast<double>(k) * pi / (2 * static_cast<double>(n + 1))), 2));
    return values;
}

/// A full matrix: min(i, j) for i, j = 1 … n, the inverse of the second difference of a path fixed at one
/// end: 1/(4 sin²((2k − 1)π/(4n + 2))), k = 1 … n.
Matrix brownian(Index n) {
    return upper(n, [](Index i, Index j) { return static_cast<double>(std::min(i, j) + 1); });
}
std::vector<double> brownian_values(Index n) {
    std::vector<double> values;
    for (Index k = 1; k <= n; ++k) {
        const double s = std::sin((2 * static_cast<double>(k) - 1) * pi / (4 * static_cast<double>(n) + 2));
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
    const Matrix matrix = random_matrix(520);  // above the size that one matrix is worth several threads
    expect_decomposition(matrix, eigenvectors(matrix, 2));
}

// Above the crossover to the two-stage reduction (kernels/cpu/eigen/lapack.cpp): known eigenvalues.
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
            for (Index j = n; j < n + 5; ++j)  // what is beside the matrix stays
                ASSERT_TRUE(std::isnan(d.vectors.data[static_cast<std::size_t>(i * (n + 5) + j)]));
    }
}

TEST(Eigenvalues, BatchEqualsOneByOne) {
    for (const Index n : {1, 5, 40, 530}) {
        const Index count = 5;
        std::vector<std::vector<double>> alone;
        std::vector<double> data;
        for (Index r = 0; r < count; ++r) {
            const Matrix matrix = random_matrix(n, 0, static_cast<std::uint32_t>(r));
            alone.push_back(eigenvalues(matrix));
            data.insert(data.end(), matrix.data.begin(), matrix.data.end());
        }
        for (const int threads : {1, 2, 3}) {
            CpuContext context(threads);
            std::vector<double> matrices = data, values(static_cast<std::size_t>(count * n), nan);
            symmetric_eigenvalues(
                context, {make_view(matrices.data(), count, n, n), make_view(values.data(), count, n)});
            // One matrix per core with serial BLAS: the same bits as alone on one thread.
            for (Index r = 0; r < count; ++r)
                EXPECT_EQ(std::vector<double>(values.begin() + r * n, values.begin() + (r + 1) * n),
                          alone[static_cast<std::size_t>(r)])
                    << n << ", " << threads << " threads";
        }
    }
}

std::vector<std::uint64_t> bits(const double* values, Index count) {
    std::vector<std::uint64_t> result;
    std::transform(values, values + count, std::back_inserter(result), std::bit_cast<std::uint64_t, double>);
    return result;
}

/// Σ_k b_k b_kᵀ over `rank` vectors with zeros in every third row: what a ReLU network's Hessian looks like.
Matrix rank_deficient(Index n, Index rank, std::uint32_t stream = 0) {
    const RandomStream random(77, stream);
    const auto b = [&](Index k, Index i) {
        return i % 3 == 1 ? 0.0 : random.normal(static_cast<std::uint64_t>(1000 * k + i));
    };
    return upper(n, [&](Index i, Index j) {
        double sum = 0;
        for (Index k = 0; k < rank; ++k) sum += b(k, i) * b(k, j);
        return sum;
    });
}

/// Of one size, easy and difficult ones; every fifth is not finite.
std::vector<Matrix> mixed_matrices(Index n, Index count) {
    std::vector<Matrix> matrices;
    for (Index r = 0; r < count; ++r) {
        const auto stream = static_cast<std::uint32_t>(r);
        switch (r % 5) {
            case 0:
                matrices.push_back(random_matrix(n, 0, stream));
                break;
            case 1:
                matrices.push_back(rank_deficient(n, 2, stream));
                break;
            case 2: {  // the last rows are decoupled
                const Matrix random = random_matrix(n, 0, stream);
                const double scale = std::ldexp(1.0, static_cast<int>(12 * r));
                matrices.push_back(upper(n, [&](Index i, Index j) {
                    return j < 1 + r % n ? scale * random.at(i, j) : i == j ? static_cast<double>(r) : 0.0;
                }));
                break;
            }
            case 3:
                matrices.push_back(toeplitz(n));
                break;
            case 4:
                matrices.push_back(random_matrix(n, 0, stream));
                matrices.back()(r % 2 ? 0 : n - 1, n - 1) =
                    r % 3 ? nan : -std::numeric_limits<double>::infinity();
                break;
        }
    }
    return matrices;
}

// The interleaved solver takes several matrices at a time; the bits of none may depend on the others.
TEST(Eigenvalues, BitsDoNotDependOnTheBatchNorOnThreads) {
    for (const Index n : {1, 2, 3, 5, 17, 40, 52, 130, 200}) {
        const Index most = n > 100 ? 20 : 70;
        const std::vector<Matrix> matrices = mixed_matrices(n, most);
        std::vector<std::vector<double>> alone;
        for (const Matrix& matrix : matrices) alone.push_back(eigenvalues(matrix));
        for (const Index count : {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 20, 25, 32, 33, 70})
            for (const int threads : {1, 2, 3}) {
                if (count > most) continue;
                std::vector<double> data, values(static_cast<std::size_t>(count * n), 5.0);
                for (Index r = most - count; r < most; ++r) {  // the last ones: each in different lanes
                    const std::vector<double>& matrix = matrices[static_cast<std::size_t>(r)].data;
                    data.insert(data.end(), matrix.begin(), matrix.end());
                }
                CpuContext context(threads);
                symmetric_eigenvalues(
                    context, {make_view(data.data(), count, n, n), make_view(values.data(), count, n)});
                for (Index r = 0; r < count; ++r) {
                    const auto& expected = alone[static_cast<std::size_t>(most - count + r)];
                    ASSERT_EQ(bits(&values[static_cast<std::size_t>(r * n)], n), bits(expected.data(), n))
                        << r << " of " << count << ", n = " << n << ", threads: " << threads;
                }
            }
        for (std::size_t r = 0; r < alone.size(); ++r)
            for (const double v : alone[r]) ASSERT_EQ(std::isnan(v), r % 5 == 4) << r << " " << n;
    }
}

// A matrix that deflate() pads to the size of others has the eigenvalues that it has alone, bit by bit.
TEST(Eigenvalues, OfDeflatedMatricesAreThoseOfTheMatricesAlone) {
    constexpr Index n = 60, count = 13;
    CpuContext context(2);
    std::vector<double> data, frobenius;
    std::vector<unsigned char> keep;
    for (Index r = 0; r < count; ++r) {  // r + 1 of 15 rows are not zero
        const Matrix random = random_matrix(n, 0, static_cast<std::uint32_t>(r));
        const Matrix matrix = upper(
            n, [&](Index i, Index j) { return i * 7 % 15 <= r && j * 7 % 15 <= r ? random.at(i, j) : 0.0; });
        data.insert(data.end(), matrix.data.begin(), matrix.data.end());
        frobenius.push_back(matrix.frobenius());
        for (Index i = 0; i < n; ++i) keep.push_back(i * 7 % 15 <= r);
    }
    constexpr Index width = n / 15 * count;
    std::vector<double> deflated(static_cast<std::size_t>(count * width * width)),
        values(static_cast<std::size_t>(count * width));
    deflate(context, {.matrices = make_view<Space::host, const double>(data.data(), count, n, n),
                      .keep = make_view<Space::host, const unsigned char>(keep.data(), count, n),
                      .frobenius = make_view<Space::host, const double>(frobenius.data(), count),
                      .deflated = make_view(deflated.data(), count, width, width)});
    symmetric_eigenvalues(
        context, {make_view(deflated.data(), count, width, width), make_view(values.data(), count, width)});
    for (Index r = 0; r < count; ++r) {
        const Index kept = n / 15 * (r + 1);
        const auto whole = make_view(data.data() + r * n * n, n, n);
        compress_rows(context, {whole, make_view<Space::host, const unsigned char>(keep.data() + r * n, n)});
        std::vector<double> alone(static_cast<std::size_t>(kept));
        symmetric_eigenvalues(context, {make_view(whole.data, 1, n, n).slice(1, 0, kept).slice(2, 0, kept),
                                        make_view(alone.data(), 1, kept)});
        EXPECT_EQ(bits(values.data() + r * width, kept), bits(alone.data(), kept)) << kept;
        for (Index i = kept; i < width; ++i)
            EXPECT_EQ(values[static_cast<std::size_t>(r * width + i)],
                      2 * frobenius[static_cast<std::size_t>(r)]);
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

// Each solver's backward error is at most p(n) ε ‖H‖₂ with a modest p: measured 0.94 n ε ‖H‖₂
// for both together.
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

/// Zero diagonal, √(k(n − k)) beside it: n − 1, n − 3, …, 1 − n (Clement, SIAM Review 1, 1959).
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

TEST(Eigenvalues, OfNothing) {
    CpuContext context(2);
    double nothing = 5;
    symmetric_eigenvalues(context, {make_view(&nothing, 1, 0, 0), make_view(&nothing, 1, 0)});
    symmetric_eigenvectors(context, {make_view(&nothing, 1, 0, 0), make_view(&nothing, 1, 0)});
    symmetric_eigenvalues(context, {make_view(&nothing, 0, 4, 4), make_view(&nothing, 0, 4)});
    EXPECT_EQ(nothing, 5);
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

// NaN must neither hang nor pass for a spectrum.
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

TEST(Eigenvalues, SaysWhatSolvesAndWhatItTakes) {
    CpuContext context(1);
    EXPECT_NE(std::string(eigen_library(context)).find("OpenBLAS"), std::string::npos);
    EXPECT_NE(std::string(eigen_library(context)).find("lanes"), std::string::npos);
    EXPECT_GE(eigen_workspace_bytes(context, 1, 100, false), 100u * 101 / 2 * sizeof(double));
    EXPECT_GT(eigen_workspace_bytes(context, 1, 1000, false), 0u);
    EXPECT_GE(eigen_workspace_bytes(context, 1, 100, true),
              2u * 100 * 100 * sizeof(double));  // dsyevd's documentation
}

TEST(Matrix, SummaryByHand) {
    CpuContext context(2);
    // (3 0 4 0 0; · 0 0 1e-200 0; · · 1 0 0; · · · 0 0; · · · · 0) and zero; only the upper triangle is read.
    std::vector<double> data = {3, 0, 4,   0,   0,   nan, 0, 0,   1e-200, 0,   nan, nan, 1,
                                0, 0, nan, nan, nan, 0,   0, nan, nan,    nan, nan, 0};
    data.resize(50, 0.0);
    std::vector<double> trace(2), frobenius(2);
    std::vector<unsigned char> nonzero(10, 9);
    summarize(context, {.matrices = make_view(data.data(), 2, 5, 5),
                        .trace = make_view(trace.data(), 2),
                        .frobenius = make_view(frobenius.data(), 2),
                        .nonzero_row = make_view(nonzero.data(), 2, 5)});
    EXPECT_EQ(trace, (std::vector<double>{4, 0}));
    EXPECT_DOUBLE_EQ(frobenius[0], std::sqrt(9 + 1 + 2 * 16.0));
    EXPECT_EQ(frobenius[1], 0);
    // 1e-200² underflows, but is not zero.
    EXPECT_EQ(nonzero, (std::vector<unsigned char>{1, 1, 1, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(Matrix, ClearAndSymmetrize) {
    CpuContext context(2);
    for (const Index n : {1, 2, 63, 64, 65, 130}) {
        std::vector<double> data(static_cast<std::size_t>(2 * n * n));
        for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<double>(i + 1);
        const std::vector<double> before = data;
        const auto m = make_view(data.data(), 2, n, n);
        const auto old = make_view(before.data(), 2, n, n);
        symmetrize(context, {m});
        for (Index r = 0; r < 2; ++r)
            for (Index i = 0; i < n; ++i)
                for (Index j = 0; j < n; ++j) ASSERT_EQ(m(r, i, j), old(r, std::min(i, j), std::max(i, j)));
        clear_upper(context, {m});
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < n; ++j) ASSERT_EQ(m(1, i, j), j >= i ? 0.0 : old(1, j, i));
    }
}

TEST(Matrix, CompressKeepsOrder) {
    CpuContext context(1);
    Matrix m = upper(
        5, [](Index i, Index j) { return static_cast<double>(10 * i + j); }, 7);
    const std::vector<unsigned char> keep = {0, 1, 0, 1, 1};
    compress_rows(context, {m.view()[0], make_view(keep.data(), 5)});
    const std::vector<double> expected = {11, 13, 14, 33, 34, 44};
    std::vector<double> actual;
    for (Index i = 0; i < 3; ++i)
        for (Index j = i; j < 3; ++j) actual.push_back(m(i, j));
    EXPECT_EQ(actual, expected);
}

TEST(Matrix, InverseParticipationByHand) {
    CpuContext context(2);
    // (1, 0, 0, 0): 1; (½, ½, ½, ½): ¼; (0.6, 0.8, 0, 0): 0.1296 + 0.4096.
    const std::vector<double> vectors = {1, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.6, 0.8, 0, 0};
    std::vector<double> ratios(3);
    inverse_participation_ratios(context,
                                 {make_view(vectors.data(), 1, 3, 4), make_view(ratios.data(), 1, 3)});
    EXPECT_EQ(ratios[0], 1);
    EXPECT_EQ(ratios[1], 0.25);
    EXPECT_NEAR(ratios[2], 0.5392, 2 * eps);
}

}  // namespace
}  // namespace espectra
