// Comparison and selection: PTX ISA 9.0, sections 9.3.1, Comparisons; 9.7.6.2, setp; 9.7.6.3, selp.

#include "ptx/instructions/form_test.hpp"
#include "ptx/instructions/numbers.hpp"
#include <array>

namespace espectra::ptx::test {

namespace {

enum class Relation { less, equal, greater, unordered };

/// A comparison, and if it is true of a < b, a = b, a > b, and if an operand is NaN (tables 22 to 25).
struct Comparison {
    const char* name;
    std::array<bool, 4> truth;
};

constexpr std::array<Comparison, 6> ordered = {{{"eq", {false, true, false, false}},
                                                {"ne", {true, false, true, false}},
                                                {"lt", {true, false, false, false}},
                                                {"le", {true, true, false, false}},
                                                {"gt", {false, false, true, false}},
                                                {"ge", {false, true, true, false}}}};
constexpr std::array<Comparison, 8> of_doubles = {{{"equ", {false, true, false, true}},
                                                   {"neu", {true, false, true, true}},
                                                   {"ltu", {true, false, false, true}},
                                                   {"leu", {true, true, false, true}},
                                                   {"gtu", {false, false, true, true}},
                                                   {"geu", {false, true, true, true}},
                                                   {"num", {true, true, true, false}},
                                                   {"nan", {false, false, false, true}}}};

struct Pair {
    Bits a, b;
    Relation relation;
};

FormTest setp(const Comparison& comparison, const std::string& type, Kind kind,
              const std::vector<Pair>& pairs) {
    FormTest test{std::string("setp.") + comparison.name + "." + type, Kind::pred, {kind, kind}, {}};
    for (const Pair& pair : pairs)
        test.cases.push_back({pair.a, pair.b, comparison.truth[static_cast<std::size_t>(pair.relation)]});
    return test;
}

void add_doubles(std::vector<FormTest>& forms) {
    const std::vector<Pair> pairs = {{1.0, 2.0, Relation::less},
                                     {2.0, 1.0, Relation::greater},
                                     {-2.0, -1.0, Relation::less},
                                     {1.5, 1.5, Relation::equal},
                                     {0.0, -0.0, Relation::equal},
                                     {-0.0, 0.0, Relation::equal},
                                     {0.0, tiny, Relation::less},
                                     {tiny, -tiny, Relation::greater},
                                     {infinity, infinity, Relation::equal},
                                     {-infinity, 1.0, Relation::less},
                                     {1.0, infinity, Relation::less},
                                     {nan, 1.0, Relation::unordered},
                                     {1.0, nan, Relation::unordered},
                                     {nan, nan, Relation::unordered},
                                     {-nan, nan, Relation::unordered},
                                     {nan, infinity, Relation::unordered},
                                     {-1.0, 1.0, Relation::less},
                                     {1.0, -1.0, Relation::greater}};
    for (const Comparison& comparison : ordered) forms.push_back(setp(comparison, "f64", Kind::f64, pairs));
    for (const Comparison& comparison : of_doubles)
        forms.push_back(setp(comparison, "f64", Kind::f64, pairs));
}

/// Integers of `bits` bits; numbers with the sign bit are less than 0 only if they are signed.
void add_integers(std::vector<FormTest>& forms, Kind kind, int bits) {
    const std::uint64_t sign = std::uint64_t{1} << (bits - 1), highest = sign - 1;
    const auto pairs = [&](bool is_signed) {
        const Relation negative = is_signed ? Relation::less : Relation::greater;
        const Relation positive = is_signed ? Relation::greater : Relation::less;
        return std::vector<Pair>{
            {1, 2, Relation::less},    {2, 1, Relation::greater}, {7, 7, Relation::equal},
            {0, 0, Relation::equal},   {-1, 1, negative},         {1, -1, positive},
            {-1, -1, Relation::equal}, {-2, -1, Relation::less},  {sign, highest, negative},
            {highest, sign, positive}, {sign, 0, negative},       {0, sign, positive}};
    };
    const std::string size = std::to_string(bits);
    for (const Comparison& comparison : ordered) {
        forms.push_back(setp(comparison, "s" + size, kind, pairs(true)));
        if (bits > 16) forms.push_back(setp(comparison, "u" + size, kind, pairs(false)));
    }
    for (const Comparison& comparison : {ordered[0], ordered[1]})
        forms.push_back(setp(comparison, "b" + size, kind, pairs(false)));
}

void add_selections(std::vector<FormTest>& forms) {
    const auto add = [&](const char* type, Kind kind, const Bits& a, const Bits& b) {
        forms.push_back(
            {std::string("selp.") + type, kind, {kind, kind, Kind::pred}, {{a, b, 1, a}, {a, b, 0, b}}});
    };
    add("b16", Kind::b16, 0x8001, 7);
    add("u16", Kind::b16, 0x8001, 7);
    add("b32", Kind::b32, 0x80000001, 7);
    add("u32", Kind::b32, 0x80000001, 7);
    add("b64", Kind::b64, 0x8000000000000001, 7);
    add("u64", Kind::b64, 0x8000000000000001, 7);
    add("f64", Kind::f64, -0.0, std::bit_cast<double>(0x7ff8000000000123));
}

}  // namespace

std::vector<FormTest> comparison_forms() {
    std::vector<FormTest> forms;
    add_doubles(forms);
    add_integers(forms, Kind::b16, 16);
    add_integers(forms, Kind::b32, 32);
    add_integers(forms, Kind::b64, 64);
    add_selections(forms);
    return forms;
}

}  // namespace espectra::ptx::test
