#pragma once

#include "ptx/program/instruction.hpp"
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace espectra::ptx {

/// A register of a program. Immediate operands, addresses of symbols and special registers are registers as
/// well, which no instruction writes.
struct Register {
    enum class Kind {
        variable,      ///< declared by .reg
        constant,      ///< always `value`
        thread_index,  ///< %tid.x
        block_index,   ///< %ctaid.x
    };
    std::string name;  ///< as in the text, without its leading %
    int bits = 64;     ///< 1 (predicates), 16, 32 or 64
    Kind kind = Kind::variable;
    std::uint64_t value = 0;
};

/// A parameter of a kernel.
struct Parameter {
    std::string name;
    std::size_t offset = 0, bytes = 0;  ///< in the launch's parameters
};

/// Address of dynamic shared memory in the window of shared memory. Addresses below are in no array.
inline constexpr std::uint32_t shared_memory_start = 1024;
/// Number that cvta.shared adds to an address of shared memory, so that generic instructions recognise it: no
/// address of a host process has this upper half.
inline constexpr std::uint64_t shared_memory_window = std::uint64_t{0x5a} << 56;

/// A kernel of a PTX module, decoded. Instructions are numbered in the order of the text, from 0; execution
/// starts at 0 and never runs past the last one.
struct Program {
    std::string symbol;  ///< name in the module (mangled)
    std::string name;    ///< readable name
    std::string file;    ///< of the module
    std::vector<Instruction> instructions;
    std::vector<std::string> texts;  ///< of each instruction
    std::vector<Register> registers;
    std::vector<Parameter> parameters;
    std::size_t parameter_bytes = 0;
    int most_threads = 0;       ///< .maxntid: most threads of a block
    std::vector<int> barriers;  ///< instructions that are bar.sync

    const Instruction& instruction(int index) const { return instructions[static_cast<std::size_t>(index)]; }
    const Register& register_at(int index) const { return registers[static_cast<std::size_t>(index)]; }

    /// Returns the instructions that can follow instruction `index`: none after ret, two after a guarded
    /// branch or ret.
    std::vector<int> successors(int index) const;
};

/// Parses the text of a PTX module (of `file`, for messages) and decodes its kernels. Throws
/// std::runtime_error that names file, line and text for every directive, instruction, modifier, operand form
/// or special register that it does not know.
std::vector<Program> parse_module(const std::string& text, const std::string& file);

/// Returns every instruction form (opcode with all modifiers, such as "setp.lt.f64") that parse_module()
/// accepts, each once. The tests compare it with the forms in compiled kernels.
std::vector<std::string> known_forms();

}  // namespace espectra::ptx
