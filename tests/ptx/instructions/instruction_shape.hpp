#pragma once

#include <map>
#include <string>

namespace espectra::ptx::test {

/// Returns the opcode of an instruction with all modifiers, such as "setp.lt.f64". `statement` is one
/// statement of PTX without its semicolon; a guard is left out.
std::string opcode_of(const std::string& statement);

/// Returns the form of an instruction: guard, opcode with all modifiers and the kinds of its operands. For
/// example "@%p3 add.s32 %r1, %r2, -5" is "@p add.s32 r,r,i", and "ld.shared.v2.f64 {%fd1, %fd2}, [%r1+8]" is
/// "ld.shared.v2.f64 {f,f},[r+i]". Kinds are p, h (16 bits), r (32 bits), d (64 bits) and f (f64) for
/// registers, i and x for integers and f64 constants, s for symbols, l for labels, and the name of a special
/// register.
std::string shape_of(const std::string& statement);

/// Returns the forms of all instructions in the text of a module, each with the line that it is first used in
/// (from 1). Reads the text by itself, without the interpreter's parser.
std::map<std::string, int> shapes_in(const std::string& module_text);

}  // namespace espectra::ptx::test
