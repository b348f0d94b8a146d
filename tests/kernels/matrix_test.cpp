// Operations on symmetric matrices, by hand.

#include "espectra/kernels/matrix.hpp"

#include "espectra/runtime/cpu_context.hpp"

#include <gtest/gtest.h>

#include "kernels/symmetric_matrices.hpp"
#include <algorithm>
#include <cmath>
#include <vector>

namespace espectra {
namespace {

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
