#pragma once

#include "espectra/runtime/view.hpp"

#include <bit>
#include <cmath>
#include <cstdint>

namespace espectra {

// Elementary functions on the ranges that activations and losses need, written without branches or calls so
// that loops over examples become vector instructions. The same arithmetic runs on the host and on a device:
// both give the same bits. Errors against long double are asserted in tests/kernels/elementary_test.cpp.

/// x = n ln 2 + r, |r| ≤ ln 2 / 2; n stands in the low bits of `shifted`.
struct ExpReduction {
    double shifted, r;
};

[[gnu::always_inline]] ESPECTRA_HD inline ExpReduction exp_reduction(double x) {
    // ln 2 in two parts, the first exact in products with n (Cody and Waite, 1980).
    constexpr double log2_e = 1.44269504088896338700, ln2_high = 6.93147180369123816490e-01,
                     ln2_low = 1.90821492927058770002e-10;
    constexpr double shifter = 0x1.8p52;  // adding it rounds to an integer
    const double shifted = x * log2_e + shifter;
    const double n = shifted - shifter;
    return {shifted, (x - n * ln2_high) - n * ln2_low};
}

/// The terms of r⁵ and above of exp_series, divided by r⁵.
[[gnu::always_inline]] ESPECTRA_HD inline double exp_series_high(double r) {
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    return p;
}

/// (e^r − 1 − r)/r² for |r| ≤ ln 2 / 2, from exp_series_high(r).
[[gnu::always_inline]] ESPECTRA_HD inline double exp_series(double r, double high) {
    // Taylor series: the first term left out is below 5e-18.
    double p = high;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    return p;
}

[[gnu::always_inline]] ESPECTRA_HD inline double exp_series(double r) {
    return exp_series(r, exp_series_high(r));
}

/// exp_nonpositive(x) from its parts: the reduction of x and exp_series(r).
ESPECTRA_HD inline double exp_nonpositive(double x, ExpReduction reduction, double series) {
    const auto [shifted, r] = reduction;
    const double p = 1.0 + (r + r * r * series);
    const double result = std::bit_cast<double>(std::bit_cast<std::uint64_t>(p) +
                                                (std::bit_cast<std::uint64_t>(shifted) << 52));
    return x >= -708.0 ? result : (x < -708.0 ? 0.0 : x);
}

/// e^x for x ≤ 0, within 1 ulp; 0 for arguments below −708, where the result would be subnormal. NaN stays
/// NaN.
ESPECTRA_HD inline double exp_nonpositive(double x) {
    const ExpReduction reduction = exp_reduction(x);
    return exp_nonpositive(x, reduction, exp_series(reduction.r));
}

/// log(1 + x) for x in [0, 1], within 2 ulp. NaN stays NaN.
ESPECTRA_HD inline double log1p_unit(double x) {
    // 2 artanh(s), s = x / (2 + x) ≤ 1/3: the first term left out is below 2e-18 of the sum.
    const double s = x / (2.0 + x);
    const double z = s * s;
    double p = 1.0 / 33.0;
    p = p * z + 1.0 / 31.0;
    p = p * z + 1.0 / 29.0;
    p = p * z + 1.0 / 27.0;
    p = p * z + 1.0 / 25.0;
    p = p * z + 1.0 / 23.0;
    p = p * z + 1.0 / 21.0;
    p = p * z + 1.0 / 19.0;
    p = p * z + 1.0 / 17.0;
    p = p * z + 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    return 2.0 * (s + s * z * p);
}

/// log(1 + x) for finite x ≥ 0, within 3 ulp. NaN stays NaN.
ESPECTRA_HD inline double log1p_nonnegative(double x) {
    // 1 + x = 2^n (1 + y), y in [0, 1).
    const auto bits = std::bit_cast<std::uint64_t>(1.0 + x);
    const auto n = static_cast<double>(static_cast<std::int64_t>(bits >> 52) - 1023);
    const double mantissa = std::bit_cast<double>((bits & 0xfffffffffffffu) | 0x3ff0000000000000u);
    const double log = n * 6.93147180559945309417e-01 + log1p_unit(mantissa - 1.0);
    return x <= 1.0 ? log1p_unit(x) : (x > 1.0 ? log : x);
}

/// σ(x) = 1/(1 + e^−x) and 1 − σ(x), both to full relative precision.
struct Logistic {
    double s, complement;
};

/// With e = e^−|x|.
ESPECTRA_HD inline Logistic logistic(double x, double e) {
    const double large = 1.0 / (1.0 + e);
    const double small = e * large;
    return {x >= 0 ? large : small, x >= 0 ? small : large};
}

ESPECTRA_HD inline Logistic logistic(double x) { return logistic(x, exp_nonpositive(-std::fabs(x))); }

/// tanh(x), within 3 ulp. NaN stays NaN.
ESPECTRA_HD inline double hyperbolic_tangent(double x) {
    // −t/(2 + t) with t = e^(−2|x|) − 1 = 2^n (e^r − 1) + (2^n − 1); from |x| = 20 on it is 1.
    const double y = -2.0 * std::fabs(x);
    const auto [shifted, r] = exp_reduction(y < -40.0 ? -40.0 : y);
    const double scale = std::bit_cast<double>(std::bit_cast<std::uint64_t>(1.0) +
                                               (std::bit_cast<std::uint64_t>(shifted) << 52));
    const double t = scale * (r + r * r * exp_series(r)) + (scale - 1.0);
    return std::copysign(-t / (2.0 + t), x);
}

/// log(1 + e^x) without overflow, with e = e^−|x|.
ESPECTRA_HD inline double log_one_plus_exp(double x, double e) { return (x > 0 ? x : 0.0) + log1p_unit(e); }

ESPECTRA_HD inline double log_one_plus_exp(double x) {
    return log_one_plus_exp(x, exp_nonpositive(-std::fabs(x)));
}

}  // namespace espectra
