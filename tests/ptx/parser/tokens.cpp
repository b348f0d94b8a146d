#include "ptx/parser/tokens.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace espectra::ptx {

namespace {

bool is_word_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.';
}

/// Returns the position of `end` from `position` on, or the text's length.
std::size_t find_or_end(std::string_view text, std::string_view end, std::size_t position) {
    return std::min(text.find(end, position), text.size());
}

}  // namespace

void fail_at(const std::string& file, int line, const std::string& message, const std::string& text) {
    throw std::runtime_error(file + ":" + std::to_string(line) + ": " + message + ": " + text);
}

std::vector<Token> tokens_of(std::string_view text, const std::string& file) {
    std::vector<Token> tokens;
    int line = 1;
    std::size_t i = 0;
    while (i < text.size()) {
        const char c = text[i];
        std::size_t end = i + 1;
        if (c == '\n') {
            ++line;
        } else if (std::isspace(static_cast<unsigned char>(c))) {
        } else if (text.substr(i, 2) == "//") {
            end = find_or_end(text, "\n", i);
        } else if (text.substr(i, 2) == "/*") {
            end = std::min(find_or_end(text, "*/", i + 2) + 2, text.size());
            line += static_cast<int>(
                std::count(text.begin() + static_cast<long>(i), text.begin() + static_cast<long>(end), '\n'));
        } else if (c == '"') {
            const std::size_t close = find_or_end(text, "\"", i + 1);
            tokens.push_back({Token::Kind::quoted, text.substr(i + 1, close - i - 1), line});
            end = std::min(close + 1, text.size());
        } else if (is_word_character(c)) {
            while (end < text.size() && is_word_character(text[end])) ++end;
            tokens.push_back({Token::Kind::word, text.substr(i, end - i), line});
        } else if (std::string_view(",;:(){}[]<>@!+-|=").find(c) != std::string_view::npos) {
            tokens.push_back({Token::Kind::punctuation, text.substr(i, 1), line});
        } else {
            fail_at(file, line, "no token begins with this character", std::string(1, c));
        }
        i = end;
    }
    tokens.push_back({Token::Kind::end, "end of the file", line});
    return tokens;
}

}  // namespace espectra::ptx
