// Logic and shifts: PTX ISA 9.0, section 9.7.8. Shift amounts are unsigned numbers of 32 bits, and those
// beyond the size of the register are clamped to it.

#include "ptx/instructions/form_test.hpp"

namespace espectra::ptx::test {

namespace {

std::vector<Kind> both(Kind kind) { return {kind, kind}; }

std::vector<FormTest> logic() {
    const std::vector<Case> conjunction = {{0, 0, 0}, {0, 1, 0}, {1, 0, 0}, {1, 1, 1}};
    const std::vector<Case> disjunction = {{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 1}};
    const std::vector<Case> difference = {{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}};
    return {
        {"and.b16",
         Kind::b16,
         both(Kind::b16),
         {{0xf0f0, 0xff00, 0xf000}, {-1, 0x8001, 0x8001}, {-1, 255, 255}}},
        {"and.b32",
         Kind::b32,
         both(Kind::b32),
         {{0xf0f0f0f0, 0xffff0000, 0xf0f00000}, {-1, 0x80000001, 0x80000001}}},
        {"and.b64",
         Kind::b64,
         both(Kind::b64),
         {{0xf0f0f0f0f0f0f0f0, 0xffffffff00000000, 0xf0f0f0f000000000},
          {0x123456789abcdef0, -4294967296, 0x1234567800000000}}},
        {"and.pred", Kind::pred, both(Kind::pred), conjunction},
        {"or.b32", Kind::b32, both(Kind::b32), {{0xf0f0f0f0, 0xffff0000, 0xfffff0f0}, {1, -2, -1}}},
        {"or.b64",
         Kind::b64,
         both(Kind::b64),
         {{0xf0f0f0f0f0f0f0f0, 0xffffffff00000000, 0xfffffffff0f0f0f0}, {1, -2, -1}}},
        {"or.pred", Kind::pred, both(Kind::pred), disjunction},
        {"xor.b16",
         Kind::b16,
         both(Kind::b16),
         {{0xf0f0, 0xff00, 0x0ff0}, {-1, 1, 0xfffe}, {0x8000, -1, 0x7fff}}},
        {"xor.b32", Kind::b32, both(Kind::b32), {{0xf0f0f0f0, 0xffff0000, 0x0f0ff0f0}, {-1, 1, -2}}},
        {"xor.b64",
         Kind::b64,
         both(Kind::b64),
         {{0xf0f0f0f0f0f0f0f0, 0xffffffff00000000, 0x0f0f0f0ff0f0f0f0}, {-1, 1, -2}}},
        {"xor.pred", Kind::pred, both(Kind::pred), difference},
        {"not.b16", Kind::b16, {Kind::b16}, {{0, 0xffff}, {0x1234, 0xedcb}, {-1, 0}}},
        {"not.b32", Kind::b32, {Kind::b32}, {{0, 0xffffffff}, {0x12345678, 0xedcba987}, {-1, 0}}},
        {"not.b64", Kind::b64, {Kind::b64}, {{0, -1}, {0x123456789abcdef0, 0xedcba9876543210f}, {-1, 0}}},
        {"not.pred", Kind::pred, {Kind::pred}, {{0, 1}, {1, 0}}},
    };
}

std::vector<FormTest> shifts() {
    const std::vector<Kind> word = {Kind::b32, Kind::b32}, doubleword = {Kind::b64, Kind::b32};
    return {
        {"shl.b32",
         Kind::b32,
         word,
         {{0x80000001, 0, 0x80000001},
          {0x80000001, 1, 2},
          {1, 31, 0x80000000},
          {-1, 32, 0},
          {-1, 33, 0},
          {-1, 63, 0},
          {-1, 64, 0},
          {-1, 0x80000000, 0},
          {-1, -1, 0}}},
        {"shl.b64",
         Kind::b64,
         doubleword,
         {{0x8000000000000001, 0, 0x8000000000000001},
          {0x8000000000000001, 1, 2},
          {1, 31, 0x80000000},
          {1, 32, 0x100000000},
          {1, 63, 0x8000000000000000},
          {-1, 64, 0},
          {-1, 65, 0},
          {-1, 0x80000000, 0},
          {-1, -1, 0}}},
        {"shr.u32",
         Kind::b32,
         word,
         {{0x80000001, 0, 0x80000001},
          {0x80000001, 1, 0x40000000},
          {0x80000000, 31, 1},
          {-1, 32, 0},
          {-1, 33, 0},
          {-1, 64, 0},
          {-1, 0x80000000, 0},
          {-1, -1, 0}}},
        {"shr.u64",
         Kind::b64,
         doubleword,
         {{0x8000000000000001, 1, 0x4000000000000000},
          {0x8000000000000000, 31, 0x100000000},
          {0x8000000000000000, 32, 0x80000000},
          {0x8000000000000000, 63, 1},
          {-1, 64, 0},
          {-1, 65, 0},
          {-1, -1, 0}}},
        {"shr.s32",
         Kind::b32,
         word,
         {{0x80000001, 0, 0x80000001},
          {0x80000001, 1, 0xc0000000},
          {0x40000000, 30, 1},
          {-7, 1, -4},
          {0x80000000, 31, -1},
          {0x80000000, 32, -1},
          {0x80000000, 64, -1},
          {0x80000000, -1, -1},
          {0x7fffffff, 31, 0},
          {0x7fffffff, 32, 0},
          {0x7fffffff, 0x80000000, 0}}},
        {"shr.s64",
         Kind::b64,
         doubleword,
         {{0x8000000000000001, 1, 0xc000000000000000},
          {-7, 1, -4},
          {0x8000000000000000, 31, 0xffffffff00000000},
          {0x8000000000000000, 32, 0xffffffff80000000},
          {0x8000000000000000, 63, -1},
          {0x8000000000000000, 64, -1},
          {0x8000000000000000, -1, -1},
          {0x7fffffffffffffff, 62, 1},
          {0x7fffffffffffffff, 63, 0},
          {0x7fffffffffffffff, 64, 0},
          {0x7fffffffffffffff, 0x80000000, 0}}},
    };
}

}  // namespace

std::vector<FormTest> logic_forms() {
    std::vector<FormTest> forms = logic();
    for (const FormTest& test : shifts()) forms.push_back(test);
    return forms;
}

}  // namespace espectra::ptx::test
