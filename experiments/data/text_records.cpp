#include "espectra/experiments/data/text_records.hpp"

#include "espectra/experiments/files/utf8.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace espectra {

namespace {

constexpr std::string_view blank_characters = " \t\v\f";

bool is_blank(char c) { return blank_characters.find(c) != std::string_view::npos; }
std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(blank_characters);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blank_characters) - begin + 1);
}

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

/// Returns the first `size` bytes, as numbers.
std::uint32_t byte_at(std::string_view bytes, std::size_t i) {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
}

enum class Encoding { bytes, utf16_little, utf16_big };

/// Decides by the byte-order mark, or by zeros: of a text in a Latin script every second byte is 0.
Encoding encoding_of(std::string_view bytes) {
    if (bytes.starts_with("\xFF\xFE")) return Encoding::utf16_little;
    if (bytes.starts_with("\xFE\xFF")) return Encoding::utf16_big;
    const std::string_view head = bytes.substr(0, 64);
    std::size_t zeros[2] = {0, 0};
    for (std::size_t i = 0; i < head.size(); ++i) zeros[i % 2] += head[i] == '\0' ? 1 : 0;
    if (head.size() < 4) return Encoding::bytes;
    if (zeros[1] >= head.size() / 2 && zeros[0] == 0) return Encoding::utf16_little;
    if (zeros[0] >= head.size() / 2 && zeros[1] == 0) return Encoding::utf16_big;
    return Encoding::bytes;
}

std::string utf8_from_utf16(std::string_view bytes, bool big, const std::string& source) {
    std::string text;
    text.reserve(bytes.size() / 2);
    const auto unit = [&](std::size_t i) {
        const std::uint32_t first = byte_at(bytes, i), second = byte_at(bytes, i + 1);
        return big ? first << 8 | second : second << 8 | first;
    };
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        std::uint32_t code = unit(i);
        if (code >= 0xD800 && code < 0xDC00 && i + 3 < bytes.size()) {
            const std::uint32_t low = unit(i + 2);
            if (low >= 0xDC00 && low < 0xE000) {
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                i += 2;
            }
        }
        if (code >= 0xD800 && code < 0xE000)
            throw InputError(
                fmt::format("{}: byte {}: damaged UTF-16 text: save it as UTF-8", source, i + 1));
        append_utf8(text, code);
    }
    if (bytes.size() % 2 != 0)
        throw InputError(fmt::format("{}: damaged UTF-16 text: an odd number of bytes", source));
    return text;
}

/// Throws for files of other kinds that are often given the ending of a text.
void refuse_other_kinds(std::string_view bytes, const std::string& source) {
    const auto refuse = [&](const char* kind) {
        throw InputError(fmt::format("{}: is {}, expected text: save the table as CSV", source, kind));
    };
    if (bytes.starts_with("PK\x03\x04")) refuse("a ZIP archive or an Excel workbook");
    if (bytes.starts_with("\xD0\xCF\x11\xE0")) refuse("an Excel workbook");
    if (bytes.starts_with("\x89HDF\r\n")) refuse("an HDF5 file (.h5)");
    if (bytes.starts_with("MATLAB 5.0")) refuse("a MATLAB file (.mat)");
    if (bytes.starts_with("\x93NUMPY")) refuse("a NumPy array (.npy)");
    if (bytes.starts_with("%PDF-")) refuse("a PDF");
    if (bytes.starts_with("BZh") || bytes.starts_with("\xFD\x37zXZ") || bytes.starts_with("\x28\xB5\x2F\xFD"))
        refuse("compressed (of compressed files only .gz is read)");
    using namespace std::string_view_literals;
    if (bytes.starts_with("\xFF\xFE\0\0"sv) || bytes.starts_with("\0\0\xFE\xFF"sv))
        throw InputError(fmt::format("{}: is UTF-32: save it as UTF-8", source));
}

}  // namespace

std::string decode_text(std::string bytes, const std::string& source, std::vector<std::string>& notes) {
    refuse_other_kinds(bytes, source);
    const Encoding encoding = encoding_of(bytes);
    if (encoding != Encoding::bytes) {
        bytes = utf8_from_utf16(bytes, encoding == Encoding::utf16_big, source);
        notes.emplace_back("read as UTF-16");
    }
    if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);
    if (const auto zero = bytes.find('\0'); zero != std::string::npos)
        throw InputError(fmt::format(
            "{}:{}: has a zero byte, expected text", source,
            1 + std::count(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(zero), '\n')));
    if (!is_utf8(bytes)) {
        bytes = utf8_from_windows_1252(bytes);
        notes.emplace_back("read as Windows-1252, as it is not UTF-8");
    }
    return bytes;
}

RecordReader::RecordReader(std::string_view text, const std::string& source, char separator)
    : rest_(text), source_(source), separator_(separator) {
    for (const char c : {'\n', '\r', separator}) ends_field_[static_cast<unsigned char>(c)] = true;
    if (separator == blanks)
        for (const char c : blank_characters) ends_field_[static_cast<unsigned char>(c)] = true;
}

std::string_view RecordReader::take_line() {
    const std::string_view line = rest_.substr(0, rest_.find_first_of("\r\n"));
    rest_.remove_prefix(line.size());
    take_line_end();
    return line;
}

void RecordReader::take_line_end() {
    if (rest_.empty()) return;
    rest_.remove_prefix(rest_.starts_with("\r\n") ? 2 : 1);
    ++next_line_;
}

/// Skips blanks, but no separators.
void RecordReader::skip_blanks() {
    std::size_t count = 0;
    while (count < rest_.size() && rest_[count] != separator_ && is_blank(rest_[count])) ++count;
    rest_.remove_prefix(count);
}

void RecordReader::take_quoted(std::vector<TextField>& fields) {
    const Index first_line = next_line_;
    std::string_view text = rest_.substr(1);
    std::size_t end = 0;
    bool escaped = false;
    for (;; ++end) {
        end = text.find('"', end);
        if (end == std::string_view::npos)
            throw InputError(fmt::format("{}:{}: a quote (\") is not closed", source_, first_line));
        if (end + 1 == text.size() || text[end + 1] != '"') break;
        escaped = true;
        ++end;
    }
    std::string_view content = text.substr(0, end);
    rest_ = text.substr(end + 1);
    for (std::size_t i = 0; i < content.size(); ++i)
        if (content[i] == '\n' || (content[i] == '\r' && !content.substr(i).starts_with("\r\n")))
            ++next_line_;
    if (escaped) {
        std::string& copy = unescaped_.emplace_back();
        for (std::size_t i = 0; i < content.size(); ++i) {
            copy += content[i];
            if (content[i] == '"') ++i;
        }
        content = copy;
    }
    fields.push_back({trimmed(content), true});
    while (!rest_.empty() && rest_.front() != separator_ && is_blank(rest_.front())) rest_.remove_prefix(1);
    if (!rest_.empty() && !ends_field_[static_cast<unsigned char>(rest_.front())])
        throw InputError(
            fmt::format("{}:{}: column {}: expected a separator after the quoted \"{}\", got \"{}\"", source_,
                        next_line_, fields.size(), printable(content, 40),
                        printable(rest_.substr(0, rest_.find_first_of("\r\n")), 20)));
}

void RecordReader::take_field(std::vector<TextField>& fields) {
    if (!rest_.empty() && rest_.front() == '"') return take_quoted(fields);
    const char* const begin = rest_.data();
    const char* const end = begin + rest_.size();
    const char* at = begin;
    while (at != end && !ends_field_[static_cast<unsigned char>(*at)]) ++at;
    rest_.remove_prefix(static_cast<std::size_t>(at - begin));
    while (at != begin && is_blank(at[-1])) --at;
    fields.push_back({{begin, static_cast<std::size_t>(at - begin)}, false});
}

bool RecordReader::next(std::vector<TextField>& fields) {
    comment_ = {};
    while (!rest_.empty()) {
        const auto first = rest_.find_first_not_of(blank_characters);
        if (first == std::string_view::npos) break;
        if (rest_[first] == '#' || rest_[first] == '%') {
            comment_ = take_line().substr(first + 1);
            ++comments_;
            continue;
        }
        if (is_line_end(rest_[first])) {
            take_line();
            continue;
        }
        fields.clear();
        unescaped_.clear();
        line_ = next_line_;
        for (;;) {
            skip_blanks();
            if (separator_ == blanks)
                rest_.remove_prefix(std::min(rest_.find_first_not_of(blank_characters), rest_.size()));
            if (separator_ == blanks && !fields.empty() && (rest_.empty() || is_line_end(rest_.front())))
                break;
            take_field(fields);
            if (rest_.empty() || is_line_end(rest_.front())) break;
            rest_.remove_prefix(1);
            if (rest_.empty() && separator_ != blanks) {  // a separator at the end of the file
                fields.push_back({});
                break;
            }
        }
        take_line_end();
        const auto has_text = [](const TextField& field) { return !field.text.empty(); };
        if (std::ranges::any_of(fields, has_text)) return true;
    }
    return false;
}

}  // namespace espectra
