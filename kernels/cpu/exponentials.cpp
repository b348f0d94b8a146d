#include "espectra/kernels/cpu/exponentials.hpp"

#include "espectra/kernels/math/elementary.hpp"

#include <cmath>

namespace espectra {

// `flatten` inlines all calls; without it GCC does not vectorise the loops.
[[gnu::flatten]] void exponentials(const double* __restrict x, const ExponentialRows& rows, Index count) {
    double* __restrict shifted = rows.shifted;
    double* __restrict r = rows.r;
    double* __restrict e = rows.exponential;
    for (Index i = 0; i < count; ++i) {
        const ExpReduction reduction = exp_reduction(-std::fabs(x[i]));
        shifted[i] = reduction.shifted;
        r[i] = reduction.r;
    }
    for (Index i = 0; i < count; ++i) e[i] = exp_series_high(r[i]);
    for (Index i = 0; i < count; ++i) e[i] = exp_series(r[i], e[i]);
    for (Index i = 0; i < count; ++i) e[i] = exp_nonpositive(-std::fabs(x[i]), {shifted[i], r[i]}, e[i]);
}

}  // namespace espectra
