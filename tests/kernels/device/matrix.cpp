// Operations on batches of symmetric matrices on a device: copies, and sums that are exact, so equal numbers.

#include "espectra/kernels/matrix.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace espectra::test {
namespace {

struct Batch {
    Index replicas, n;
    std::string text() const { return std::to_string(replicas) + " × " + std::to_string(n); }
};

/// Around 8 rows and 16 lanes, squares of 32 × 32, parts of 64 rows, 128 rows, lists in chunks of 256, and
/// 1024 marks at a time.
constexpr Batch batches[] = {{1, 1},   {2, 2},   {3, 7},   {2, 8},   {2, 9},   {1, 31},
                             {130, 8}, {2, 32},  {1, 33},  {2, 63},  {1, 64},  {1, 65},
                             {1, 127}, {1, 128}, {1, 129}, {1, 255}, {1, 256}, {1, 257}};

/// Symmetric matrices of whole numbers; rows and columns of every third index are zero. The lower triangles,
/// which no operation reads, are NaN.
Values matrices_of(const Batch& b) {
    Values values = whole_numbers(b.replicas * b.n * b.n, 1);
    const auto view = make_view(values.data(), b.replicas, b.n, b.n);
    for (Index r = 0; r < b.replicas; ++r)
        for (Index i = 0; i < b.n; ++i)
            for (Index j = 0; j < b.n; ++j) {
                if (j < i)
                    view(r, i, j) = unwritten<double>();
                else if ((i + r) % 3 == 1 || (j + r) % 3 == 1)
                    view(r, i, j) = 0;
            }
    return values;
}

const auto expect_equal = [](const Values& expected, const Values& actual) {
    EXPECT_TRUE(equal(expected, actual));
};

TYPED_TEST(Device, TrianglesAreClearedAndMirrored) {
    for (const Batch& batch : batches) {
        SCOPED_TRACE(batch.text());
        const auto work = [&](auto& context) {
            auto matrices = sliced(context, matrices_of(batch), batch.replicas, batch.n, batch.n);
            Values results;
            symmetrize(context, {matrices.view()});
            matrices.append_to(results);
            clear_upper(context, {matrices.view()});
            matrices.append_to(results);
            return results;
        };
        this->on_both(work, expect_equal);
    }
}

template <class C>
Values summary(C& context, const Batch& batch, const Values& values) {
    auto matrices = sliced(context, values, batch.replicas, batch.n, batch.n);
    auto trace = sliced_results(context, batch.replicas), frobenius = sliced_results(context, batch.replicas);
    SlicedArray<C, unsigned char, 2> nonzero(context, {batch.replicas, batch.n});
    summarize(context, {.matrices = matrices.view(),
                        .trace = trace.view(),
                        .frobenius = frobenius.view(),
                        .nonzero_row = nonzero.view()});
    Values results;
    trace.append_to(results);
    frobenius.append_to(results);
    nonzero.append_to(results);
    return results;
}

TYPED_TEST(Device, MatricesAreSummarized) {
    for (const Batch& batch : batches) {
        SCOPED_TRACE(batch.text());
        this->on_both([&](auto& c) { return summary(c, batch, matrices_of(batch)); }, expect_equal);
    }
}

// One entry that is not zero marks its row and its column, NaN too.
TYPED_TEST(Device, SingleEntriesMarkTheirRows) {
    constexpr Index n = 67;
    for (const double entry : {1.0, std::nan(""), std::numeric_limits<double>::infinity()})
        for (const auto& [row, column] :
             {std::pair<Index, Index>{0, 0}, {0, 66}, {3, 64}, {63, 64}, {66, 66}}) {
            Values values(n * n, 0.0);
            values[static_cast<std::size_t>(row * n + column)] = entry;
            const Values actual = summary(*this->context_, {1, n}, values);
            EXPECT_TRUE(identical(summary(this->cpu_, {1, n}, values), actual)) << row << ", " << column;
            for (Index i = 0; i < n; ++i)
                EXPECT_EQ(actual[static_cast<std::size_t>(2 + i)], i == row || i == column ? 1 : 0) << i;
        }
}

/// `directions` signs, none of them for the second direction; a NaN in `gradient_of` marks a replica.
template <class C>
Values residuals(C& context, const Batch& batch, Index directions, Index gradient_of) {
    const auto& [R, n] = batch;
    Values signs = whole_numbers(directions * n, 2), gradients = whole_numbers(R * n, 3);
    for (double& sign : signs) sign = sign > 2 ? 1 : sign < -2 ? -1 : 0;
    if (directions > 1) std::fill_n(signs.begin() + n, n, 0.0);
    if (gradient_of >= 0) gradients[static_cast<std::size_t>(gradient_of * n + n / 2)] = std::nan("");
    Values norms;
    for (Index r = 0; r < R; ++r)
        norms.push_back(r % 5 == 4 ? 0.0 : std::ldexp(1.0, static_cast<int>(r % 3)));
    auto matrices = sliced(context, matrices_of(batch), R, n, n);
    auto sign = sliced(context, signs, directions, n);
    auto theta = sliced(context, whole_numbers(R * n, 4), R, n), gradient = sliced(context, gradients, R, n);
    auto frobenius = sliced(context, norms, R), residual = sliced_results(context, R);
    scaling_residual(context, {.matrices = matrices.view(),
                               .signs = sign.view(),
                               .theta = theta.view(),
                               .gradient = gradient.view(),
                               .frobenius = frobenius.view(),
                               .residual = residual.view()});
    Values results;
    residual.append_to(results);
    return results;
}

TYPED_TEST(Device, ScalingResiduals) {
    for (const Batch& batch : batches)
        for (const Index directions : {1, 3}) {
            SCOPED_TRACE(batch.text() + ", " + std::to_string(directions) + " directions");
            this->on_both([&](auto& c) { return residuals(c, batch, directions, -1); }, expect_equal);
        }
    for (const Index n : {5, 131})
        this->on_both([&](auto& c) { return residuals(c, {3, n}, 130, 1); }, expect_equal);
}

TYPED_TEST(Device, ScalingResidualsOfLongDirections) {
    for (const Index n : around_long_list) {
        SCOPED_TRACE(std::to_string(n) + " rows");
        this->on_both([&](auto& c) { return residuals(c, {1, n}, 3, -1); }, expect_equal);
    }
}

/// The upper triangle of what is kept of a matrix [n, n].
template <class C>
Values compressed(C& context, const std::vector<unsigned char>& marks) {
    const Index n = std::ssize(marks), kept = std::ranges::count(marks, 1);
    auto matrix = sliced(context, whole_numbers(n * n, 5), n, n);
    auto keep = sliced(context, marks, n);
    compress_rows(context, {matrix.view(), keep.view()});
    Values all, upper;
    matrix.append_to(all);
    for (Index i = 0; i < kept; ++i)
        upper.insert(upper.end(), all.begin() + i * n + i, all.begin() + i * n + kept);
    return upper;
}

// None, all and some of the rows are kept.
TYPED_TEST(Device, RowsAreCompressed) {
    for (const Batch& batch : batches) {
        const Index n = batch.n;
        if (batch.replicas > 3) continue;  // one matrix at a time
        for (const Index kept_of_five : {0, 1, 4, 5}) {
            SCOPED_TRACE(std::to_string(n) + " rows, " + std::to_string(kept_of_five) + " of 5 kept");
            std::vector<unsigned char> marks;
            for (Index p = 0; p < n; ++p) marks.push_back(p * 3 % 5 < kept_of_five ? 1 : 0);
            this->on_both([&](auto& c) { return compressed(c, marks); }, expect_equal);
        }
    }
}

// None of the rows, and about one of sixteen with the last.
TYPED_TEST(Device, LongMatricesAreCompressed) {
    for (const Index n : around_long_list) {
        SCOPED_TRACE(std::to_string(n) + " rows");
        std::vector<unsigned char> marks(static_cast<std::size_t>(n));
        this->on_both([&](auto& c) { return compressed(c, marks); }, expect_equal);
        for (Index p = 0; p < n; ++p)
            marks[static_cast<std::size_t>(p)] = p * 7 % 16 == 3 || p + 1 == n ? 1 : 0;
        this->on_both([&](auto& c) { return compressed(c, marks); }, expect_equal);
    }
}

// Zeros of both signs do not count, numbers that are not finite do.
TYPED_TEST(Device, NonzerosAreCounted) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr std::array<double, 8> values = {
        0.0,      -0.0, 1.0,  std::numeric_limits<double>::quiet_NaN(),
        infinity, 0.0,  -0.0, std::numeric_limits<double>::denorm_min()};
    std::vector<std::array<Index, 2>> shapes = {
        {1, 1}, {3, 255}, {2, 256}, {2, 257}, {130, 5}, {many_lists, long_list}, {many_lists - 1, long_list}};
    for (const Index length : around_long_list) shapes.push_back({3, length});
    for (const auto& [rows, columns] : shapes) {
        SCOPED_TRACE(std::to_string(rows) + " × " + std::to_string(columns));
        Values entries;
        for (Index i = 0; i < rows * columns; ++i) {
            const Index row = i / columns, column = i % columns;
            // The rows are all zero, all but zero, and of both, in turn.
            const Index at = row % 3 == 0   ? column % 2
                             : row % 3 == 1 ? 2 + column % 3
                                            : (column * 5 + row) % 8;
            entries.push_back(values[static_cast<std::size_t>(at)]);
        }
        const auto work = [&](auto& context) {
            using C = std::remove_reference_t<decltype(context)>;
            auto array = sliced(context, entries, rows, columns);
            SlicedArray<C, Index, 1> counts(context, {rows});
            count_nonzeros(context, {array.view(), counts.view()});
            Values results;
            counts.append_to(results);
            return results;
        };
        this->on_both(work, [&](const Values& expected, const Values& actual) {
            EXPECT_TRUE(equal(expected, actual));
            EXPECT_EQ(actual.front(), 0);
            if (rows > 1) {
                EXPECT_EQ(actual[1], static_cast<double>(columns));
            }
        });
    }
}

TYPED_TEST(Device, ParticipationRatios) {
    for (const auto& [replicas, vectors, n] :
         {std::array<Index, 3>{1, 1, 1}, {2, 3, 15}, {1, 2, 127}, {1, 3, 128}, {1, 2, 129}, {2, 70, 70}}) {
        const auto work = [&](auto& context) {
            auto of = sliced(context, whole_numbers(replicas * vectors * n, 6), replicas, vectors, n);
            auto ratios = sliced_results(context, replicas, vectors);
            inverse_participation_ratios(context, {of.view(), ratios.view()});
            Values results;
            ratios.append_to(results);
            return results;
        };
        this->on_both(work, expect_equal);
    }
}

}  // namespace
}  // namespace espectra::test
