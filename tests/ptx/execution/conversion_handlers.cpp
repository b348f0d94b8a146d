#include "ptx/execution/handlers.hpp"
#include "ptx/execution/lane_loops.hpp"
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace espectra::ptx {

namespace {

constexpr auto copy = []<class U>(U a) { return a; };
constexpr auto join = [](std::uint32_t low, std::uint32_t high) {
    return std::uint64_t{low} | std::uint64_t{high} << 32;
};
constexpr auto shared_to_generic = [](std::uint64_t a) { return a + shared_memory_window; };

struct Split {
    static void all(Strip& strip, const Step& step) {
        std::uint32_t* low = strip.row<std::uint32_t>(step.results[0]);
        std::uint32_t* high = strip.row<std::uint32_t>(step.results[1]);
        const std::uint64_t* a = strip.row<const std::uint64_t>(step.operands[0]);
        for_all_lanes([=](int lane) {
            low[lane] = static_cast<std::uint32_t>(a[lane]);
            high[lane] = static_cast<std::uint32_t>(a[lane] >> 32);
        });
    }
    static void some(Strip& strip, const Step& step) {
        std::uint32_t* low = strip.row<std::uint32_t>(step.results[0]);
        std::uint32_t* high = strip.row<std::uint32_t>(step.results[1]);
        const std::uint64_t* a = strip.row<const std::uint64_t>(step.operands[0]);
        assign_active(strip.active, low, [=](int lane) { return static_cast<std::uint32_t>(a[lane]); });
        assign_active(strip.active, high,
                      [=](int lane) { return static_cast<std::uint32_t>(a[lane] >> 32); });
    }
};

/// Rounds towards zero and limits to the range of the signed type T. PTX ISA, cvt: NaN of type f64 gives
/// 1 << (width - 1), which is the lowest number.
template <class T>
T rounded_to_zero(double x) {
    constexpr T lowest = std::numeric_limits<T>::min();
    constexpr double limit = -static_cast<double>(lowest);
    if (!(x > -limit)) {
        // Numbers in (-limit - 1, -limit) are rounded to the lowest number as well.
        return lowest;
    }
    return x >= limit ? std::numeric_limits<T>::max() : static_cast<T>(x);
}

/// Converts the low bits of a register, as a number of type S, to type T; a wider register of the result is
/// filled with copies of the sign if T is signed, otherwise with zeros.
template <class T, class S, class Result>
inline constexpr auto convert = []<class Operand>(Operand a) {
    if constexpr (std::is_same_v<S, double>)
        return static_cast<Result>(rounded_to_zero<T>(std::bit_cast<double>(a)));
    else if constexpr (std::is_same_v<T, double>)
        return std::bit_cast<std::uint64_t>(static_cast<double>(static_cast<S>(a)));
    else
        return static_cast<Result>(static_cast<T>(static_cast<S>(a)));
};

template <class T, class S>
Handlers conversion(int result_bits, int operand_bits) {
    return with_row_type(result_bits, [&]<class Result>() {
        return with_row_type(operand_bits, [&]<class Operand>() -> Handlers {
            if constexpr (sizeof(Result) < sizeof(T) || sizeof(Operand) < sizeof(S) || std::is_same_v < T,
                          double >> (sizeof(Result) == 8))
                return {};  // refused by the decoder
            else
                return elementwise<convert<T, S, Result>, Result, Operand>();
        });
    });
}

}  // namespace

Handlers movement_handlers(const Instruction& instruction) {
    if (instruction.operation == Operation::unpack) return {&Split::all, &Split::some};
    if (instruction.operation == Operation::pack)
        return elementwise<join, std::uint64_t, std::uint32_t, std::uint32_t>();
    return with_row_type(bits_of(instruction.type), []<class U>() { return elementwise<copy, U, U>(); });
}

Handlers conversion_handlers(const Program& program, const Instruction& instruction) {
    if (instruction.operation == Operation::cvta)
        return instruction.space == Space::global
                   ? elementwise<copy, std::uint64_t, std::uint64_t>()
                   : elementwise<shared_to_generic, std::uint64_t, std::uint64_t>();
    const int result_bits = program.register_at(instruction.results[0]).bits;
    const int operand_bits = program.register_at(instruction.operands[0]).bits;
    const auto converts = [&](Type type, Type source) {
        return instruction.type == type && instruction.source == source;
    };
    if (converts(Type::s64, Type::s32))
        return conversion<std::int64_t, std::int32_t>(result_bits, operand_bits);
    if (converts(Type::u16, Type::u32))
        return conversion<std::uint16_t, std::uint32_t>(result_bits, operand_bits);
    if (converts(Type::u32, Type::u16))
        return conversion<std::uint32_t, std::uint16_t>(result_bits, operand_bits);
    if (converts(Type::u32, Type::u64))
        return conversion<std::uint32_t, std::uint64_t>(result_bits, operand_bits);
    if (converts(Type::u64, Type::u16))
        return conversion<std::uint64_t, std::uint16_t>(result_bits, operand_bits);
    if (converts(Type::u64, Type::u32))
        return conversion<std::uint64_t, std::uint32_t>(result_bits, operand_bits);
    if (converts(Type::f64, Type::s32)) return conversion<double, std::int32_t>(result_bits, operand_bits);
    if (converts(Type::f64, Type::u32)) return conversion<double, std::uint32_t>(result_bits, operand_bits);
    if (converts(Type::f64, Type::s64)) return conversion<double, std::int64_t>(result_bits, operand_bits);
    if (converts(Type::f64, Type::u64)) return conversion<double, std::uint64_t>(result_bits, operand_bits);
    if (converts(Type::s32, Type::f64)) return conversion<std::int32_t, double>(result_bits, operand_bits);
    if (converts(Type::s64, Type::f64)) return conversion<std::int64_t, double>(result_bits, operand_bits);
    fail_without_handler(instruction);
}

}  // namespace espectra::ptx
