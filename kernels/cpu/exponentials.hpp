#pragma once

#include "espectra/runtime/view.hpp"

namespace espectra {

/// Scratch rows of one length for the steps of exponentials().
struct ExponentialRows {
    double *shifted, *r, *exponential;

    /// Three consecutive rows.
    ExponentialRows(double* memory, Index length)
        : shifted(memory), r(memory + length), exponential(memory + 2 * length) {}
};

/// Writes rows.exponential = e^−|x|, bit for bit exp_nonpositive(−|x|) of elementary.hpp. It takes several
/// short passes, because a processor overlaps only a few examples of one long chain of operations. Four rows
/// should fit into the L1 cache.
void exponentials(const double* x, const ExponentialRows& rows, Index count);

}  // namespace espectra
