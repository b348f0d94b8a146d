// Lists by Thrust's system for the CPU, the same algorithm as on a device, against the standard library's
// algorithms.

#include "espectra/kernels/cuda/thrust_lists.cuh"

#include "espectra/kernels/group/index_lists.hpp"

#include <gtest/gtest.h>
#include <thrust/system/cpp/execution_policy.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace espectra {
namespace {

constexpr Space host = Space::host;
constexpr Index unwritten = -7;

struct Shape {
    Index lists, length;
};
/// No list, empty ones, one entry, many lists, long lists.
constexpr Shape shapes[] = {{0, 5}, {3, 0}, {1, 1}, {2, 1}, {130, 7}, {130, 64}, {3, 2048}, {1, 5000}};

std::string name(const Shape& shape) {
    return std::to_string(shape.lists) + " lists of " + std::to_string(shape.length);
}

/// Numbers, of which some lists have only zeros and some none.
std::vector<double> entries(const Shape& shape) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double values[] = {0.0, 2.5,    -0.0, nan, 2.5, std::numeric_limits<double>::infinity(),
                                 0.0, -1e-310};
    std::vector<double> all;
    for (Index l = 0; l < shape.lists; ++l)
        for (Index p = 0; p < shape.length; ++p)
            all.push_back(l % 4 == 2   ? (p % 2 == 0 ? 0.0 : -0.0)
                          : l % 4 == 3 ? 1.0 + static_cast<double>(p)
                                       : values[(p * 5 + p / 8 + l) % 8]);
    return all;
}

bool is_nonzero(double value) { return value != 0; }

TEST(ThrustLists, PositionsOfNonzeros) {
    for (const Shape& shape : shapes) {
        SCOPED_TRACE(name(shape));
        const auto values = entries(shape);
        const auto size = static_cast<std::size_t>(shape.lists * shape.length);
        std::vector<Index> list(size, unwritten), count(static_cast<std::size_t>(shape.lists), unwritten);
        scan_lists(thrust::cpp::par, group::ListKernel<group::Nonzero<host>, host>{
                                         {make_view(values.data(), shape.lists, shape.length)},
                                         make_view(list.data(), shape.lists, shape.length),
                                         make_view(count.data(), shape.lists)});
        for (Index l = 0; l < shape.lists; ++l) {
            std::vector<Index> expected(static_cast<std::size_t>(shape.length));
            std::iota(expected.begin(), expected.end(), 0);
            std::erase_if(expected, [&](Index p) {
                return !is_nonzero(values[static_cast<std::size_t>(l * shape.length + p)]);
            });
            ASSERT_EQ(count[static_cast<std::size_t>(l)], std::ssize(expected)) << l;
            expected.resize(static_cast<std::size_t>(shape.length), unwritten);  // nothing behind the list
            const auto begin = list.begin() + l * shape.length;
            EXPECT_EQ(std::vector<Index>(begin, begin + shape.length), expected) << l;
        }
    }
}

TEST(ThrustLists, CountsOfNonzeros) {
    for (const Shape& shape : shapes) {
        SCOPED_TRACE(name(shape));
        const auto values = entries(shape);
        std::vector<Index> count(static_cast<std::size_t>(shape.lists), unwritten), expected;
        scan_lists(thrust::cpp::par, group::CountKernel<group::Nonzero<host>, host>{
                                         {make_view(values.data(), shape.lists, shape.length)},
                                         shape.length,
                                         make_view(count.data(), shape.lists)});
        for (Index l = 0; l < shape.lists; ++l) {
            const auto begin = values.begin() + l * shape.length;
            expected.push_back(std::count_if(begin, begin + shape.length, is_nonzero));
        }
        EXPECT_EQ(count, expected);
    }
}

// Of slices of a larger array, as operations are given; the matrices of norm NaN or ∞ keep no row.
TEST(ThrustLists, PositionsOfKeptRows) {
    for (const Shape& shape : shapes) {
        SCOPED_TRACE(name(shape));
        const auto stride = static_cast<std::size_t>(shape.length + 2),
                   lists = static_cast<std::size_t>(shape.lists);
        std::vector<unsigned char> keep(lists * stride, 9);
        for (std::size_t i = 0; i < keep.size(); ++i) keep[i] = i * 11 % 5 < 2 ? 1 : 0;
        std::vector<double> norms;
        for (Index l = 0; l < shape.lists; ++l)
            norms.push_back(l % 5 == 1   ? std::nan("")
                            : l % 5 == 4 ? std::numeric_limits<double>::infinity()
                                         : static_cast<double>(l));
        const auto marks =
            make_view(std::as_const(keep).data(), shape.lists, shape.length + 2).slice(1, 1, shape.length);
        std::vector<Index> positions(lists * static_cast<std::size_t>(shape.length + 1), unwritten), expected;
        scan_lists(thrust::cpp::par, group::PositionsKernel<group::KeptOfFinite<host>, host>{
                                         {marks, make_view(std::as_const(norms).data(), shape.lists)},
                                         make_view(positions.data(), shape.lists, shape.length + 1)});
        for (Index l = 0; l < shape.lists; ++l) {
            std::vector<Index> kept(1, 0);
            for (Index p = 0; p < shape.length; ++p)
                kept.push_back(std::isfinite(norms[static_cast<std::size_t>(l)]) ? marks(l, p) : 0);
            std::inclusive_scan(kept.begin(), kept.end(), std::back_inserter(expected));
        }
        EXPECT_EQ(positions, expected);
    }
}

TEST(ThrustLists, ListOfKeptRows) {
    for (const Index length : {1, 2, 4097}) {
        for (const Index kept_of_five : {0, 2, 5}) {
            std::vector<unsigned char> keep;
            std::vector<Index> expected;
            for (Index p = 0; p < length; ++p) {
                keep.push_back(p * 3 % 5 < kept_of_five ? 1 : 0);
                if (keep.back()) expected.push_back(p);
            }
            std::vector<Index> list(keep.size(), unwritten), count(1, unwritten);
            scan_lists(thrust::cpp::par, group::ListKernel<group::Kept<host>, host>{
                                             {make_view(std::as_const(keep).data(), length)},
                                             make_view(list.data(), 1, length),
                                             make_view(count.data(), 1)});
            ASSERT_EQ(count[0], std::ssize(expected));
            expected.resize(list.size(), unwritten);
            EXPECT_EQ(list, expected) << length << ", " << kept_of_five;
        }
    }
}

}  // namespace
}  // namespace espectra
