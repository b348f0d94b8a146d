#include "ptx/instructions/instruction_shape.hpp"

#include <cctype>
#include <sstream>
#include <string>

namespace espectra::ptx::test {

namespace {

std::string trimmed(const std::string& text) {
    const auto begin = text.find_first_not_of(" \t\r");
    return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// Returns the statement without its guard, and the guard's form, "@p " or "@!p ", in `guard`.
std::string without_guard(const std::string& statement, std::string& guard) {
    const std::string text = trimmed(statement);
    guard.clear();
    if (!text.starts_with("@")) return text;
    guard = text.starts_with("@!") ? "@!p " : "@p ";
    return trimmed(text.substr(text.find_first_of(" \t")));
}

/// Returns the kind of one operand or of one part of an address or vector.
std::string kind_of(const std::string& token) {
    if (token.starts_with("%tid.") || token.starts_with("%ctaid.")) return token;
    if (token.starts_with("%rs")) return "h";
    if (token.starts_with("%rd") || token == "%tmp") return "d";
    if (token.starts_with("%fd")) return "f";
    if (token.starts_with("%r")) return "r";
    if (token.starts_with("%p")) return "p";
    if (token.starts_with("%")) return token;
    if (token.starts_with("0d")) return "x";
    if (token.starts_with("$")) return "l";
    if (token.starts_with("-") || std::isdigit(static_cast<unsigned char>(token.front()))) return "i";
    return "s";
}

}  // namespace

std::string opcode_of(const std::string& statement) {
    std::string guard;
    const std::string text = without_guard(statement, guard);
    return text.substr(0, text.find_first_of(" \t"));
}

std::string shape_of(const std::string& statement) {
    std::string guard;
    const std::string text = without_guard(statement, guard);
    const auto space = text.find_first_of(" \t");
    std::string shape = guard + text.substr(0, space);
    if (space == std::string::npos) return shape;
    shape += ' ';
    std::string token;
    const auto flush = [&] {
        if (!token.empty()) shape += kind_of(token);
        token.clear();
    };
    for (const char c : text.substr(space)) {
        if (c == ' ' || c == '\t') continue;
        if (c == ',' || c == '[' || c == ']' || c == '{' || c == '}' || c == '+') {
            flush();
            shape += c;
        } else {
            token += c;
        }
    }
    flush();
    return shape;
}

std::map<std::string, int> shapes_in(const std::string& module_text) {
    std::map<std::string, int> shapes;
    std::istringstream lines(module_text);
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        line = trimmed(line.substr(0, line.find("//")));
        // Inline assembler comes in braces of its own: "{ .reg .u64 %tmp;" … "… ; }".
        if (line.starts_with("{") && line.find(';') != std::string::npos) line = trimmed(line.substr(1));
        while (line.ends_with("}") && line.find(';') != std::string::npos)
            line = trimmed(line.substr(0, line.size() - 1));
        std::istringstream statements(line);
        std::string statement;
        while (std::getline(statements, statement, ';')) {
            statement = trimmed(statement);
            const bool instruction =
                !statement.empty() &&
                (statement.front() == '@' || std::islower(static_cast<unsigned char>(statement.front())));
            // A statement ends in a semicolon, a label in a colon.
            if (instruction && line.find(';') != std::string::npos)
                shapes.try_emplace(shape_of(statement), number);
        }
    }
    return shapes;
}

}  // namespace espectra::ptx::test
