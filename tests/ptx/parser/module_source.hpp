#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace espectra::ptx {

/// An operand as it is written.
struct SourceOperand {
    enum class Kind {
        name,     ///< register, special register, label, parameter or array in shared memory
        number,   ///< integer, or the bits of a floating-point number (0d…)
        address,  ///< [base] or [base+offset]
        vector,   ///< {elements}
    };
    Kind kind = Kind::name;
    std::string name;         ///< of a name, or the base of an address; registers with their leading %
    std::uint64_t value = 0;  ///< negative integers as two's complements
    bool is_double = false;   ///< the number was written as 0d…
    std::int64_t offset = 0;
    std::vector<SourceOperand> elements;
};

/// An instruction as it is written: @!guard opcode operands;
struct SourceInstruction {
    int line = 0;
    std::string text;
    std::string guard;  ///< empty: none
    bool guard_negated = false;
    std::string opcode;  ///< with all modifiers
    std::vector<SourceOperand> operands;
};

struct SourceParameter {
    std::string name;
    std::size_t alignment = 1, bytes = 0;
};

/// Declared registers.
struct SourceRegisters {
    int bits = 0;   ///< width; predicates have 1
    int count = 0;  ///< %r<8>: 8; 0: a single one
};

/// A kernel as it is written. Registers of an inner scope { … } get the number of the scope appended to their
/// names, so that names are unique.
struct SourceEntry {
    std::string name;
    int line = 0;
    std::vector<SourceParameter> parameters;
    int most_threads = 0;                              ///< .maxntid
    std::map<std::string, SourceRegisters> registers;  ///< by name, without the number
    std::vector<SourceInstruction> instructions;
    std::map<std::string, int> labels;  ///< the instruction that follows each
};

struct SourceModule {
    std::string file;
    std::string shared_array;  ///< name of the dynamic shared memory; empty: none
    std::vector<SourceEntry> entries;
};

/// Parses the text of a PTX module without knowing its instructions. Throws std::runtime_error with file,
/// line and text for what it does not understand, such as unknown directives, duplicate labels or registers.
SourceModule parse_source(const std::string& text, const std::string& file);

}  // namespace espectra::ptx
