#include "ptx/program/program.hpp"

#include "ptx/parser/module_source.hpp"
#include "ptx/parser/tokens.hpp"
#include "ptx/program/forms.hpp"
#include "support/demangled.hpp"
#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

namespace espectra::ptx {

namespace {

/// Returns a mangled name in readable form: without result, arguments and namespace.
std::string readable_name(const std::string& symbol) {
    std::string name = espectra::test::demangled(symbol);
    if (name.starts_with("void ")) name.erase(0, 5);
    int depth = 0;
    for (std::size_t i = 0; i < name.size(); ++i) {
        depth += name[i] == '<' ? 1 : name[i] == '>' ? -1 : 0;
        if (name[i] == '(' && depth == 0) name.resize(i);
    }
    for (std::size_t i; (i = name.find("espectra::")) != std::string::npos;) name.erase(i, 10);
    return name;
}

/// Decodes the instructions of one kernel.
class Decoder {
  public:
    Decoder(const SourceModule& module, const SourceEntry& entry) : module_(module), entry_(entry) {
        program_.symbol = entry.name;
        program_.name = readable_name(entry.name);
        program_.file = module.file;
        program_.most_threads = entry.most_threads;
        for (const SourceParameter& parameter : entry.parameters) {
            const std::size_t alignment = std::max<std::size_t>(parameter.alignment, 1);
            const std::size_t offset = (program_.parameter_bytes + alignment - 1) / alignment * alignment;
            program_.parameters.push_back({parameter.name, offset, parameter.bytes});
            program_.parameter_bytes = offset + parameter.bytes;
        }
    }

    Program program() {
        for (const SourceInstruction& instruction : entry_.instructions) decode(instruction);
        if (program_.instructions.empty()) fail_at(module_.file, entry_.line, "no instructions", entry_.name);
        const Instruction& last = program_.instructions.back();
        if (last.guard >= 0 || (last.operation != Operation::ret && last.operation != Operation::bra))
            fail("execution runs past the last instruction");
        return std::move(program_);
    }

  private:
    [[noreturn]] void fail(const std::string& message) const {
        fail_at(module_.file, text_->line, message, text_->text);
    }

    void decode(const SourceInstruction& text) {
        text_ = &text;
        const auto form = forms().find(text.opcode);
        if (form == forms().end()) fail("unknown instruction " + text.opcode);
        instruction_ = Instruction{.operation = form->second.operation,
                                   .type = form->second.type,
                                   .source = form->second.source,
                                   .comparison = form->second.comparison,
                                   .space = form->second.space,
                                   .guard_negated = text.guard_negated,
                                   .line = text.line};
        if (!text.guard.empty()) instruction_.guard = register_named(text.guard, 1, 1);
        operands(form->second);
        program_.instructions.push_back(instruction_);
        program_.texts.push_back(text.text);
    }

    void operands(const Form& form) {
        const int bits = bits_of(form.type);
        switch (form.operation) {
            case Operation::mov:
                move(bits);
                break;
            case Operation::add:
            case Operation::sub:
            case Operation::mul:
            case Operation::div:
            case Operation::min:
            case Operation::max:
            case Operation::and_:
            case Operation::or_:
            case Operation::xor_:
            case Operation::copysign:
                plain(bits, {bits, bits});
                break;
            case Operation::mul_wide:
                plain(2 * bits, {bits, bits});
                break;
            case Operation::mad:
            case Operation::fma:
                plain(bits, {bits, bits, bits});
                break;
            case Operation::neg:
            case Operation::abs:
            case Operation::not_:
            case Operation::rcp:
            case Operation::sqrt:
            case Operation::cvta:
                plain(bits, {bits});
                break;
            case Operation::shl:
            case Operation::shr:
                plain(bits, {bits, 32});
                break;
            case Operation::setp:
                plain(1, {bits, bits});
                break;
            case Operation::selp:
                plain(bits, {bits, bits, 1});
                break;
            case Operation::cvt:
                convert(form);
                break;
            case Operation::ld:
            case Operation::st:
                memory_access(form);
                break;
            case Operation::bra:
                branch();
                break;
            case Operation::bar_sync:
                barrier();
                break;
            case Operation::ret:
                expect_operands(0);
                break;
            case Operation::mma_m16n8k4:
                matrix_product(4, 2);
                break;
            case Operation::mma_m8n8k4:
                matrix_product(2, 1);
                break;
            case Operation::pack:
            case Operation::unpack:
                break;  // forms of mov
        }
    }

    void expect_operands(std::size_t count) const {
        if (text_->operands.size() != count)
            fail("expected " + std::to_string(count) + " operands, not " +
                 std::to_string(text_->operands.size()));
    }
    void write(int index) { instruction_.results[instruction_.written_count++] = index; }
    void read(int index) { instruction_.operands[instruction_.read_count++] = index; }

    /// Decodes one result and operands of these widths.
    void plain(int result_bits, const std::vector<int>& operand_bits) {
        expect_operands(1 + operand_bits.size());
        write(result(text_->operands[0], result_bits, result_bits));
        for (std::size_t i = 0; i < operand_bits.size(); ++i)
            read(operand(text_->operands[i + 1], operand_bits[i], operand_bits[i]));
    }

    void move(int bits) {
        expect_operands(2);
        const SourceOperand& to = text_->operands[0];
        const SourceOperand& from = text_->operands[1];
        if (from.kind == SourceOperand::Kind::vector || to.kind == SourceOperand::Kind::vector) {
            const bool pack = from.kind == SourceOperand::Kind::vector;
            const std::vector<SourceOperand>& halves = pack ? from.elements : to.elements;
            const SourceOperand& whole = pack ? to : from;
            if (instruction_.type != Type::b64 || halves.size() != 2 ||
                whole.kind == SourceOperand::Kind::vector)
                fail("mov of vectors is known for 64 = 32 + 32 bits alone");
            instruction_.operation = pack ? Operation::pack : Operation::unpack;
            if (pack) {
                write(result(whole, 64, 64));
                for (const SourceOperand& half : halves) read(operand(half, 32, 32));
            } else {
                for (const SourceOperand& half : halves) write(result(half, 32, 32));
                read(operand(whole, 64, 64));
            }
        } else {
            write(result(to, bits, bits));
            read(from.kind == SourceOperand::Kind::name && from.name.front() != '%'
                     ? symbol(from.name, bits)
                     : operand(from, bits, bits));
        }
    }

    /// Decodes cvt. Its result and operand may be registers that are wider than the type, as those of ld and
    /// st.
    void convert(const Form& form) {
        expect_operands(2);
        write(result(text_->operands[0], bits_of(form.type), 64));
        read(operand(text_->operands[1], bits_of(form.source), 64));
    }

    void memory_access(const Form& form) {
        expect_operands(2);
        const bool load = form.operation == Operation::ld;
        const SourceOperand& address = text_->operands[load ? 1 : 0];
        const SourceOperand& values = text_->operands[load ? 0 : 1];
        if (address.kind != SourceOperand::Kind::address) fail("expected an address in brackets");
        instruction_.offset = address.offset;
        if (address.name.front() != '%') {
            read(symbol(address.name, form.space == Space::shared ? 32 : 64));
        } else {
            const int bits = bits_of_register(address.name);
            if (bits < 32 || (bits < 64 && form.space != Space::shared))
                fail("the register of the address is too narrow");
            read(register_named(address.name, bits, bits));
        }
        const bool vector = values.kind == SourceOperand::Kind::vector;
        const std::vector<SourceOperand> elements =
            vector ? values.elements : std::vector<SourceOperand>{values};
        if (vector != (form.elements > 1) || std::ssize(elements) != form.elements)
            fail("expected " + std::to_string(form.elements) + " elements");
        const int bits = bits_of(form.type);
        for (const SourceOperand& element : elements)
            if (load)
                write(result(element, bits, 64));
            else
                read(operand(element, bits, 64));
    }

    void branch() {
        expect_operands(1);
        const auto label = entry_.labels.find(text_->operands[0].name);
        if (label == entry_.labels.end()) fail("no such label");
        if (label->second == std::ssize(entry_.instructions)) fail("no instruction follows the label");
        instruction_.target = label->second;
    }

    void barrier() {
        expect_operands(1);
        const SourceOperand& number = text_->operands[0];
        if (number.kind != SourceOperand::Kind::number || number.value != 0) fail("only barrier 0 is known");
        if (instruction_.guard >= 0) fail("a guarded barrier");
        program_.barriers.push_back(static_cast<int>(program_.instructions.size()));
    }

    /// Decodes mma: D, A, B and C in braces, with this number of elements of C and D, and of A.
    void matrix_product(std::size_t sums, std::size_t factors) {
        expect_operands(4);
        const std::size_t sizes[] = {sums, factors, 1, sums};
        for (std::size_t i = 0; i < 4; ++i) {
            const SourceOperand& fragment = text_->operands[i];
            if (fragment.kind != SourceOperand::Kind::vector || fragment.elements.size() != sizes[i])
                fail("expected fragments of " + std::to_string(sums) + ", " + std::to_string(factors) +
                     ", 1 and " + std::to_string(sums) + " elements");
            for (const SourceOperand& element : fragment.elements)
                if (i == 0)
                    write(result(element, 64, 64));
                else
                    read(operand(element, 64, 64));
        }
    }

    int result(const SourceOperand& text, int least_bits, int most_bits) {
        if (text.kind != SourceOperand::Kind::name) fail("expected a register for the result");
        const int index = register_named(text.name, least_bits, most_bits);
        if (program_.register_at(index).kind != Register::Kind::variable)
            fail("the result is a special register");
        return index;
    }

    int operand(const SourceOperand& text, int least_bits, int most_bits) {
        if (text.kind == SourceOperand::Kind::name) return register_named(text.name, least_bits, most_bits);
        if (text.kind != SourceOperand::Kind::number) fail("expected a register or a number");
        if (text.is_double !=
            (instruction_.type == Type::f64 && least_bits == 64 && instruction_.operation != Operation::cvt))
            fail("integers and floating-point numbers are mixed");
        return constant(text.value, least_bits);
    }

    /// Returns the register that holds a value. Values that a signed or unsigned number of this width does
    /// not represent are errors.
    int constant(std::uint64_t value, int bits) {
        const std::uint64_t mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
        const std::uint64_t sign = ~(mask >> 1);  // the sign bit and all above it
        if ((value & ~mask) != 0 && (value & sign) != sign) fail("the number is too large for the type");
        value &= mask;
        const auto [found, is_new] = constants_.try_emplace({value, bits}, std::ssize(program_.registers));
        if (is_new)
            program_.registers.push_back({std::to_string(value), bits, Register::Kind::constant, value});
        return found->second;
    }

    /// Returns the register that holds the address of the dynamic shared memory, or the offset of a
    /// parameter.
    int symbol(const std::string& name, int bits) {
        if (name == module_.shared_array) return constant(shared_memory_start, bits);
        for (const Parameter& parameter : program_.parameters)
            if (parameter.name == name) return constant(parameter.offset, bits);
        fail("no such array or parameter: " + name);
    }

    /// Returns the declared width of a register, or 0.
    int declared_bits(const std::string& name) const {
        const auto single = entry_.registers.find(name);
        if (single != entry_.registers.end() && single->second.count == 0) return single->second.bits;
        std::size_t digits = name.size();
        while (digits > 0 && std::isdigit(static_cast<unsigned char>(name[digits - 1]))) --digits;
        const auto many = entry_.registers.find(name.substr(0, digits));
        if (many == entry_.registers.end() || digits == name.size() || name.size() - digits > 9) return 0;
        return std::stoi(name.substr(digits)) < many->second.count ? many->second.bits : 0;
    }

    int bits_of_register(const std::string& name) const {
        if (name == "%tid.x" || name == "%ctaid.x") return 32;
        const int bits = declared_bits(name);
        if (bits == 0) fail("no such register: " + name);
        return bits;
    }

    int register_named(const std::string& name, int least_bits, int most_bits) {
        if (name.front() != '%') fail("expected a register, not " + name);
        const int bits = bits_of_register(name);
        if (bits < least_bits || bits > most_bits)
            fail(name + " has " + std::to_string(bits) + " bits, expected " + std::to_string(least_bits));
        const auto [found, is_new] = numbers_.try_emplace(name, std::ssize(program_.registers));
        if (is_new) {
            const Register::Kind kind = name == "%tid.x"     ? Register::Kind::thread_index
                                        : name == "%ctaid.x" ? Register::Kind::block_index
                                                             : Register::Kind::variable;
            program_.registers.push_back({name.substr(1), bits, kind, 0});
        }
        return found->second;
    }

    const SourceModule& module_;
    const SourceEntry& entry_;
    Program program_;
    const SourceInstruction* text_ = nullptr;
    Instruction instruction_;
    std::map<std::string, int> numbers_;                      ///< of named registers
    std::map<std::pair<std::uint64_t, int>, int> constants_;  ///< by value and width
};

}  // namespace

std::vector<int> Program::successors(int index) const {
    const Instruction& from = instruction(index);
    const bool ends = from.operation == Operation::ret || from.operation == Operation::bra;
    std::vector<int> next;
    if (from.operation == Operation::bra) next.push_back(from.target);
    if (!ends || from.guard >= 0) next.push_back(index + 1);
    return next;
}

std::vector<Program> parse_module(const std::string& text, const std::string& file) {
    const SourceModule module = parse_source(text, file);
    std::vector<Program> programs;
    for (const SourceEntry& entry : module.entries) programs.push_back(Decoder(module, entry).program());
    return programs;
}

}  // namespace espectra::ptx
