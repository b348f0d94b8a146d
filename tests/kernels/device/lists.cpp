// Lists of marked entries on a device, around the limits from which on Thrust makes them, and the operations
// that use such lists.

#include "espectra/kernels/index_lists.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/spectrum.hpp"

#include <gtest/gtest.h>

#include "kernels/device/device_test.hpp"
#include "kernels/device/sliced_array.hpp"
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace espectra::test {
namespace {

const auto expect_equal = [](const Values& expected, const Values& actual) {
    EXPECT_TRUE(equal(expected, actual));
};

/// Lengths of lists around the shortest that Thrust makes.
constexpr Index lengths[] = {long_list - 1, long_list, long_list + 1};

/// Marks of rows: about one of sixteen, and the last.
std::vector<unsigned char> few_marks(Index rows) {
    std::vector<unsigned char> marks;
    for (Index p = 0; p < rows; ++p) marks.push_back(p * 7 % 16 == 3 || p + 1 == rows ? 1 : 0);
    return marks;
}

// Zeros of both signs do not count, numbers that are not finite do.
TYPED_TEST(Device, NonzerosAreCounted) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    constexpr std::array<double, 8> values = {
        0.0,      -0.0, 1.0,  std::numeric_limits<double>::quiet_NaN(),
        infinity, 0.0,  -0.0, std::numeric_limits<double>::denorm_min()};
    std::vector<std::array<Index, 2>> shapes = {
        {1, 1}, {3, 255}, {2, 256}, {2, 257}, {130, 5}, {many_lists, long_list}, {many_lists - 1, long_list}};
    for (const Index length : lengths) shapes.push_back({3, length});
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

TYPED_TEST(Device, LongMatricesAreCompressed) {
    for (const Index n : lengths) {
        SCOPED_TRACE(std::to_string(n) + " rows");
        for (const bool any : {false, true}) {
            const std::vector<unsigned char> marks =
                any ? few_marks(n) : std::vector<unsigned char>(static_cast<std::size_t>(n));
            const Index kept = std::ranges::count(marks, 1);
            const auto work = [&](auto& context) {
                auto matrix = sliced(context, whole_numbers(n * n, 5), n, n);
                auto keep = sliced(context, marks, n);
                compress_rows(context, {matrix.view(), keep.view()});
                Values all, upper;
                matrix.append_to(all);
                for (Index i = 0; i < kept; ++i)
                    upper.insert(upper.end(), all.begin() + i * n + i, all.begin() + i * n + kept);
                return upper;
            };
            this->on_both(work, expect_equal);
        }
    }
}

// The direction in the middle has no entry.
TYPED_TEST(Device, ScalingResidualsOfLongDirections) {
    for (const Index n : lengths) {
        SCOPED_TRACE(std::to_string(n) + " rows");
        constexpr Index directions = 3;
        Values signs(static_cast<std::size_t>(directions * n));
        for (const Index d : {0, 2})
            for (Index p = 0; p < n; ++p)
                if (p * 7 % 64 == d || p + 1 == n)
                    signs[static_cast<std::size_t>(d * n + p)] = p % 2 == 0 ? 1 : -1;
        const auto work = [&](auto& context) {
            auto matrices = sliced(context, whole_numbers(n * n, 6), 1, n, n);
            auto sign = sliced(context, signs, directions, n);
            auto theta = sliced(context, whole_numbers(n, 7), 1, n),
                 gradient = sliced(context, whole_numbers(n, 8), 1, n);
            auto frobenius = sliced(context, Values{2}, 1), residual = sliced_results(context, 1);
            scaling_residual(context, {.matrices = matrices.view(),
                                       .signs = sign.view(),
                                       .theta = theta.view(),
                                       .gradient = gradient.view(),
                                       .frobenius = frobenius.view(),
                                       .residual = residual.view()});
            Values results;
            residual.append_to(results);
            return results;
        };
        this->on_both(work, expect_equal);
    }
}

// The second matrix is not finite and keeps no row.
TYPED_TEST(Device, BatchesOfLongMatricesAreDeflated) {
    for (const Index parameters : lengths) {
        SCOPED_TRACE(std::to_string(parameters) + " rows");
        constexpr Index replicas = 2;
        std::vector<unsigned char> marks = few_marks(parameters);
        const Index n = std::ranges::count(marks, 1);
        marks.insert(marks.end(), static_cast<std::size_t>(parameters), 1);
        const auto work = [&](auto& context) {
            auto matrices = sliced(context, whole_numbers(replicas * parameters * parameters, 9), replicas,
                                   parameters, parameters);
            auto keep = sliced(context, marks, replicas, parameters);
            auto frobenius = sliced(context, Values{3, std::nan("")}, replicas);
            auto deflated = sliced_results(context, replicas, n, n);
            deflate(context, {.matrices = matrices.view(),
                              .keep = keep.view(),
                              .frobenius = frobenius.view(),
                              .deflated = deflated.view()});
            Values results;
            deflated.append_to(results);
            return results;
        };
        this->on_both(work, expect_equal);
    }
}

}  // namespace
}  // namespace espectra::test
