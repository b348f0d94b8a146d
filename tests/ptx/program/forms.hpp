#pragma once

#include "ptx/program/instruction.hpp"
#include <map>
#include <string>

namespace espectra::ptx {

/// An opcode with all its modifiers, and what is fixed by it.
struct Form {
    Operation operation = Operation::ret;
    Type type = Type::b64, source = Type::b64;
    Comparison comparison = Comparison::eq;
    Space space = Space::generic;
    int elements = 1;  ///< of the vector that ld or st moves
};

/// Returns all forms that the interpreter executes, by their text, such as "setp.lt.f64".
const std::map<std::string, Form>& forms();

}  // namespace espectra::ptx
