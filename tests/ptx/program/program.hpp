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

}  // namespace espectra::ptx
