#pragma once

#include <string>
#include <vector>

namespace espectra::ptx {

// Sketch of the contract; the owner of this room completes it.

/// A kernel of a PTX module, decoded.
class Program;

/// Parses the text of a PTX module (of `file`, for messages) and decodes its kernels. Throws
/// std::runtime_error that names file, line and text for every directive, instruction or modifier that it
/// does not know.
std::vector<Program> parse_module(const std::string& text, const std::string& file);

/// Returns every instruction form (opcode with all modifiers, such as "setp.lt.f64") that parse_module()
/// accepts, each once. The tests compare it with the forms in compiled kernels.
std::vector<std::string> known_forms();

}  // namespace espectra::ptx
