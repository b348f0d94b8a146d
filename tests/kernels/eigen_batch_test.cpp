// Batches of symmetric matrices: the eigenvalues of each are those that it has alone.

#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/spectrum.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <gtest/gtest.h>

#include "kernels/symmetric_matrices.hpp"
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <vector>

namespace espectra {
namespace {

std::vector<std::uint64_t> bits(const double* values, Index count) {
    std::vector<std::uint64_t> result;
    std::transform(values, values + count, std::back_inserter(result), std::bit_cast<std::uint64_t, double>);
    return result;
}

/// Easy and difficult matrices of one size; every fifth is not finite.
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

TEST(EigenBatch, BatchEqualsOneByOne) {
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

// The interleaved solver takes several matrices at a time; the bits of none may depend on the others.
TEST(EigenBatch, BitsDoNotDependOnTheBatchNorOnThreads) {
    for (const Index n : {1, 2, 3, 5, 17, 40, 52, 130, 200}) {
        const Index most = n > 100 ? 20 : 70;
        const std::vector<Matrix> matrices = mixed_matrices(n, most);
        std::vector<std::vector<double>> alone;
        for (const Matrix& matrix : matrices) alone.push_back(eigenvalues(matrix));
        for (const Index count : {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 20, 25, 32, 33, 70})
            for (const int threads : {1, 2, 3}) {
                if (count > most) continue;
                std::vector<double> data, values(static_cast<std::size_t>(count * n), 5.0);
                for (Index r = most - count; r < most; ++r) {  // the last matrices: each in different lanes
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
TEST(EigenBatch, OfDeflatedMatricesAreThoseOfTheMatricesAlone) {
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

TEST(EigenBatch, OfNothing) {
    CpuContext context(2);
    double nothing = 5;
    symmetric_eigenvalues(context, {make_view(&nothing, 1, 0, 0), make_view(&nothing, 1, 0)});
    symmetric_eigenvectors(context, {make_view(&nothing, 1, 0, 0), make_view(&nothing, 1, 0)});
    symmetric_eigenvalues(context, {make_view(&nothing, 0, 4, 4), make_view(&nothing, 0, 4)});
    EXPECT_EQ(nothing, 5);
}

}  // namespace
}  // namespace espectra
