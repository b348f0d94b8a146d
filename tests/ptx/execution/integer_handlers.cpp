#include "ptx/execution/handlers.hpp"
#include "ptx/execution/lane_loops.hpp"
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

namespace espectra::ptx {

namespace {

// Operations on unsigned numbers, which are the same for signed ones.

constexpr auto add = []<class U>(U a, U b) { return static_cast<U>(a + b); };
constexpr auto subtract = []<class U>(U a, U b) { return static_cast<U>(a - b); };
constexpr auto multiply = []<class U>(U a, U b) { return static_cast<U>(a * b); };
constexpr auto multiply_add = []<class U>(U a, U b, U c) { return static_cast<U>(a * b + c); };
constexpr auto negate = []<class U>(U a) { return static_cast<U>(-a); };
constexpr auto bitwise_not = []<class U>(U a) { return static_cast<U>(~a); };
constexpr auto bitwise_and = []<class U>(U a, U b) { return static_cast<U>(a & b); };
constexpr auto bitwise_or = []<class U>(U a, U b) { return static_cast<U>(a | b); };
constexpr auto bitwise_xor = []<class U>(U a, U b) { return static_cast<U>(a ^ b); };

template <class U>
inline constexpr U bits = std::numeric_limits<U>::digits;

/// Shifts by the width or more give 0.
constexpr auto shift_left = []<class U>(U a, std::uint32_t b) {
    const U shifted = static_cast<U>(a << (b & (bits<U> - 1)));
    return b < bits<U> ? shifted : U{0};
};

/// T is the type of the instruction: shifts by the width or more give 0, or copies of the sign.
template <class T>
inline constexpr auto shift_right = [](std::make_unsigned_t<T> a, std::uint32_t b) {
    using U = std::make_unsigned_t<T>;
    if constexpr (std::is_signed_v<T>) {
        const auto count = b < bits<U> ? static_cast<U>(b) : static_cast<U>(bits<U> - 1);
        return static_cast<U>(static_cast<T>(a) >> count);
    } else {
        const U shifted = static_cast<U>(a >> (b & (bits<U> - 1)));
        return b < bits<U> ? shifted : U{0};
    }
};

template <class T>
inline constexpr auto minimum =
    []<class U>(U a, U b) { return static_cast<T>(a) < static_cast<T>(b) ? a : b; };
template <class T>
inline constexpr auto maximum =
    []<class U>(U a, U b) { return static_cast<T>(a) > static_cast<T>(b) ? a : b; };

/// The absolute value of the lowest number is itself.
template <class T>
inline constexpr auto absolute = []<class U>(U a) { return static_cast<T>(a) < 0 ? static_cast<U>(-a) : a; };

template <class T>
inline constexpr auto multiply_wide = [](std::uint32_t a, std::uint32_t b) {
    if constexpr (std::is_signed_v<T>)
        return static_cast<std::uint64_t>(std::int64_t{static_cast<T>(a)} * std::int64_t{static_cast<T>(b)});
    else
        return std::uint64_t{a} * std::uint64_t{b};
};

/// Rounds towards zero. Division by zero gives all ones.
template <class T>
inline constexpr auto divide =
    [](Strip& strip, const Step& step, int lane, std::make_unsigned_t<T> a, std::make_unsigned_t<T> b) {
        using U = std::make_unsigned_t<T>;
        if (b == 0) {
            strip.report(Fault::division_by_zero, step.instruction, lane, 0,
                         "The dividend is " + std::to_string(static_cast<T>(a)) + ".");
            return static_cast<U>(~U{0});
        }
        if (std::is_signed_v<T> && b == static_cast<U>(~U{0})) return static_cast<U>(-a);
        return static_cast<U>(static_cast<T>(a) / static_cast<T>(b));
    };

/// Returns the handlers of an operation on all widths.
template <auto operation, int count>
Handlers any_width(const Instruction& instruction) {
    return with_row_type(bits_of(instruction.type),
                         []<class U>() { return same_type<operation, count, U>(); });
}

/// Calls f.operator()<T>() for the type of an instruction on signed or unsigned numbers.
template <class F>
Handlers with_number_type(const Instruction& instruction, const F& f) {
    switch (instruction.type) {
        case Type::s32:
            return f.template operator()<std::int32_t>();
        case Type::u32:
            return f.template operator()<std::uint32_t>();
        case Type::s64:
            return f.template operator()<std::int64_t>();
        case Type::u64:
            return f.template operator()<std::uint64_t>();
        default:
            fail_without_handler(instruction);
    }
}

}  // namespace

Handlers integer_handlers(const Instruction& instruction) {
    switch (instruction.operation) {
        case Operation::add:
            return any_width<add, 2>(instruction);
        case Operation::sub:
            return any_width<subtract, 2>(instruction);
        case Operation::neg:
            return any_width<negate, 1>(instruction);
        case Operation::not_:
            return any_width<bitwise_not, 1>(instruction);
        case Operation::and_:
            return any_width<bitwise_and, 2>(instruction);
        case Operation::or_:
            return any_width<bitwise_or, 2>(instruction);
        case Operation::xor_:
            return any_width<bitwise_xor, 2>(instruction);
        case Operation::shl:
            return with_row_type(bits_of(instruction.type),
                                 []<class U>() { return elementwise<shift_left, U, U, std::uint32_t>(); });
        default:
            break;
    }
    return with_number_type(instruction, [&]<class T>() -> Handlers {
        using U = std::make_unsigned_t<T>;
        switch (instruction.operation) {
            case Operation::mul:
                return same_type<multiply, 2, U>();
            case Operation::mad:
                return same_type<multiply_add, 3, U>();
            case Operation::mul_wide:
                if constexpr (sizeof(T) == 4)
                    return elementwise<multiply_wide<T>, std::uint64_t, std::uint32_t, std::uint32_t>();
                else
                    break;
            case Operation::min:
                return same_type<minimum<T>, 2, U>();
            case Operation::max:
                return same_type<maximum<T>, 2, U>();
            case Operation::abs:
                return same_type<absolute<T>, 1, U>();
            case Operation::shr:
                return elementwise<shift_right<T>, U, U, std::uint32_t>();
            case Operation::div:
                return lane_by_lane<divide<T>, U, U, U>();
            default:
                break;
        }
        fail_without_handler(instruction);
    });
}

}  // namespace espectra::ptx
