#pragma once

#include "ptx/execution/strip.hpp"
#include "ptx/program/program.hpp"

namespace espectra::ptx {

/// Returns what executes an instruction; nothing for branches, barriers and ret.
Handlers handlers_of(const Program& program, const Instruction& instruction);

// The same by kind of the instruction.
Handlers integer_handlers(const Instruction& instruction);
Handlers double_handlers(const Instruction& instruction);
Handlers comparison_handlers(const Instruction& instruction);
Handlers predicate_handlers(const Instruction& instruction);
Handlers selection_handlers(const Instruction& instruction);
Handlers movement_handlers(const Instruction& instruction);
Handlers conversion_handlers(const Program& program, const Instruction& instruction);
Handlers memory_handlers(const Program& program, const Instruction& instruction);
Handlers matrix_handlers(const Instruction& instruction);

/// Throws std::logic_error: a form of the table of forms has no handler.
[[noreturn]] void fail_without_handler(const Instruction& instruction);

}  // namespace espectra::ptx
