// Arithmetic of doubles: PTX ISA 9.0, section 9.7.3, Floating Point Instructions. All with .rn round to
// nearest even, support subnormal inputs and results, and are correctly rounded (IEEE 754). Which NaN an
// invalid operation gives is not specified.

#include "ptx/instructions/form_test.hpp"
#include "ptx/instructions/numbers.hpp"

namespace espectra::ptx::test {

namespace {

const double signaling_nan = std::bit_cast<double>(0x7ff0000000000001);
const double negative_nan = std::bit_cast<double>(0xfff8000000000123);
const Bits some_nan = Bits::some_nan();

/// 9.7.3.3 and 9.7.3.4.
std::vector<FormTest> sums() {
    return {
        same_kind("add.rn.f64",
                  {{1.0, 2.0, 3.0},
                   {0.1, 0.2, 0x3fd3333333333334},         // not 0.3
                   {0x1p53, 1.0, 0x1p53},                  // a tie goes to the even neighbour
                   {0x1p53, 3.0, 0x1.0000000000002p53},    // upwards as well
                   {1.0, 0x1.8p-53, 0x1.0000000000001p0},  // more than half a unit
                   {largest, largest, infinity},           // overflow
                   {largest, 0x1p969, largest},            // less than half a unit above the largest number
                   {infinity, -infinity, some_nan},
                   {infinity, -largest, infinity},
                   {-0.0, -0.0, -0.0},
                   {0.0, -0.0, 0.0},
                   {5.0, -5.0, 0.0},
                   {tiny, tiny, 2 * tiny},
                   {0x1p-1022, -tiny, 0x000fffffffffffff},  // gradual underflow
                   {nan, 1.0, some_nan},
                   {1.0, signaling_nan, some_nan}}),
        same_kind("sub.rn.f64", {{5.0, 3.0, 2.0},
                                 {3.0, 5.0, -2.0},
                                 {0x1p53, -1.0, 0x1p53},
                                 {1.0, 0x1p-54, 1.0},  // a tie: half of the smaller unit below 1
                                 {1.0, 0x1.8p-54, 0x1.fffffffffffffp-1},
                                 {0.0, 0.0, 0.0},
                                 {-0.0, 0.0, -0.0},
                                 {0.0, -0.0, 0.0},
                                 {infinity, infinity, some_nan},
                                 {-largest, largest, -infinity},
                                 {0x1p-1022, 0x1.8p-1022, 0x8008000000000000},
                                 {1.0, nan, some_nan}}),
    };
}

/// 9.7.3.5 and 9.7.3.6.
std::vector<FormTest> products() {
    constexpr double above_one = 0x1p0 + 0x1p-30, square = 0x1p0 + 0x1p-29;  // its square is square + 2^−60
    return {
        same_kind("mul.rn.f64",
                  {{3.0, -7.0, -21.0},
                   {0.1, 0.1, 0x3f847ae147ae147c},
                   {above_one, above_one, square},                       // 2^−60 is rounded away
                   {0x1.0000000000001p0, 0x1.8p0, 0x1.8000000000002p0},  // tie, to even: upwards
                   {tiny, 0.5, 0.0},             // tie between 0 and the smallest subnormal number
                   {tiny, 1.5, 2 * tiny},        // tie between one and two of them
                   {0x1p-600, -0x1p-600, -0.0},  // underflow keeps the sign
                   {0x1p-1022, 0.75, 0x000c000000000000},
                   {largest, -2.0, -infinity},
                   {0.0, infinity, some_nan},
                   {-0.0, 5.0, -0.0},
                   {-0.0, -5.0, 0.0},
                   {infinity, -3.0, -infinity},
                   {nan, 0.0, some_nan}}),
        same_kind("fma.rn.f64", {{2.0, 3.0, 4.0, 10.0},
                                 {above_one, above_one, -square, 0x1p-60},  // mul.rn and add.rn give 0
                                 {0.1, 10.0, -1.0, 0x1p-54},                // 0.1 is 2^−54/10 too large
                                 {0x1p1023, 2.0, -0x1p1023, 0x1p1023},      // the product alone overflows
                                 {0x1p-600, 0x1p-600, 1.0, 1.0},
                                 {0x1p-600, 0x1p-600, tiny, tiny},  // the product alone underflows
                                 {0x1p-537, 0x1p-537, tiny, 2 * tiny},
                                 {1.0, 1.0, 0x1p-53, 1.0},  // tie
                                 {0x1.0000000000001p0, 0x1.0000000000001p0, 0x1p-53, 0x1.0000000000003p0},
                                 {2.0, 3.0, -6.0, 0.0},
                                 {-0.0, 1.0, -0.0, -0.0},
                                 {-0.0, 1.0, 0.0, 0.0},
                                 {0.0, infinity, 1.0, some_nan},
                                 {infinity, 1.0, -infinity, some_nan},
                                 {largest, 2.0, -infinity, -infinity},
                                 {1.0, 1.0, nan, some_nan}}),
    };
}

/// 9.7.3.8, 9.7.3.13 and 9.7.3.15.
std::vector<FormTest> quotients() {
    return {
        same_kind("div.rn.f64", {{1.0, 3.0, 0x3fd5555555555555},
                                 {2.0, 3.0, 0x3fe5555555555555},
                                 {10.0, 3.0, 0x400aaaaaaaaaaaab},  // upwards
                                 {-1.0, 0.0, -infinity},
                                 {1.0, -0.0, -infinity},
                                 {-1.0, -0.0, infinity},
                                 {0.0, 0.0, some_nan},
                                 {infinity, infinity, some_nan},
                                 {-3.0, infinity, -0.0},
                                 {0.0, -5.0, -0.0},
                                 {largest, 0.5, infinity},
                                 {0x1p-1022, 3.0, 0x0005555555555555},  // a subnormal quotient
                                 {tiny, 2.0, 0.0},                      // ties between subnormal numbers
                                 {3 * tiny, 2.0, 2 * tiny},
                                 {1.0, tiny, infinity},
                                 {tiny, tiny, 1.0},
                                 {nan, 1.0, some_nan}}),
        same_kind("rcp.rn.f64", {{3.0, 0x3fd5555555555555},
                                 {49.0, 0x3f94e5e0a72f0539},
                                 {-0.25, -4.0},
                                 {0.0, infinity},
                                 {-0.0, -infinity},
                                 {infinity, 0.0},
                                 {-infinity, -0.0},
                                 {0x1p1023, 0x0008000000000000},  // subnormal results
                                 {largest, 0x0004000000000000},
                                 {tiny, infinity},
                                 {0x1p-1023, 0x1p1023},  // a subnormal input
                                 {nan, some_nan}}),
        same_kind("sqrt.rn.f64", {{4.0, 2.0},
                                  {2.0, 0x3ff6a09e667f3bcd},
                                  {3.0, 0x3ffbb67ae8584caa},
                                  {0.0, 0.0},
                                  {-0.0, -0.0},
                                  {infinity, infinity},
                                  {tiny, 0x1p-537},
                                  {0x1p-1022, 0x1p-511},
                                  {-1.0, some_nan},
                                  {-tiny, some_nan},
                                  {-infinity, some_nan},
                                  {nan, some_nan}}),
    };
}

/// 9.7.3.2, 9.7.3.9 and 9.7.3.10. The sign of a NaN is not specified for neg and abs.
std::vector<FormTest> signs() {
    return {
        same_kind("abs.f64", {{-1.5, 1.5},
                              {1.5, 1.5},
                              {-0.0, 0.0},
                              {-infinity, infinity},
                              {-tiny, tiny},
                              {nan, some_nan},
                              {negative_nan, some_nan}}),
        same_kind("neg.f64", {{-1.5, 1.5},
                              {1.5, -1.5},
                              {0.0, -0.0},
                              {-0.0, 0.0},
                              {infinity, -infinity},
                              {tiny, -tiny},
                              {nan, some_nan}}),
        // copysign d, a, b: "Copy sign bit of a into value of b".
        same_kind("copysign.f64", {{-2.0, 3.0, -3.0},
                                   {2.0, -3.0, 3.0},
                                   {-0.0, infinity, -infinity},
                                   {0.0, -tiny, tiny},
                                   {-5.0, 0.0, -0.0},
                                   {negative_nan, 2.0, -2.0},
                                   {nan, -2.0, 2.0},
                                   {-1.0, nan, some_nan}}),
    };
}

/// 9.7.3.11 and 9.7.3.12: of a number and a NaN the number, and −0 is less than +0.
std::vector<FormTest> extremes() {
    return {
        same_kind("min.f64", {{1.0, 2.0, 1.0},
                              {2.0, 1.0, 1.0},
                              {-1.0, -2.0, -2.0},
                              {0.0, -0.0, -0.0},
                              {-0.0, 0.0, -0.0},
                              {nan, 1.0, 1.0},
                              {1.0, nan, 1.0},
                              {nan, -infinity, -infinity},
                              {infinity, nan, infinity},
                              {negative_nan, -0.0, -0.0},
                              {nan, negative_nan, some_nan},
                              {infinity, largest, largest},
                              {-infinity, tiny, -infinity},
                              {tiny, 0.0, 0.0},
                              {-tiny, -0.0, -tiny}}),
        same_kind("max.f64", {{1.0, 2.0, 2.0},
                              {2.0, 1.0, 2.0},
                              {-1.0, -2.0, -1.0},
                              {0.0, -0.0, 0.0},
                              {-0.0, 0.0, 0.0},
                              {nan, 1.0, 1.0},
                              {1.0, nan, 1.0},
                              {nan, -infinity, -infinity},
                              {infinity, nan, infinity},
                              {negative_nan, -0.0, -0.0},
                              {nan, negative_nan, some_nan},
                              {infinity, largest, infinity},
                              {-infinity, -largest, -largest},
                              {tiny, 0.0, tiny},
                              {-tiny, -0.0, -0.0}}),
    };
}

}  // namespace

std::vector<FormTest> f64_forms() { return joined({sums(), products(), quotients(), signs(), extremes()}); }

}  // namespace espectra::ptx::test
