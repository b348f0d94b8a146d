#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace espectra::ptx {

/// A word (opcode, name, number, directive), a text in quotes, or one punctuation character of a PTX file.
struct Token {
    enum class Kind { word, quoted, punctuation, end };
    Kind kind = Kind::end;
    std::string_view text;  ///< without quotes
    int line = 0;           ///< from 1
};

/// Splits a PTX file into tokens, without comments; the last one has the kind `end`. They refer to `text`.
/// Throws std::runtime_error with file and line for a character that no token begins with.
std::vector<Token> tokens_of(std::string_view text, const std::string& file);

/// Throws std::runtime_error with "file:line: message: text".
[[noreturn]] void fail_at(const std::string& file, int line, const std::string& message,
                          const std::string& text);

}  // namespace espectra::ptx
