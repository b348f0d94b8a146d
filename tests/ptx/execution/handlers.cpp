#include "ptx/execution/handlers.hpp"

#include <stdexcept>
#include <string>

namespace espectra::ptx {

void fail_without_handler(const Instruction& instruction) {
    throw std::logic_error("no handler of operation " +
                           std::to_string(static_cast<int>(instruction.operation)) + " with type " +
                           std::to_string(static_cast<int>(instruction.type)));
}

Handlers handlers_of(const Program& program, const Instruction& instruction) {
    switch (instruction.operation) {
        case Operation::mov:
        case Operation::not_:
        case Operation::and_:
        case Operation::or_:
        case Operation::xor_:
            if (instruction.type == Type::pred) return predicate_handlers(instruction);
            return instruction.operation == Operation::mov ? movement_handlers(instruction)
                                                           : integer_handlers(instruction);
        case Operation::pack:
        case Operation::unpack:
            return movement_handlers(instruction);
        case Operation::add:
        case Operation::sub:
        case Operation::mul:
        case Operation::div:
        case Operation::min:
        case Operation::max:
        case Operation::neg:
        case Operation::abs:
            return instruction.type == Type::f64 ? double_handlers(instruction)
                                                 : integer_handlers(instruction);
        case Operation::mul_wide:
        case Operation::mad:
        case Operation::shl:
        case Operation::shr:
            return integer_handlers(instruction);
        case Operation::fma:
        case Operation::rcp:
        case Operation::sqrt:
        case Operation::copysign:
            return double_handlers(instruction);
        case Operation::setp:
            return comparison_handlers(instruction);
        case Operation::selp:
            return selection_handlers(instruction);
        case Operation::cvt:
        case Operation::cvta:
            return conversion_handlers(program, instruction);
        case Operation::ld:
        case Operation::st:
            return memory_handlers(program, instruction);
        case Operation::mma_m16n8k4:
        case Operation::mma_m8n8k4:
            return matrix_handlers(instruction);
        case Operation::bra:
        case Operation::bar_sync:
        case Operation::ret:
            return {};
    }
    fail_without_handler(instruction);
}

}  // namespace espectra::ptx
