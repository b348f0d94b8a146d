#include "ptx/execution/handlers.hpp"
#include "ptx/execution/lane_loops.hpp"
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace espectra::ptx {

namespace {

/// Sets the active lanes of a predicate.
void set_active(Strip& strip, const Step& step, LaneMask values) {
    LaneMask& predicate = *strip.row<LaneMask>(step.results[0]);
    predicate = (predicate & ~strip.active) | (values & strip.active);
}

/// Compares chunks of numbers; the result has all ones where the comparison holds.
template <Comparison comparison, class V>
[[gnu::always_inline]] inline auto compare(const V& a, const V& b) {
    if constexpr (comparison == Comparison::eq) return a == b;
    if constexpr (comparison == Comparison::ne && std::is_same_v<V, Chunk<double>>)
        return (a < b) | (a > b);  // false if one is NaN
    else if constexpr (comparison == Comparison::ne)
        return a != b;
    if constexpr (comparison == Comparison::lt) return a < b;
    if constexpr (comparison == Comparison::le) return a <= b;
    if constexpr (comparison == Comparison::gt) return a > b;
    if constexpr (comparison == Comparison::ge) return a >= b;
    if constexpr (comparison == Comparison::equ) return ~((a < b) | (a > b));
    if constexpr (comparison == Comparison::neu) return a != b;
    if constexpr (comparison == Comparison::ltu) return ~(a >= b);
    if constexpr (comparison == Comparison::leu) return ~(a > b);
    if constexpr (comparison == Comparison::gtu) return ~(a <= b);
    if constexpr (comparison == Comparison::geu) return ~(a < b);
    if constexpr (comparison == Comparison::num) return (a == a) & (b == b);
    if constexpr (comparison == Comparison::nan) return (a != a) | (b != b);
}

/// Compares rows of elements U as numbers of type T.
template <Comparison comparison, class T, class U>
void set_predicate(Strip& strip, const Step& step) {
    const U* a = strip.row<const U>(step.operands[0]);
    const U* b = strip.row<const U>(step.operands[1]);
    LaneMask values = 0;
    for (int first = 0; first < lanes; first += lane_chunk) {
        const auto mask = compare<comparison>(load_chunk<T>(a + first), load_chunk<T>(b + first));
        values |= LaneMask{gathered<U>(reinterpret_cast<Chunk<U>>(mask))} << first;
    }
    set_active(strip, step, values);
}

template <class T, class U>
Handlers comparison_of(const Instruction& instruction) {
    constexpr Comparison last = std::is_integral_v<T> ? Comparison::ge : Comparison::nan;
    if (instruction.comparison > last) fail_without_handler(instruction);
    return [&]<std::size_t... c>(std::index_sequence<c...>) {
        constexpr Handler handlers[] = {&set_predicate<static_cast<Comparison>(c), T, U>...};
        return always(handlers[static_cast<std::size_t>(instruction.comparison)]);
    }
    (std::make_index_sequence<static_cast<std::size_t>(last) + 1>{});
}

/// d = operation(a, b) for predicates; operations on one operand ignore b.
template <auto operation>
void combine(Strip& strip, const Step& step) {
    set_active(strip, step,
               operation(*strip.row<LaneMask>(step.operands[0]), *strip.row<LaneMask>(step.operands[1])));
}

constexpr auto copy = [](LaneMask a, LaneMask) { return a; };
constexpr auto logical_not = [](LaneMask a, LaneMask) { return ~a; };
constexpr auto logical_and = [](LaneMask a, LaneMask b) { return a & b; };
constexpr auto logical_or = [](LaneMask a, LaneMask b) { return a | b; };
constexpr auto logical_xor = [](LaneMask a, LaneMask b) { return a ^ b; };

/// d = c ? a : b
template <class U, bool all>
void select(Strip& strip, const Step& step) {
    U* d = strip.row<U>(step.results[0]);
    const U* a = strip.row<const U>(step.operands[0]);
    const U* b = strip.row<const U>(step.operands[1]);
    const LaneMask c = *strip.row<LaneMask>(step.operands[2]);
    for (int first = 0; first < lanes; first += lane_chunk) {
        const unsigned enabled = static_cast<unsigned>(strip.active >> first) & 0xff;
        if (!all && enabled == 0) continue;
        Chunk<U> values = blend<U>(spread<U>(static_cast<unsigned>(c >> first) & 0xff),
                                   load_chunk<U>(a + first), load_chunk<U>(b + first));
        if (!all) values = blend<U>(spread<U>(enabled), values, load_chunk<U>(d + first));
        std::memcpy(d + first, &values, sizeof(values));
    }
}

}  // namespace

Handlers comparison_handlers(const Instruction& instruction) {
    switch (instruction.type) {
        case Type::s16:
            return comparison_of<std::int16_t, std::uint16_t>(instruction);
        case Type::b16:
        case Type::u16:
            return comparison_of<std::uint16_t, std::uint16_t>(instruction);
        case Type::s32:
            return comparison_of<std::int32_t, std::uint32_t>(instruction);
        case Type::b32:
        case Type::u32:
            return comparison_of<std::uint32_t, std::uint32_t>(instruction);
        case Type::s64:
            return comparison_of<std::int64_t, std::uint64_t>(instruction);
        case Type::b64:
        case Type::u64:
            return comparison_of<std::uint64_t, std::uint64_t>(instruction);
        case Type::f64:
            return comparison_of<double, std::uint64_t>(instruction);
        case Type::pred:
        case Type::u8:
            break;
    }
    fail_without_handler(instruction);
}

Handlers predicate_handlers(const Instruction& instruction) {
    switch (instruction.operation) {
        case Operation::mov:
            return always(&combine<copy>);
        case Operation::not_:
            return always(&combine<logical_not>);
        case Operation::and_:
            return always(&combine<logical_and>);
        case Operation::or_:
            return always(&combine<logical_or>);
        case Operation::xor_:
            return always(&combine<logical_xor>);
        default:
            fail_without_handler(instruction);
    }
}

Handlers selection_handlers(const Instruction& instruction) {
    return with_row_type(bits_of(instruction.type), []<class U>() -> Handlers {
        return {&select<U, true>, &select<U, false>};
    });
}

}  // namespace espectra::ptx
