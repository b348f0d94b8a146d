#pragma once

#include "espectra/kernels/group/group.hpp"
#include "espectra/runtime/view.hpp"

#include <cmath>

// Group kernels of lists of marked entries. Each has, for another implementation in its place: `marked`, the
// number of lists blocks(), the entries length() of each, and store(l, p, before), which takes the number of
// marked entries of list l before entry p, for all p from 0 to length().

namespace espectra::group {

/// Marks the entries ≠ 0 of rows; NaN is not 0.
template <Space S>
struct Nonzero {
    View<const double, 2, S> rows;
    ESPECTRA_HD bool operator()(Index l, Index p) const { return rows(l, p) != 0; }
};

/// Marks the rows of a matrix that are kept.
template <Space S>
struct Kept {
    View<const unsigned char, 1, S> keep;
    ESPECTRA_HD bool operator()(Index /*l*/, Index p) const { return keep(p) != 0; }
};

/// Marks the rows of matrices that are kept: none of a matrix whose norm is not finite.
template <Space S>
struct KeptOfFinite {
    View<const unsigned char, 2, S> keep;
    View<const double, 1, S> frobenius;
    ESPECTRA_HD bool operator()(Index r, Index p) const {
        return std::isfinite(frobenius(r)) && keep(r, p) != 0;
    }
};

/// list [L, n] ← positions p with marked(l, p), ascending, and their number. One block: one list l.
template <class Marked, Space S>
struct ListKernel {
    static constexpr const char* name = "list positions";
    static constexpr int threads = 256;
    static constexpr Index chunk = 256;
    Marked marked;
    View<Index, 2, S> list;
    View<Index, 1, S> count;

    Index blocks() const { return list.extent[0]; }
    std::size_t shared_doubles() const { return chunk; }
    ESPECTRA_HD Index length() const { return list.extent[1]; }
    ESPECTRA_HD void store(Index l, Index p, Index before) const {
        if (p == length())
            count(l) = before;
        else if (marked(l, p))
            list(l, before) = p;
    }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index l, double* shared) const {
        const Index n = length();
        auto* flags = reinterpret_cast<int*>(shared);
        Index found = 0;  // before the part; the same in every thread
        for (Index begin = 0; begin < n; begin += chunk) {
            for_each_item(group, chunk, [&](Index item) {
                flags[item] = begin + item < n && marked(l, begin + item) ? 1 : 0;
            });
            group.sync();
            for_each_item(group, chunk, [&](Index item) {
                if (!flags[item]) return;
                Index before = found;
                for (Index i = 0; i < item; ++i) before += flags[i];
                list(l, before) = begin + item;
            });
            for (Index i = 0; i < chunk; ++i) found += flags[i];
            if (begin + chunk < n) group.sync();
        }
        if (group.rank() == 0) count(l) = found;
    }
};

/// positions [L, n + 1]: (l, p) ← number of marked entries of list l before entry p, (l, n) ← of all. One
/// block: one list, in 128 parts for any number of threads.
template <class Marked, Space S>
struct PositionsKernel {
    static constexpr const char* name = "number positions";
    static constexpr int threads = 128;
    static constexpr Index lanes = threads;
    Marked marked;
    View<Index, 2, S> positions;

    Index blocks() const { return positions.extent[0]; }
    std::size_t shared_doubles() const { return lanes; }
    ESPECTRA_HD Index length() const { return positions.extent[1] - 1; }
    ESPECTRA_HD void store(Index l, Index p, Index before) const { positions(l, p) = before; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index l, double* shared) const {
        const Index n = length(), share = divide_up(n, lanes);
        const auto end_of = [&](Index lane) { return (lane + 1) * share < n ? (lane + 1) * share : n; };
        for_each_item(group, lanes, [&](Index lane) {
            Index count = 0;
            for (Index p = lane * share; p < end_of(lane); ++p) count += marked(l, p) ? 1 : 0;
            shared[lane] = static_cast<double>(count);
        });
        group.sync();
        for_each_item(group, lanes, [&](Index lane) {
            double before = 0;
            for (Index i = 0; i < lane; ++i) before += shared[i];
            for (Index p = lane * share; p < end_of(lane); ++p) {
                store(l, p, static_cast<Index>(before));
                before += marked(l, p) ? 1 : 0;
            }
            if (lane + 1 == lanes) store(l, n, static_cast<Index>(before));
        });
    }
};

/// count [L] ← number of marked entries of list l. One block: one list.
template <class Marked, Space S>
struct CountKernel {
    static constexpr const char* name = "count marked entries";
    static constexpr int threads = 256;
    static constexpr Index lanes = threads;
    Marked marked;
    Index entries;
    View<Index, 1, S> count;

    Index blocks() const { return count.extent[0]; }
    std::size_t shared_doubles() const { return lanes; }
    ESPECTRA_HD Index length() const { return entries; }
    ESPECTRA_HD void store(Index l, Index p, Index before) const {
        if (p == length()) count(l) = before;
    }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index l, double* shared) const {
        for_each_item(group, lanes, [&](Index lane) {
            Index found = 0;
            for (Index p = lane; p < length(); p += lanes) found += marked(l, p) ? 1 : 0;
            shared[lane] = static_cast<double>(found);
        });
        group.sync();
        if (group.rank() != 0) return;
        double all = 0;
        for (Index lane = 0; lane < lanes; ++lane) all += shared[lane];
        count(l) = static_cast<Index>(all);
    }
};

/// Makes lists by one of these kernels, or by Thrust where the context decides so: each has a function
/// lists_by_library(context, kernel), which returns true if it has made them.
template <class C, class K>
void make_lists(C& context, const K& kernel) {
    if (!lists_by_library(context, kernel)) launch(context, kernel);
}

}  // namespace espectra::group
