#pragma once

// Arguments of operations on any backend: slices of larger arrays with whole numbers, of which every sum of
// products is exact in any order, so that the results of two backends are equal.

#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/random.hpp"

#include <gtest/gtest.h>

#include "support/backend_work.hpp"
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace espectra::test {

/// Value of entries around a slice and of results before they are written: NaN, or a number of no use.
template <class T>
constexpr T unwritten() {
    if constexpr (std::is_floating_point_v<T>)
        return std::numeric_limits<T>::quiet_NaN();
    else
        return static_cast<T>(0x5b);
}

/// An array of the given extents in the memory of a backend. On the CPU backend, which provides the expected
/// values, it is contiguous; elsewhere it is a slice of an array that has one more entry before and two after
/// it on every axis. The last axis has stride 1.
template <class C, class T, int Rank>
class SlicedArray {
    static constexpr bool sliced = !std::is_same_v<C, CpuContext>;
    static constexpr Index before = sliced ? 1 : 0, around = sliced ? 3 : 0;

  public:
    /// `values` are those of the array, row-major; none: they are unwritten.
    SlicedArray(C& context, const std::array<Index, Rank>& extent, const std::vector<T>& values = {})
        : context_(&context), extent_(extent) {
        Index size = 1;
        for (const Index count : extent_) size *= count + around;
        memory_.assign(static_cast<std::size_t>(size), unwritten<T>());
        for (std::size_t i = 0; i < values.size(); ++i) memory_[position(static_cast<Index>(i))] = values[i];
        buffer_ = upload(context, memory_);
    }

    View<T, Rank, C::space> view() {
        View<T, Rank, C::space> view;
        Index stride = 1;
        view.data = buffer_.data();
        for (int axis = Rank - 1; axis >= 0; --axis) {
            const Index count = extent_[static_cast<std::size_t>(axis)];
            view.extent[axis] = count;
            view.stride[axis] = stride;
            view.data += before * stride;
            stride *= count + around;
        }
        return view;
    }

    /// Appends the values of the array to `results`; expects those around it to be as before.
    void append_to(Values& results) {
        std::vector<T> found = fetch(*context_, buffer_.data(), buffer_.size());
        Index size = 1;
        for (const Index count : extent_) size *= count;
        for (Index i = 0; i < size; ++i) {
            const std::size_t at = position(i);
            results.push_back(static_cast<double>(found[at]));
            found[at] = memory_[at];
        }
        EXPECT_EQ(std::memcmp(found.data(), memory_.data(), found.size() * sizeof(T)), 0)
            << "entries around a slice have changed";
    }

  private:
    /// Position in memory of entry `index` of the array, counted row by row.
    std::size_t position(Index index) const {
        Index offset = 0, stride = 1;
        for (std::size_t axis = Rank; axis-- > 0;) {
            offset += (index % extent_[axis] + before) * stride;
            index /= extent_[axis];
            stride *= extent_[axis] + around;
        }
        return static_cast<std::size_t>(offset);
    }

    C* context_;
    std::array<Index, Rank> extent_;
    std::vector<T> memory_;
    Buffer<T, C::space> buffer_;
};

/// An array of these values and extents.
template <class C, class T, class... E>
SlicedArray<C, T, static_cast<int>(sizeof...(E))> sliced(C& context, const std::vector<T>& values,
                                                         E... extents) {
    return {context, {static_cast<Index>(extents)...}, values};
}

/// An array of these extents for results.
template <class C, class... E>
SlicedArray<C, double, static_cast<int>(sizeof...(E))> sliced_results(C& context, E... extents) {
    return {context, {static_cast<Index>(extents)...}};
}

/// Returns the view if it is given, otherwise an empty one.
template <class V>
V given(bool is_given, V view) {
    return is_given ? view : V{};
}

/// Returns whole numbers from −3 to 3.
inline Values whole_numbers(Index count, std::uint32_t stream) {
    const RandomStream random(17, stream);
    Values values;
    for (Index i = 0; i < count; ++i)
        values.push_back(std::floor(7 * random.uniform(static_cast<std::uint64_t>(i))) - 3);
    return values;
}

/// Returns whole numbers [R, n, n, m] that are symmetric in the middle axes.
inline Values symmetric_whole_numbers(Index replicas, Index n, Index m, std::uint32_t stream) {
    Values values = whole_numbers(replicas * n * n * m, stream);
    const auto view = make_view(values.data(), replicas, n, n, m);
    for (Index r = 0; r < replicas; ++r)
        for (Index i = 0; i < n; ++i)
            for (Index j = 0; j < i; ++j) std::copy_n(&view(r, j, i, 0), m, &view(r, i, j, 0));
    return values;
}

/// Expects numbers of the same bits; every NaN counts as the same, and 0 as −0 if `same_zeros`.
inline ::testing::AssertionResult identical(const Values& expected, const Values& actual,
                                            bool same_zeros = false) {
    if (actual.size() != expected.size())
        return ::testing::AssertionFailure() << actual.size() << " values instead of " << expected.size();
    for (std::size_t i = 0; i < actual.size(); ++i) {
        const double x = expected[i], y = actual[i];
        if (std::memcmp(&x, &y, sizeof x) == 0 || (std::isnan(x) && std::isnan(y)) ||
            (same_zeros && x == 0 && y == 0))
            continue;
        return ::testing::AssertionFailure() << "value " << i << " of " << actual.size() << " is " << y
                                             << " instead of " << x << ", difference " << y - x;
    }
    return ::testing::AssertionSuccess();
}

/// Expects equal numbers: the results of exact sums, whose zeros may have either sign.
inline ::testing::AssertionResult equal(const Values& expected, const Values& actual) {
    return identical(expected, actual, true);
}

}  // namespace espectra::test
