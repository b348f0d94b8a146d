#pragma once

#include "espectra/runtime/view.hpp"

namespace espectra {

/// Scratch rows on the way to exponentials, of one length.
struct ExponentialRows {
    double *shifted, *r, *exponential;

    /// Three rows, one after the other.
    ExponentialRows(double* memory, Index length)
        : shifted(memory), r(memory + length), exponential(memory + 2 * length) {}
};

/// rows.exponential = e^−|x|, bit for bit exp_nonpositive(−|x|) of elementary.hpp. In several short passes:
/// of a long chain of operations a processor has only a few examples under way at a time. A row should fit
/// into the first cache four times over.
void exponentials(const double* x, const ExponentialRows& rows, Index count);

}  // namespace espectra
