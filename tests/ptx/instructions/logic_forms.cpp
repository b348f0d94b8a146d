// Logic and shifts: PTX ISA 9.0, section 9.7.8. Shift amounts are unsigned numbers of 32 bits, and those
// beyond the size of the register are clamped to it.

#include "ptx/instructions/form_test.hpp"
#include <utility>

namespace espectra::ptx::test {

namespace {

std::vector<FormTest> logic() {
    const std::vector<Case> conjunction = {{0, 0, 0}, {0, 1, 0}, {1, 0, 0}, {1, 1, 1}};
    const std::vector<Case> disjunction = {{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 1}};
    const std::vector<Case> difference = {{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}};
    return {
        same_kind("and.b16", {{0xf0f0, 0xff00, 0xf000}, {-1, 0x8001, 0x8001}, {-1, 255, 255}}),
        same_kind("and.b32", {{0xf0f0f0f0, 0xffff0000, 0xf0f00000}, {-1, 0x80000001, 0x80000001}}),
        same_kind("and.b64", {{0xf0f0f0f0f0f0f0f0, 0xffffffff00000000, 0xf0f0f0f000000000},
                              {0x123456789abcdef0, -4294967296, 0x1234567800000000}}),
        same_kind("and.pred", conjunction),
        same_kind("or.b32", {{0xf0f0f0f0, 0xffff0000, 0xfffff0f0}, {1, -2, -1}}),
        same_kind("or.b64", {{0xf0f0f0f0f0f0f0f0, 0xffffffff00000000, 0xfffffffff0f0f0f0}, {1, -2, -1}}),
        same_kind("or.pred", disjunction),
        same_kind("xor.b16", {{0xf0f0, 0xff00, 0x0ff0}, {-1, 1, 0xfffe}, {0x8000, -1, 0x7fff}}),
        same_kind("xor.b32", {{0xf0f0f0f0, 0xffff0000, 0x0f0ff0f0}, {-1, 1, -2}}),
        same_kind("xor.b64", {{0xf0f0f0f0f0f0f0f0, 0xffffffff00000000, 0x0f0f0f0ff0f0f0f0}, {-1, 1, -2}}),
        same_kind("xor.pred", difference),
        same_kind("not.b16", {{0, 0xffff}, {0x1234, 0xedcb}, {-1, 0}}),
        same_kind("not.b32", {{0, 0xffffffff}, {0x12345678, 0xedcba987}, {-1, 0}}),
        same_kind("not.b64", {{0, -1}, {0x123456789abcdef0, 0xedcba9876543210f}, {-1, 0}}),
        same_kind("not.pred", {{0, 1}, {1, 0}}),
    };
}

FormTest shift(const std::string& form, std::vector<Case> cases) {
    FormTest test = same_kind(form, std::move(cases));
    test.sources[1] = Kind::b32;
    return test;
}

std::vector<FormTest> shifts() {
    return {
        shift("shl.b32", {{0x80000001, 0, 0x80000001},
                          {0x80000001, 1, 2},
                          {1, 31, 0x80000000},
                          {-1, 32, 0},
                          {-1, 33, 0},
                          {-1, 63, 0},
                          {-1, 64, 0},
                          {-1, 0x80000000, 0},
                          {-1, -1, 0}}),
        shift("shl.b64", {{0x8000000000000001, 0, 0x8000000000000001},
                          {0x8000000000000001, 1, 2},
                          {1, 31, 0x80000000},
                          {1, 32, 0x100000000},
                          {1, 63, 0x8000000000000000},
                          {-1, 64, 0},
                          {-1, 65, 0},
                          {-1, 0x80000000, 0},
                          {-1, -1, 0}}),
        shift("shr.u32", {{0x80000001, 0, 0x80000001},
                          {0x80000001, 1, 0x40000000},
                          {0x80000000, 31, 1},
                          {-1, 32, 0},
                          {-1, 33, 0},
                          {-1, 64, 0},
                          {-1, 0x80000000, 0},
                          {-1, -1, 0}}),
        shift("shr.u64", {{0x8000000000000001, 1, 0x4000000000000000},
                          {0x8000000000000000, 31, 0x100000000},
                          {0x8000000000000000, 32, 0x80000000},
                          {0x8000000000000000, 63, 1},
                          {-1, 64, 0},
                          {-1, 65, 0},
                          {-1, -1, 0}}),
        shift("shr.s32", {{0x80000001, 0, 0x80000001},
                          {0x80000001, 1, 0xc0000000},
                          {0x40000000, 30, 1},
                          {-7, 1, -4},
                          {0x80000000, 31, -1},
                          {0x80000000, 32, -1},
                          {0x80000000, 64, -1},
                          {0x80000000, -1, -1},
                          {0x7fffffff, 31, 0},
                          {0x7fffffff, 32, 0},
                          {0x7fffffff, 0x80000000, 0}}),
        shift("shr.s64", {{0x8000000000000001, 1, 0xc000000000000000},
                          {-7, 1, -4},
                          {0x8000000000000000, 31, 0xffffffff00000000},
                          {0x8000000000000000, 32, 0xffffffff80000000},
                          {0x8000000000000000, 63, -1},
                          {0x8000000000000000, 64, -1},
                          {0x8000000000000000, -1, -1},
                          {0x7fffffffffffffff, 62, 1},
                          {0x7fffffffffffffff, 63, 0},
                          {0x7fffffffffffffff, 64, 0},
                          {0x7fffffffffffffff, 0x80000000, 0}}),
    };
}

}  // namespace

std::vector<FormTest> logic_forms() { return joined({logic(), shifts()}); }

}  // namespace espectra::ptx::test
