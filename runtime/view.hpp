#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>

#ifdef __CUDACC__
#define ESPECTRA_HD __host__ __device__
#else
#define ESPECTRA_HD
#endif

namespace espectra {

using Index = std::ptrdiff_t;

/// Returns ⌈count / size⌉.
ESPECTRA_HD constexpr Index divide_up(Index count, Index size) { return (count + size - 1) / size; }

/// Location of memory. Views of different spaces are different types, so that mixing them does not compile.
enum class Space { host, device };

/// A non-owning array of `Rank` axes with a stride per axis, in elements; passed by value.
/// The order of axes in this project is replica, unit (or parameter), example. Stride 0 on the replica axis
/// means that all replicas share the data.
template <class T, int Rank, Space S = Space::host>
struct View {
    T* data = nullptr;
    Index extent[Rank] = {};
    Index stride[Rank] = {};

    template <class... I>
    ESPECTRA_HD T& operator()(I... index) const {
        static_assert(sizeof...(I) == Rank, "one index per axis");
        const Index indices[] = {static_cast<Index>(index)...};
        Index offset = 0;
        for (int axis = 0; axis < Rank; ++axis) offset += indices[axis] * stride[axis];
        return data[offset];
    }

    /// Returns the sub-array at `index` of the first axis.
    ESPECTRA_HD View<T, Rank - 1, S> operator[](Index index) const requires(Rank > 1) {
        View<T, Rank - 1, S> sub;
        sub.data = data + index * stride[0];
        for (int axis = 1; axis < Rank; ++axis) {
            sub.extent[axis - 1] = extent[axis];
            sub.stride[axis - 1] = stride[axis];
        }
        return sub;
    }

    /// Returns `count` entries of `axis` from `begin` on, with the other axes unchanged.
    ESPECTRA_HD View slice(int axis, Index begin, Index count) const {
        View part = *this;
        part.data = data + begin * stride[axis];
        part.extent[axis] = count;
        return part;
    }

    ESPECTRA_HD Index size() const {
        Index product = 1;
        for (int axis = 0; axis < Rank; ++axis) product *= extent[axis];
        return product;
    }

    ESPECTRA_HD explicit operator bool() const { return data != nullptr; }

    /// Converts a view of variables to one of constants.
    template <std::same_as<const T> U>
    requires(!std::is_const_v<T>) ESPECTRA_HD operator View<U, Rank, S>() const {
        View<const T, Rank, S> view;
        view.data = data;
        for (int axis = 0; axis < Rank; ++axis) {
            view.extent[axis] = extent[axis];
            view.stride[axis] = stride[axis];
        }
        return view;
    }
};

/// Returns a contiguous row-major view of `data` with the given extents.
template <Space S = Space::host, class T, class... E>
ESPECTRA_HD View<T, static_cast<int>(sizeof...(E)), S> make_view(T* data, E... extents) {
    constexpr int rank = static_cast<int>(sizeof...(E));
    View<T, rank, S> view;
    view.data = data;
    const Index list[] = {static_cast<Index>(extents)...};
    Index stride = 1;
    for (int axis = rank - 1; axis >= 0; --axis) {
        view.extent[axis] = list[axis];
        view.stride[axis] = stride;
        stride *= list[axis];
    }
    return view;
}

/// Returns the same array with a leading axis of stride 0 for `replicas` networks.
template <class T, int Rank, Space S>
ESPECTRA_HD View<T, Rank + 1, S> share(View<T, Rank, S> view, Index replicas) {
    View<T, Rank + 1, S> shared;
    shared.data = view.data;
    shared.extent[0] = replicas;
    shared.stride[0] = 0;
    for (int axis = 0; axis < Rank; ++axis) {
        shared.extent[axis + 1] = view.extent[axis];
        shared.stride[axis + 1] = view.stride[axis];
    }
    return shared;
}

}  // namespace espectra
