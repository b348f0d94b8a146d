#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace espectra::ptx {

/// The operation of an instruction, with its name in the PTX ISA; types and further modifiers are in
/// Instruction.
enum class Operation : std::uint8_t {
    mov,
    pack,    ///< mov.b64 d, {a, b}: a is the lower half
    unpack,  ///< mov.b64 {d, e}, a
    add,
    sub,
    mul,       ///< mul.lo of integers, mul.rn of f64
    mul_wide,  ///< `type` is that of the factors; the product has 64 bits
    mad,       ///< mad.lo
    div,
    min,
    max,
    neg,
    abs,
    not_,
    and_,
    or_,
    xor_,
    shl,
    shr,
    setp,
    selp,
    cvt,   ///< from `source` to `type`
    cvta,  ///< of global memory: a copy; of shared memory: adds the window
    fma,
    rcp,
    sqrt,
    copysign,  ///< copysign d, a, b: the magnitude of b with the sign of a
    ld,
    st,
    bra,
    bar_sync,  ///< bar.sync 0: all threads of the block
    ret,
    mma_m16n8k4,
    mma_m8n8k4,
};

enum class Type : std::uint8_t { pred, u8, u16, s16, b16, u32, s32, b32, u64, s64, b64, f64 };

constexpr int bits_of(Type type) {
    switch (type) {
        case Type::pred:
            return 1;
        case Type::u8:
            return 8;
        case Type::u16:
        case Type::s16:
        case Type::b16:
            return 16;
        case Type::u32:
        case Type::s32:
        case Type::b32:
            return 32;
        case Type::u64:
        case Type::s64:
        case Type::b64:
        case Type::f64:
            return 64;
    }
    return 0;
}

/// Comparisons of setp. Those that end in u are true if an operand is NaN; num and nan tell whether none, or
/// one, is.
enum class Comparison : std::uint8_t { eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan };

enum class Space : std::uint8_t { generic, global, shared, parameter };

/// One instruction of a program. Registers are indices of Program::registers.
struct Instruction {
    Operation operation = Operation::ret;
    Type type = Type::b64;    ///< of the result; of a loaded, stored or compared value
    Type source = Type::b64;  ///< cvt: what is converted
    Comparison comparison = Comparison::eq;
    Space space = Space::generic;
    std::uint8_t written_count = 0, read_count = 0;
    bool guard_negated = false;
    int guard = -1;                ///< predicate that enables the instruction in a thread; -1: always enabled
    std::array<int, 4> results{};  ///< registers that it writes, see written()
    std::array<int, 7> operands{};  ///< registers that it reads, see read()
    std::int64_t offset = 0;        ///< ld, st: what is added to the address in operand 0
    int target = -1;                ///< bra: the instruction that is executed next
    int line = 0;                   ///< in the file, from 1

    /// Returns the registers that it writes: one, several for vectors, the upper half second in unpack; none.
    std::span<const int> written() const { return {results.data(), written_count}; }
    /// Returns the registers that it reads in the order of the text, without the guard. ld and st: the
    /// address, then what is stored. mma: the fragments of A, B and C.
    std::span<const int> read() const { return {operands.data(), read_count}; }

    /// Calls use(register) for those that it reads, and for its guard.
    template <class Use>
    void for_each_read(const Use& use) const {
        for (const int index : read()) use(index);
        if (guard >= 0) use(guard);
    }
};

}  // namespace espectra::ptx
