#include "ptx/execution/handlers.hpp"
#include "ptx/execution/lane_loops.hpp"
#include <bit>
#include <cmath>
#include <cstdint>

namespace espectra::ptx {

namespace {

using Bits = std::uint64_t;

constexpr Bits sign_bit = Bits{1} << 63;
constexpr Bits canonical_nan = ~sign_bit;

double number(Bits bits) { return std::bit_cast<double>(bits); }
Bits bits_of_number(double number) { return std::bit_cast<Bits>(number); }

// All round to the nearest number, ties to even; subnormal numbers are kept.

constexpr auto add = [](Bits a, Bits b) { return bits_of_number(number(a) + number(b)); };
constexpr auto subtract = [](Bits a, Bits b) { return bits_of_number(number(a) - number(b)); };
constexpr auto multiply = [](Bits a, Bits b) { return bits_of_number(number(a) * number(b)); };
constexpr auto divide = [](Bits a, Bits b) { return bits_of_number(number(a) / number(b)); };
constexpr auto reciprocal = [](Bits a) { return bits_of_number(1.0 / number(a)); };
constexpr auto square_root = [](Bits a) { return bits_of_number(std::sqrt(number(a))); };
constexpr auto fused_multiply_add = [](Bits a, Bits b, Bits c) {
    return bits_of_number(__builtin_fma(number(a), number(b), number(c)));
};
constexpr auto negate = [](Bits a) { return a ^ sign_bit; };
constexpr auto absolute = [](Bits a) { return a & ~sign_bit; };
/// PTX ISA, copysign: "Copy sign bit of a into value of b".
constexpr auto copy_sign = [](Bits a, Bits b) { return (a & sign_bit) | (b & ~sign_bit); };

/// PTX ISA, min and max: a number if one operand is a number, the canonical NaN if none is; -0 < +0. `equal`
/// combines the bits of equal numbers, which differ in their signs at most.
template <class First, class Equal>
Bits select_number(Bits a, Bits b, const First& takes_first, const Equal& equal) {
    const double x = number(a), y = number(b);
    const Bits ordered = x == y ? equal(a, b) : (takes_first(x, y) ? a : b);
    const Bits without_a = y != y ? canonical_nan : b;
    return x != x ? without_a : (y != y ? a : ordered);
}
constexpr auto minimum = [](Bits a, Bits b) {
    return select_number(
        a, b, [](double x, double y) { return x < y; }, [](Bits p, Bits q) { return p | q; });
};
constexpr auto maximum = [](Bits a, Bits b) {
    return select_number(
        a, b, [](double x, double y) { return x > y; }, [](Bits p, Bits q) { return p & q; });
};

}  // namespace

Handlers double_handlers(const Instruction& instruction) {
    switch (instruction.operation) {
        case Operation::add:
            return same_type<add, 2, Bits>();
        case Operation::sub:
            return same_type<subtract, 2, Bits>();
        case Operation::mul:
            return same_type<multiply, 2, Bits>();
        case Operation::div:
            return same_type<divide, 2, Bits>();
        case Operation::fma:
            return same_type<fused_multiply_add, 3, Bits>();
        case Operation::rcp:
            return same_type<reciprocal, 1, Bits>();
        case Operation::sqrt:
            return same_type<square_root, 1, Bits>();
        case Operation::neg:
            return same_type<negate, 1, Bits>();
        case Operation::abs:
            return same_type<absolute, 1, Bits>();
        case Operation::copysign:
            return same_type<copy_sign, 2, Bits>();
        case Operation::min:
            return same_type<minimum, 2, Bits>();
        case Operation::max:
            return same_type<maximum, 2, Bits>();
        default:
            fail_without_handler(instruction);
    }
}

}  // namespace espectra::ptx
