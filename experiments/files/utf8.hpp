#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace espectra {

/// Returns true if the text is valid UTF-8.
bool is_utf8(std::string_view text);

/// Appends a Unicode character; `code` is at most 0x10FFFF.
void append_utf8(std::string& text, std::uint32_t code);

/// Converts text in Windows-1252, of which Latin-1 is a part.
std::string utf8_from_windows_1252(std::string_view text);

/// Returns text of a file as a terminal may show it: control characters, marks that change the direction of
/// writing and bytes that are not UTF-8 become "\x1b" and the like. Text of more than `most` bytes is cut,
/// with an ellipsis.
std::string printable(std::string_view text, std::size_t most = std::string_view::npos);

}  // namespace espectra
