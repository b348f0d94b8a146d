#pragma once

#include "espectra/kernels/group/group.hpp"

namespace espectra {

/// Number of partial sums of a sum over examples, as in kernels/cpu/reduction.hpp.
inline constexpr Index sum_lanes = 16;

/// Calls store(row, Σ_e term(row, e)) for every row in [0, rows), with e in [0, count): lane l of sixteen
/// adds e = l, l + 16, …, then the lanes are added from left to right, then the terms that fill no sixteen.
/// This is the order of the CPU backend's sums (kernels/cpu/reduction.hpp), and gives their bits. `partial`
/// is scratch of rows·16 in shared memory. The terms have to be visible to the whole group before; store is
/// called by one thread for each row, and others may read its results after a sync().
template <Group G, class Term, class Store>
ESPECTRA_HD void lane_sums(const G& group, Index rows, Index count, double* partial, Term&& term,
                           Store&& store) {
    const Index full = count / sum_lanes * sum_lanes;
    for_each_item(group, rows * sum_lanes, [&](Index item) {
        const Index row = item / sum_lanes, lane = item % sum_lanes;
        double total = 0;
        for (Index e = lane; e < full; e += sum_lanes) total += term(row, e);
        partial[item] = total;
    });
    group.sync();
    for_each_item(group, rows, [&](Index row) {
        double total = 0;
        for (Index lane = 0; lane < sum_lanes; ++lane) total += partial[row * sum_lanes + lane];
        for (Index e = full; e < count; ++e) total += term(row, e);
        store(row, total);
    });
}

}  // namespace espectra
