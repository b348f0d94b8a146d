// Conversions: PTX ISA 9.0, section 9.7.9.21, cvt; 6.5.1, Scalar Conversions; 9.4.1, Operand Size Exceeding
// Instruction-Type Size.

#include "ptx/instructions/form_test.hpp"
#include "ptx/instructions/numbers.hpp"
#include <cstdint>

namespace espectra::ptx::test {

namespace {

constexpr double negative_nan = -nan;

/// Conversions that round to nearest even.
std::vector<FormTest> to_f64() {
    constexpr std::int64_t exact = std::int64_t{1} << 53;  // integers up to here are doubles
    constexpr std::uint64_t half = std::uint64_t{1} << 63;
    return {
        {"cvt.rn.f64.s32",
         Kind::f64,
         {Kind::b32},
         {{0, 0.0}, {-1, -1.0}, {most, 2147483647.0}, {least, -2147483648.0}}},
        {"cvt.rn.f64.u32",
         Kind::f64,
         {Kind::b32},
         {{0, 0.0}, {-1, 4294967295.0}, {most, 2147483647.0}, {least, 2147483648.0}}},
        {"cvt.rn.f64.s64",
         Kind::f64,
         {Kind::b64},
         {{0, 0.0},
          {-1, -1.0},
          {exact + 1, 0x1p53},
          {exact + 3, 0x1.0000000000002p53},
          {-exact - 1, -0x1p53},
          {most64, 0x1p63},
          {least64, -0x1p63}}},
        {"cvt.rn.f64.u64",
         Kind::f64,
         {Kind::b64},
         {{0, 0.0},
          {exact + 1, 0x1p53},
          {exact + 3, 0x1.0000000000002p53},
          {half, 0x1p63},
          {half + 1024, 0x1p63},  // ties at a distance of 2048
          {half + 1025, 0x1.0000000000001p63},
          {half + 3072, 0x1.0000000000002p63},
          {-1, 0x1p64}}},
    };
}

/// Conversions that truncate; numbers beyond the range give the nearest integer of the range. NaN gives
/// MININT, since the source is .f64.
std::vector<FormTest> from_f64() {
    return {
        {"cvt.rzi.s32.f64",
         Kind::b32,
         {Kind::f64},
         {{1.9, 1},
          {-1.9, -1},
          {0.9999999999999999, 0},
          {-0.0, 0},
          {0x1p-1074, 0},
          {2147483647.9, most},
          {2147483648.0, most},
          {-2147483648.9, least},
          {-2147483649.0, least},
          {1e300, most},
          {infinity, most},
          {-infinity, least},
          {nan, least},
          {negative_nan, least}}},
        {"cvt.rzi.s64.f64",
         Kind::b64,
         {Kind::f64},
         {{1.9, 1},
          {-1.9, -1},
          {-0.0, 0},
          {2147483648.9, 2147483648},
          {0x1.fffffffffffffp62, 0x7ffffffffffffc00},
          {0x1p63, most64},
          {-0x1p63, least64},
          {-0x1.0000000000001p63, least64},
          {1e300, most64},
          {infinity, most64},
          {-infinity, least64},
          {nan, least64},
          {negative_nan, least64}}},
    };
}

/// Narrow sources are extended by the sign of their type; wide ones are chopped to the type's size first.
std::vector<FormTest> between_integers() {
    return {
        {"cvt.s64.s32",
         Kind::b64,
         {Kind::b32},
         {{5, 5}, {-5, -5}, {most, most}, {least, 0xffffffff80000000}}},
        {"cvt.s64.s32",
         Kind::b64,
         {Kind::b64},
         {{5, 5}, {0x123456787fffffff, 0x7fffffff}, {0x1234567880000000, 0xffffffff80000000}, {-5, -5}}},
        {"cvt.u64.u32", Kind::b64, {Kind::b32}, {{5, 5}, {-5, 0xfffffffb}, {least, 0x80000000}}},
        {"cvt.u32.u64", Kind::b32, {Kind::b64}, {{5, 5}, {0x1234567890abcdef, 0x90abcdef}, {-1, 0xffffffff}}},
        {"cvt.u16.u32", Kind::b16, {Kind::b32}, {{5, 5}, {0x12348765, 0x8765}, {-1, 0xffff}}},
        {"cvt.u32.u16", Kind::b32, {Kind::b16}, {{5, 5}, {0x8765, 0x8765}, {-1, 0xffff}}},
        {"cvt.u64.u16", Kind::b64, {Kind::b16}, {{5, 5}, {0x8765, 0x8765}, {-1, 0xffff}}},
    };
}

}  // namespace

std::vector<FormTest> conversion_forms() { return joined({to_f64(), from_f64(), between_integers()}); }

}  // namespace espectra::ptx::test
