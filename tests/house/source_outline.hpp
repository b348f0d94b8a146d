#pragma once

#include <algorithm>
#include <cctype>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

// A rough outline of a C++ source file, from its text alone: enough for a tree that clang-format has
// formatted.

namespace espectra {

/// A type, alias, or variable at namespace scope outside anonymous namespaces; specialisations do not count.
struct Definition {
    std::string name;  ///< with its namespaces
};

/// A function with a body, lambdas within functions excluded. Lines count from 0.
struct Function {
    long first_line = 0, last_line = 0;
};

struct Outline {
    std::vector<Definition> definitions;
    std::vector<Function> functions;
};

inline std::vector<std::string> split_lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// Returns the files of this project that a text includes, relative to the root.
inline std::vector<std::string> included_files(const std::string& text) {
    static const std::regex include("^#include \"espectra/([^\"]+)\"");
    std::vector<std::string> files;
    for (const std::string& line : split_lines(text)) {
        std::smatch match;
        if (std::regex_search(line, match, include)) files.push_back(match[1]);
    }
    return files;
}

/// Returns the text with comments, literals and preprocessor lines blanked out and line breaks kept.
inline std::string code_only(const std::string& text) {
    std::string code = text;
    std::size_t at = 0;
    const auto blank_to = [&](std::size_t end) {
        for (; at < std::min(end, code.size()); ++at)
            if (code[at] != '\n') code[at] = ' ';
    };
    const auto end_of = [&](const std::string& mark, std::size_t from) {
        const std::size_t found = text.find(mark, from);
        return found == std::string::npos ? text.size() : found + mark.size();
    };
    const auto quoted = [&](char quote) {
        std::size_t end = at + 1;
        while (end < text.size() && text[end] != quote && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
        return end + 1;
    };
    const auto line_starts = [&] {
        const std::size_t before = text.find_last_not_of(" \t", at == 0 ? std::string::npos : at - 1);
        return at == 0 || before == std::string::npos || text[before] == '\n';
    };
    while (at < text.size()) {
        const char c = text[at], next = at + 1 < text.size() ? text[at + 1] : '\0';
        const char before = at == 0 ? ' ' : text[at - 1];
        if (c == '/' && next == '/') {
            blank_to(end_of("\n", at) - 1);
        } else if (c == '/' && next == '*') {
            blank_to(end_of("*/", at));
        } else if (c == '"' && before == 'R') {
            const std::size_t open = text.find('(', at);
            std::string closing = text.substr(at, open - at) + '"';
            closing.front() = ')';
            blank_to(end_of(closing, open));
        } else if (c == '"') {
            blank_to(quoted('"'));
        } else if (c == '\'' && !std::isalnum(static_cast<unsigned char>(before))) {
            blank_to(quoted('\''));
        } else if (c == '#' && line_starts()) {
            std::size_t end = end_of("\n", at);
            while (end >= 2 && text[end - 2] == '\\') end = end_of("\n", end);
            blank_to(end - 1);
        } else {
            ++at;
        }
    }
    return code;
}

/// Reads the outline of a file. Follows braces; a statement is the text since the last `;`, `{` or `}`.
class OutlineReader {
  public:
    explicit OutlineReader(const std::string& text) : code_(code_only(text)) {}

    Outline read() {
        for (const char c : code_) {
            if (c == '(') ++parentheses_;
            if (c == ')') --parentheses_;
            if (parentheses_ == 0 && (c == '{' || c == '}' || c == ';')) {
                if (c == '{') open();
                if (c == '}') close();
                if (c == ';' && at_namespace_scope()) define_variables();
                statement_.clear();
            } else if (!(statement_.empty() && std::isspace(static_cast<unsigned char>(c)))) {
                if (statement_.empty()) first_line_ = line_;
                statement_ += c == '\n' ? ' ' : c;
            }
            if (c == '\n') ++line_;
        }
        return outline_;
    }

  private:
    enum class Kind { named_namespace, anonymous_namespace, type, function, other };
    struct Scope {
        Kind kind;
        std::string name;
        std::size_t function;  ///< its index in the outline
    };

    bool at_namespace_scope() const {
        return std::ranges::all_of(scopes_,
                                   [](const Scope& scope) { return scope.kind == Kind::named_namespace; });
    }
    bool in_function() const {
        return std::ranges::any_of(scopes_, [](const Scope& scope) {
            return scope.kind == Kind::function || scope.kind == Kind::other;
        });
    }

    void define(const std::string& name) {
        std::string qualified;
        for (const Scope& scope : scopes_) qualified += scope.name + "::";
        outline_.definitions.push_back({qualified + name});
    }

    void open() {
        static const std::regex name_space("^(?:inline )?namespace *([\\w:]*) *$"),
            type("(?:^|[> ])(?:struct|class|union|enum class|enum)(?: alignas\\([^)]*\\))? +([\\w:]+)( *<)?");
        std::smatch match;
        if (std::regex_search(statement_, match, name_space)) {
            scopes_.push_back(
                {match.length(1) == 0 ? Kind::anonymous_namespace : Kind::named_namespace, match[1], 0});
        } else if (statement_.starts_with("extern")) {
            scopes_.push_back({Kind::anonymous_namespace, "", 0});
        } else if (in_function()) {
            scopes_.push_back({Kind::other, "", 0});
        } else if (statement_.find('(') == std::string::npos && std::regex_search(statement_, match, type)) {
            const std::string name = match[1];  // `A::B` is a member that A declares
            if (at_namespace_scope() && match.length(2) == 0 && name.find(':') == std::string::npos)
                define(name);
            scopes_.push_back({Kind::type, match[1], 0});
        } else if (statement_.find('(') != std::string::npos) {
            outline_.functions.push_back({first_line_, line_});
            scopes_.push_back({Kind::function, "", outline_.functions.size() - 1});
        } else {
            if (at_namespace_scope()) define_variables();
            scopes_.push_back({Kind::other, "", 0});
        }
    }

    void close() {
        if (scopes_.empty()) return;
        if (scopes_.back().kind == Kind::function)
            outline_.functions[scopes_.back().function].last_line = line_;
        scopes_.pop_back();
    }

    /// Defines the names of a declaration of variables or of an alias.
    void define_variables() {
        static const std::regex alias("^(?:template *<.*> *)?using +(\\w+) *="),
            variable("^(?:template *<.*> *)?(?:inline |static |constinit |const |constexpr )+(.*)$"),
            name("(\\w+) *(?:\\[[^\\]]*\\] *)*(?:=|$)");
        std::smatch match;
        if (std::regex_search(statement_, match, alias)) return define(match[1]);
        if (!std::regex_search(statement_, match, variable)) return;
        for (const std::string& part : split_at_commas(match[1])) {
            std::smatch found;
            const std::string declarator = part.substr(0, part.find('='));
            if (declarator.find('(') == std::string::npos && std::regex_search(declarator, found, name))
                define(found[1]);
        }
    }

    /// Splits a text at the commas that no bracket encloses.
    static std::vector<std::string> split_at_commas(const std::string& text) {
        std::vector<std::string> parts(1);
        int depth = 0;
        bool value = false;  // after `=`, where `<` compares
        for (const char c : text) {
            if (c == '=') value = true;
            if (c == '(' || c == '[' || c == '{' || (c == '<' && !value)) ++depth;
            if (c == ')' || c == ']' || c == '}' || (c == '>' && !value)) --depth;
            if (c == ',' && depth == 0) {
                parts.emplace_back();
                value = false;
            } else {
                parts.back() += c;
            }
        }
        return parts;
    }

    std::string code_, statement_;
    std::vector<Scope> scopes_;
    Outline outline_;
    long line_ = 0, first_line_ = 0;
    int parentheses_ = 0;
};

inline Outline outline(const std::string& text) { return OutlineReader(text).read(); }

}  // namespace espectra
