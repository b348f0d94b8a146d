// Moves: PTX ISA 9.0, sections 9.7.9.3 and 9.7.9.4, mov; 4.5, Constants.

#include "ptx/instructions/form_test.hpp"

namespace espectra::ptx::test {

std::vector<FormTest> move_forms() {
    const Case number = {0x8123, 0x8123}, word = {0x81234567, 0x81234567};
    const Case doubleword = {0x8123456789abcdef, 0x8123456789abcdef};
    // A signaling NaN is moved unchanged.
    const std::uint64_t nan = 0x7ff0000000000abc;
    return {
        same_kind("mov.pred", {{0, 0}, {1, 1}}),
        same_kind("mov.u16", {number, {-1, 0xffff}}),
        same_kind("mov.b16", {number, {-1, 0xffff}}),
        same_kind("mov.u32", {word, {-9, -9}}),
        same_kind("mov.b32", {word, {-9, -9}}),
        same_kind("mov.u64", {doubleword, {-2, -2}}),
        same_kind("mov.b64", {doubleword, {-2, -2}}),
        same_kind("mov.f64", {{-1.5, -1.5}, {-0.0, -0.0}, {nan, nan}}),
        // The bits of a double.
        {"mov.b64", Kind::b64, {Kind::f64}, {{-1.5, 0xbff8000000000000}, {nan, nan}}},
        {"mov.b64", Kind::f64, {Kind::b64}, {{0xbff8000000000000, -1.5}, {nan, nan}}},
        // Two halves; the first is the lower one.
        {"mov.b64",
         Kind::f64,
         {Kind::b32, Kind::b32},
         {{0x89abcdef, 0x81234567, 0x8123456789abcdef}, {0, 0x3ff00000, 1.0}},
         "mov.b64 \t$d, {$a, $b}"},
        {"mov.b64",
         Kind::b64,
         {Kind::b32, Kind::b32},
         {{0x89abcdef, 0x81234567, 0x8123456789abcdef}},
         "mov.b64 \t$d, {$a, $b}"},
    };
}

}  // namespace espectra::ptx::test
