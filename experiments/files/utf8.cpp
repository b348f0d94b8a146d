#include "espectra/experiments/files/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace espectra {

namespace {

std::uint32_t byte_of(std::string_view text, std::size_t i) { return static_cast<unsigned char>(text[i]); }

/// Returns the code point of a valid UTF-8 character of `length` bytes.
std::uint32_t code_point(std::string_view text, std::size_t length) {
    if (length == 1) return byte_of(text, 0);
    std::uint32_t code = byte_of(text, 0) & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) code = (code << 6) | (byte_of(text, i) & 0x3Fu);
    return code;
}

bool is_control(std::uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x200E || code == 0x200F ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

/// Code points of the bytes 0x80 to 0x9F in Windows-1252; those that it does not assign stay as they are.
constexpr std::array<std::uint16_t, 32> windows_1252 = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

/// Returns the bytes of the UTF-8 character at the beginning of `text`; 0 if it is not valid.
std::size_t utf8_length(std::string_view text) {
    const std::uint32_t first = byte_of(text, 0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte_of(text, i) & 0xC0) != 0x80) return 0;
    const std::uint32_t code = code_point(text, length);
    const bool overlong = code < (length == 4 ? 0x10000u : length == 3 ? 0x800u : 0x80u);
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    return overlong || surrogate || code > 0x10FFFF ? 0 : length;
}

}  // namespace

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        std::uint64_t eight = 0;
        if (text.size() >= sizeof(eight)) {
            std::memcpy(&eight, text.data(), sizeof(eight));
            if ((eight & 0x8080808080808080u) == 0) {
                text.remove_prefix(sizeof(eight));
                continue;
            }
        }
        const std::size_t length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

void append_utf8(std::string& text, std::uint32_t code) {
    if (code < 0x80) {
        text += static_cast<char>(code);
        return;
    }
    const int following = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    constexpr std::uint32_t first[] = {0, 0xC0, 0xE0, 0xF0};
    text += static_cast<char>(first[following] | (code >> (6 * following)));
    for (int i = following - 1; i >= 0; --i) text += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F));
}

std::string utf8_from_windows_1252(std::string_view text) {
    std::string converted;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::uint32_t byte = byte_of(text, i);
        append_utf8(converted, byte >= 0x80 && byte < 0xA0 ? windows_1252[byte - 0x80] : byte);
    }
    return converted;
}

std::string printable(std::string_view text, std::size_t most) {
    std::string shown;
    while (!text.empty()) {
        const std::size_t length = utf8_length(text), taken = std::max<std::size_t>(length, 1);
        std::string next;
        if (length > 0 && !is_control(code_point(text, length)))
            next = text.substr(0, length);
        else
            for (std::size_t i = 0; i < taken; ++i) next += fmt::format("\\x{:02x}", byte_of(text, i));
        if (shown.size() + next.size() > most) return shown + "…";
        shown += next;
        text.remove_prefix(taken);
    }
    return shown;
}

}  // namespace espectra
