#include "ptx/parser/module_source.hpp"

#include "ptx/parser/tokens.hpp"
#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>
#include <string_view>
#include <vector>

namespace espectra::ptx {

namespace {

/// Returns the width of a register of this type; 0 if it is no type of a register.
int register_bits(std::string_view type) {
    if (type == ".pred") return 1;
    for (const int bits : {16, 32, 64})
        for (const std::string kind : {".b", ".u", ".s"})
            if (type == kind + std::to_string(bits)) return bits;
    return type == ".f64" ? 64 : 0;
}

/// Returns the lines of a text, without surrounding space.
std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::string_view line = text.substr(begin, end - begin);
        const std::size_t first = line.find_first_not_of(" \t\r");
        lines.emplace_back();
        if (first != std::string_view::npos)
            lines.back() = line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
        begin = end + 1;
    }
    return lines;
}

/// Reads a module from its tokens. `position_` is that of the next token.
class Reader {
  public:
    Reader(std::string_view text, const std::string& file)
        : lines_(lines_of(text)), tokens_(tokens_of(text, file)) {
        module_.file = file;
    }

    SourceModule module() {
        while (peek().kind != Token::Kind::end) module_directive();
        return std::move(module_);
    }

  private:
    const Token& peek() const { return tokens_[position_]; }
    Token next() {
        const Token token = tokens_[position_];
        if (token.kind != Token::Kind::end) ++position_;
        return token;
    }
    bool accept(std::string_view text) {
        if (peek().kind == Token::Kind::quoted || peek().text != text) return false;
        next();
        return true;
    }
    void expect(std::string_view text) {
        if (!accept(text)) fail("expected " + std::string(text) + " before " + std::string(peek().text));
    }
    std::string word() {
        if (peek().kind != Token::Kind::word) fail("expected a name before " + std::string(peek().text));
        return std::string(next().text);
    }
    std::int64_t natural_number() {
        const std::string digits = word();
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc{} || end != digits.data() + digits.size()) fail("no number: " + digits);
        return value;
    }

    std::string line_text(int line) const { return lines_.at(static_cast<std::size_t>(line) - 1); }
    /// Marks the begin of a directive, a parameter or a statement, which errors name.
    void begin() { line_ = peek().line; }
    [[noreturn]] void fail(const std::string& message) const {
        fail_at(module_.file, line_, message, line_text(line_));
    }

    void module_directive() {
        begin();
        const Token directive = peek();
        if (accept(".version") || accept(".target") || accept(".address_size")) {
            const std::string value = word();
            if (directive.text == ".address_size" && value != "64") fail("addresses must have 64 bits");
        } else if (accept(".extern")) {
            shared_array();
        } else if (accept(".visible")) {
            expect(".entry");
            entry(directive.line);
        } else {
            fail("unknown directive " + std::string(directive.text));
        }
    }

    /// .extern .shared .align 16 .b8 name[];
    void shared_array() {
        expect(".shared");
        expect(".align");
        if (natural_number() > 16) fail("shared memory is aligned to at most 16 bytes");
        expect(".b8");
        if (!module_.shared_array.empty()) fail("a second array in dynamic shared memory");
        module_.shared_array = word();
        for (const char* token : {"[", "]", ";"}) expect(token);
    }

    void entry(int line) {
        entry_ = SourceEntry{};
        entry_.line = line;
        entry_.name = word();
        expect("(");
        while (!accept(")")) {
            parameter();
            if (peek().text != ")") expect(",");
        }
        while (!accept("{")) entry_directive();
        scopes_ = {{0, {}}};
        scope_count_ = 0;
        while (!scopes_.empty()) statement();
        module_.entries.push_back(std::move(entry_));
    }

    /// .param .align 8 .b8 name[56]  or  .param .u64 name
    void parameter() {
        begin();
        expect(".param");
        SourceParameter parameter;
        if (accept(".align")) {
            parameter.alignment = static_cast<std::size_t>(natural_number());
            expect(".b8");
            parameter.name = word();
            expect("[");
            parameter.bytes = static_cast<std::size_t>(natural_number());
            expect("]");
        } else {
            const int bits = register_bits(peek().text);
            if (bits < 16) fail("unknown type of a parameter");
            next();
            parameter.name = word();
            parameter.alignment = parameter.bytes = static_cast<std::size_t>(bits / 8);
        }
        entry_.parameters.push_back(parameter);
    }

    void entry_directive() {
        begin();
        if (accept(".maxntid")) {
            entry_.most_threads = static_cast<int>(natural_number());
            while (accept(","))
                if (natural_number() != 1) fail("blocks must have one dimension");
        } else if (accept(".minnctapersm")) {
            natural_number();
        } else {
            fail("unknown directive " + std::string(peek().text));
        }
    }

    void statement() {
        begin();
        if (accept("{")) {
            scopes_.push_back({++scope_count_, {}});
        } else if (accept("}")) {
            scopes_.pop_back();
        } else if (accept(".reg")) {
            register_declaration();
        } else if (accept(".pragma")) {
            pragma();
        } else if (peek().kind == Token::Kind::word && tokens_[position_ + 1].text == ":") {
            const std::string label = word();
            expect(":");
            if (!entry_.labels.try_emplace(label, static_cast<int>(entry_.instructions.size())).second)
                fail("a second label " + label);
        } else if (peek().kind == Token::Kind::word && peek().text.front() == '.') {
            fail("unknown directive " + std::string(peek().text));
        } else {
            instruction();
        }
    }

    /// .reg .b32 %r<9>;  or  .reg .u64 %tmp;
    void register_declaration() {
        const int bits = register_bits(peek().text);
        if (bits == 0) fail("unknown type of a register");
        next();
        std::string name = word();
        if (name.front() != '%') fail("a register must begin with %");
        int count = 0;
        if (accept("<")) {
            count = static_cast<int>(natural_number());
            expect(">");
        }
        if (scopes_.back().number > 0) {
            scopes_.back().names.insert(name);
            name.append("#").append(std::to_string(scopes_.back().number));
        }
        if (!entry_.registers.try_emplace(name, SourceRegisters{bits, count}).second)
            fail("a second declaration of " + name);
        expect(";");
    }

    /// "nounroll" is for ptxas. "used_bytes_mask" tells that only some bytes of the next load are needed,
    /// which matters for loads of memory that may be uninitialised, unlike parameters.
    void pragma() {
        const std::string_view value = next().text;
        expect(";");
        if (value == "nounroll") return;
        if (!value.starts_with("used_bytes_mask ")) fail("unknown pragma " + std::string(value));
        if (!peek().text.starts_with("ld.param."))
            fail("used_bytes_mask before another instruction than ld.param");
    }

    void instruction() {
        SourceInstruction instruction;
        instruction.line = peek().line;
        instruction.text = line_text(peek().line);
        if (accept("@")) {
            instruction.guard_negated = accept("!");
            instruction.guard = resolved(word());
        }
        instruction.opcode = word();
        while (!accept(";")) {
            instruction.operands.push_back(operand());
            if (peek().text != ";") expect(",");
        }
        entry_.instructions.push_back(std::move(instruction));
    }

    SourceOperand operand() {
        SourceOperand operand;
        if (accept("[")) {
            operand = simple_operand();
            if (operand.kind != SourceOperand::Kind::name) fail("an address must begin with a name");
            operand.kind = SourceOperand::Kind::address;
            if (accept("+")) {
                const bool negative = accept("-");
                operand.offset = natural_number();
                if (negative) operand.offset = -operand.offset;
            }
            expect("]");
        } else if (accept("{")) {
            operand.kind = SourceOperand::Kind::vector;
            while (!accept("}")) {
                operand.elements.push_back(simple_operand());
                if (peek().text != "}") expect(",");
            }
        } else {
            operand = simple_operand();
        }
        return operand;
    }

    /// Reads a name or a number.
    SourceOperand simple_operand() {
        SourceOperand operand;
        const bool negative = accept("-");
        const std::string text = word();
        if (!std::isdigit(static_cast<unsigned char>(text.front()))) {
            if (negative) fail("a minus before a name");
            operand.name = resolved(text);
            return operand;
        }
        operand.kind = SourceOperand::Kind::number;
        operand.is_double = text.starts_with("0d");
        const bool hexadecimal = operand.is_double || text.starts_with("0x");
        const char* begin = text.data() + (hexadecimal ? 2 : 0);
        const auto [end, error] =
            std::from_chars(begin, text.data() + text.size(), operand.value, hexadecimal ? 16 : 10);
        if (error != std::errc{} || end != text.data() + text.size() ||
            (operand.is_double && text.size() != 18))
            fail("no number: " + text);
        if (negative) operand.value = -operand.value;
        return operand;
    }

    /// Returns the unique name of a register that may have been declared in an inner scope.
    std::string resolved(const std::string& name) const {
        if (name.front() == '%')
            for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
                if (scope->names.contains(name)) return name + "#" + std::to_string(scope->number);
        return name;
    }

    struct Scope {
        int number = 0;
        std::set<std::string> names;  ///< of registers, without the number
    };

    std::vector<std::string> lines_;
    std::vector<Token> tokens_;
    std::size_t position_ = 0;
    int line_ = 1;  ///< where the directive or statement begins
    SourceModule module_;
    SourceEntry entry_;
    std::vector<Scope> scopes_;
    int scope_count_ = 0;
};

}  // namespace

SourceModule parse_source(const std::string& text, const std::string& file) {
    return Reader(text, file).module();
}

}  // namespace espectra::ptx
