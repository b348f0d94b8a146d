#pragma once

#include "espectra/runtime/view.hpp"

#include <bit>
#include <cmath>
#include <cstdint>

namespace espectra {

// Elementary functions on the ranges that activations and losses need, written without branches or calls so
// that loops over examples become vector instructions. The same arithmetic runs on the host and on a device:
// both give the same bits. Errors are asserted in tests/kernels/elementary_test.cpp.

/// x = n ln 2 + r with |r| ≤ ln 2 / 2; n is stored in the low bits of `shifted`.
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

/// Terms of exp_series from r⁵ on, divided by r⁵.
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

/// Returns exp_nonpositive(x) from its parts: the reduction of x and exp_series(r).
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

/// Both from e = e^−|x|.
ESPECTRA_HD inline Logistic logistic(double x, double e) {
    const double large = 1.0 / (1.0 + e);
    const double small = e * large;
    return {x >= 0 ? large : small, x >= 0 ? small : large};
}

ESPECTRA_HD inline Logistic logistic(double x) { return logistic(x, exp_nonpositive(-std::fabs(x))); }

/// e^x − 1 for x ≤ 0, within 3 ulp; −1 below −40. NaN stays NaN.
ESPECTRA_HD inline double expm1_nonpositive(double x) {
    // 2^n (e^r − 1) + (2^n − 1)
    const auto [shifted, r] = exp_reduction(x < -40.0 ? -40.0 : x);
    const double scale = std::bit_cast<double>(std::bit_cast<std::uint64_t>(1.0) +
                                               (std::bit_cast<std::uint64_t>(shifted) << 52));
    return scale * (r + r * r * exp_series(r)) + (scale - 1.0);
}

/// tanh(x), within 3 ulp. NaN stays NaN.
ESPECTRA_HD inline double hyperbolic_tangent(double x) {
    const double t = expm1_nonpositive(-2.0 * std::fabs(x));
    return std::copysign(-t / (2.0 + t), x);
}

/// log(1 + e^x) without overflow, with e = e^−|x|.
ESPECTRA_HD inline double log_one_plus_exp(double x, double e) { return (x > 0 ? x : 0.0) + log1p_unit(e); }

ESPECTRA_HD inline double log_one_plus_exp(double x) {
    return log_one_plus_exp(x, exp_nonpositive(-std::fabs(x)));
}

/// The first 26 bits of x, so that its square is exact.
ESPECTRA_HD inline double leading_bits(double x) {
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & ~std::uint64_t{0x7ffffff});
}

/// Argument of the exponential from which standard_normal is made: leading_bits(x)²/2, exactly.
ESPECTRA_HD inline double normal_exponent(double x) { return 0.5 * leading_bits(x) * leading_bits(x); }

/// Density e^(−x²/2)/√(2π) and distribution Φ(x) = erfc(−x/√2)/2 of the standard normal distribution.
struct Normal {
    double density, cumulative;
};

/// Both from e = e^−normal_exponent(x): Φ within 5 ulp and the density within 3 for |x| ≤ 37.5, thus with
/// full relative precision in the tail. From |x| = 37.7 on the density is 0. NaN stays NaN.
ESPECTRA_HD inline Normal standard_normal(double x, double e) {
    // e^(−x²/2) = e · e^−d, with d < 1e-4 where e > 0: the first term left out is below 5e-18.
    const double high = leading_bits(x);
    const double d = e > 0 ? 0.5 * (x - high) * (x + high) : 0.0;
    const double bell = e - e * (d * (1.0 - d * (0.5 - d * (1.0 / 6.0))));
    // (1 + y) Φ(−y) e^(y²/2) is a smooth function of t = (y − 5)/(y + 5), as erfc is in Shepherd and
    // Laframboise (1981). Interpolated in Chebyshev points for y in [0, 39]; relative error 7e-17.
    const double y = std::fabs(x) < 39.0 ? std::fabs(x) : 39.0;
    const double t = (y - 5.0) / (y + 5.0);
    double p = 7.719462671584014e-10;
    p = p * t + 4.037645813495844e-09;
    p = p * t + 3.528157289739585e-10;
    p = p * t - 3.208575497095596e-08;
    p = p * t - 2.195811538892318e-08;
    p = p * t + 1.9896232929933335e-07;
    p = p * t + 1.2471420099248941e-07;
    p = p * t - 1.3100089700228854e-06;
    p = p * t - 6.89568345120625e-08;
    p = p * t + 9.061205795397122e-06;
    p = p * t - 9.89646889628134e-06;
    p = p * t - 5.360803814501582e-05;
    p = p * t + 0.00018233420251531396;
    p = p * t + 7.791691200143757e-06;
    p = p * t - 0.0016760723488506491;
    p = p * t + 0.006522000656244846;
    p = p * t - 0.015170415402485999;
    p = p * t + 0.024536963244459763;
    p = p * t - 0.026401042966294957;
    p = p * t + 0.01000235238520508;
    p = p * t + 0.03103036842596323;
    p = p * t - 0.0915522818340088;
    p = p * t + 0.46151582985003775;
    const double tail = bell * (p / (1.0 + y));
    return {0.398942280401432677940 * bell, x > 0 ? 1.0 - tail : tail};
}

ESPECTRA_HD inline Normal standard_normal(double x) {
    return standard_normal(x, exp_nonpositive(-normal_exponent(x)));
}

}  // namespace espectra
