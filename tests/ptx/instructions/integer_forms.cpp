// Integer arithmetic: PTX ISA 9.0, section 9.7.1, Integer Arithmetic Instructions. Results are those of the
// exact ones modulo 2^n for n bits; division truncates towards zero. What the ISA leaves open (the quotient
// of a division by zero) is not in the tables; of |least| and least / −1 the value modulo 2^n is expected.

#include "ptx/instructions/form_test.hpp"
#include "ptx/instructions/numbers.hpp"
#include <cstdint>

namespace espectra::ptx::test {

namespace {

constexpr std::uint32_t all_ones = 0xffffffff;
constexpr std::uint64_t all_ones64 = ~std::uint64_t{0};

/// 9.7.1.1 and 9.7.1.2.
std::vector<FormTest> sums() {
    return {
        same_kind("add.s16",
                  {{1, 2, 3}, {32767, 1, 0x8000}, {0xffff, 1, 0}, {-5, 3, -2}, {-32768, -1, 32767}}),
        same_kind("add.s32", {{1, 2, 3},
                              {most, 1, least},
                              {-1, 1, 0},
                              {least, -1, most},
                              {-7, 5, -2},
                              {0x12340000, 0x5678, 0x12345678}}),
        same_kind("add.s64", {{1, 2, 3},
                              {all_ones, 1, 0x100000000},
                              {most64, 1, least64},
                              {-1, 1, 0},
                              {least64, least64, 0},
                              {-7, 5, -2}}),
        same_kind("sub.s16", {{3, 2, 1}, {0, 1, 0xffff}, {-32768, 1, 32767}, {5, -3, 8}}),
        same_kind("sub.s32", {{3, 2, 1}, {2, 3, -1}, {0, 1, all_ones}, {least, 1, most}, {0, least, least}}),
        same_kind(
            "sub.s64",
            {{3, 2, 1}, {2, 3, -1}, {0x100000000, 1, all_ones}, {0, 1, all_ones64}, {least64, 1, most64}}),
    };
}

/// 9.7.1.3 and 9.7.1.4.
std::vector<FormTest> products() {
    return {
        same_kind("mul.lo.s32", {{6, -7, -42},
                                 {0x10000, 0x10000, 0},
                                 {-1, -1, 1},
                                 {0x12345678, 0x1000, 0x45678000},
                                 {least, -1, least},
                                 {46341, 46341, -2147479015}}),
        same_kind("mul.lo.s64", {{6, -7, -42},
                                 {0x100000001, 0x100000003, 0x400000003},
                                 {all_ones, all_ones, 0xfffffffe00000001},
                                 {-1, all_ones, 0xffffffff00000001},
                                 {least64, 3, least64}}),
        // The factors have 32 bits, sign- or zero-extended; the product has 64.
        {"mul.wide.s32",
         Kind::b64,
         {Kind::b32, Kind::b32},
         {{6, -7, -42},
          {-1, -1, 1},
          {-1, 1, -1},
          {least, least, 0x4000000000000000},
          {most, most, 0x3fffffff00000001},
          {least, most, 0xc000000080000000}}},
        {"mul.wide.u32",
         Kind::b64,
         {Kind::b32, Kind::b32},
         {{6, 7, 42},
          {-1, -1, 0xfffffffe00000001},
          {-1, 1, all_ones},
          {least, 2, 0x100000000},
          {0x12345678, 0x10000, 0x123456780000}}},
        same_kind("mad.lo.s32", {{3, 4, 5, 17},
                                 {-3, 4, 5, -7},
                                 {0x10000, 0x10000, 9, 9},
                                 {most, 2, 2, 0},
                                 {-1, -1, least, least + 1}}),
        same_kind("mad.lo.s64", {{3, 4, 5, 17},
                                 {-3, 4, 5, -7},
                                 {all_ones, all_ones, all_ones, 0xffffffff00000000},
                                 {0x100000000, 0x100000000, 7, 7},
                                 {most64, 2, 2, 0},
                                 {-1, 1, 1, 0}}),
    };
}

/// 9.7.1.8, 9.7.1.10 and 9.7.1.11.
std::vector<FormTest> quotients_and_signs() {
    return {
        same_kind("div.s32", {{7, 2, 3},
                              {-7, 2, -3},
                              {7, -2, -3},
                              {-7, -2, 3},
                              {1, 2, 0},
                              {-1, 2, 0},
                              {least, 1, least},
                              {least, 2, -1073741824},
                              {least, -1, least},
                              {most, -1, -most}}),
        same_kind("div.s64", {{7, 2, 3},
                              {-7, 2, -3},
                              {7, -2, -3},
                              {-7, -2, 3},
                              {0x700000000, 0x200000000, 3},
                              {-1, 0x100000000, 0},
                              {least64, 2, -0x4000000000000000},
                              {least64, -1, least64},
                              {most64, most64, 1}}),
        same_kind("div.u32", {{7, 2, 3},
                              {all_ones, 2, most},
                              {all_ones, all_ones, 1},
                              {1, all_ones, 0},
                              {least, 3, 715827882}}),
        same_kind("abs.s32", {{5, 5}, {-5, 5}, {0, 0}, {most, most}, {-most, most}, {least, least}}),
        same_kind("neg.s32", {{5, -5}, {-5, 5}, {0, 0}, {least, least}}),
        same_kind("neg.s64", {{5, -5}, {-5, 5}, {0, 0}, {0x100000000, -0x100000000}, {least64, least64}}),
    };
}

/// 9.7.1.12 and 9.7.1.13: "Signed and unsigned differ".
std::vector<FormTest> extremes() {
    return {
        same_kind("min.s32", {{1, 2, 1}, {2, 1, 1}, {-1, 1, -1}, {most, least, least}, {-3, -2, -3}}),
        same_kind("max.s32", {{1, 2, 2}, {2, 1, 2}, {-1, 1, 1}, {most, least, most}, {-3, -2, -2}}),
        same_kind("min.u32", {{1, 2, 1}, {2, 1, 1}, {-1, 1, 1}, {most, least, most}, {-3, -2, -3}}),
        same_kind("max.u32", {{1, 2, 2}, {2, 1, 2}, {-1, 1, -1}, {most, least, least}, {-3, -2, -2}}),
        same_kind("min.s64", {{1, 2, 1},
                              {2, 1, 1},
                              {-1, 1, -1},
                              {most64, least64, least64},
                              {0x100000000, all_ones, all_ones}}),
        same_kind("max.s64", {{1, 2, 2},
                              {2, 1, 2},
                              {-1, 1, 1},
                              {most64, least64, most64},
                              {0x100000000, all_ones, 0x100000000}}),
        same_kind("max.u64", {{1, 2, 2},
                              {2, 1, 2},
                              {-1, 1, -1},
                              {most64, least64, least64},
                              {0x100000000, all_ones, 0x100000000}}),
    };
}

}  // namespace

std::vector<FormTest> integer_forms() {
    return joined({sums(), products(), quotients_and_signs(), extremes()});
}

}  // namespace espectra::ptx::test
