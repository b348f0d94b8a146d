#include "ptx/instructions/form_test.hpp"

#include <fmt/format.h>

#include "ptx/execution/kernel.hpp"
#include "ptx/instructions/instruction_shape.hpp"
#include "ptx/memory/device_memory.hpp"
#include "ptx/program/program.hpp"
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace espectra::ptx::test {

namespace {

/// The sources that are written as immediate operands, a bit each.
using Immediates = unsigned;

// Registers of every kind: the result, and the guard of the statement.
constexpr int result_register = 30, guard_register = 29;

/// Returns a literal as nvcc writes it: integers in decimal with a sign, doubles by their bits.
std::string literal_of(Kind kind, std::uint64_t bits) {
    switch (kind) {
        case Kind::pred:
            return bits == 0 ? "0" : "-1";
        case Kind::b16:
            return fmt::format("{}", static_cast<std::int16_t>(bits));
        case Kind::b32:
            return fmt::format("{}", static_cast<std::int32_t>(bits));
        case Kind::b64:
            return fmt::format("{}", static_cast<std::int64_t>(bits));
        case Kind::f64:
            return fmt::format("0d{:016X}", bits);
    }
    return "";
}

/// Returns the statement with its operands; source k is a register k + 1 of its kind, or the literal of
/// `values[k]`.
std::string statement_of(const FormTest& test, Immediates immediates, const Case& values) {
    std::string text = test.statement;
    if (text.empty()) {
        text = test.form + " \t$d";
        for (std::size_t k = 0; k < test.sources.size(); ++k)
            text += fmt::format(", ${}", static_cast<char>('a' + k));
    }
    const auto replace = [&](const std::string& name, const std::string& operand) {
        for (auto at = text.find(name); at != std::string::npos; at = text.find(name))
            text.replace(at, name.size(), operand);
    };
    replace("$d", register_of(test.result, result_register));
    for (std::size_t k = 0; k < test.sources.size(); ++k) {
        const Kind kind = test.sources[k];
        replace(fmt::format("${}", static_cast<char>('a' + k)),
                immediates >> k & 1 ? literal_of(kind, values[k].value & mask_of(kind))
                                    : register_of(kind, static_cast<int>(k) + 1));
    }
    return text + ";\n";
}

constexpr const char *input_address = "%rd39", *output_address = "%rd38";

/// Sets these registers to the addresses of the input and the output of this thread.
std::string addresses(std::size_t input_bytes) {
    return fmt::format(
        "ld.param.u64 %rd37, [tested_param_0];\n"
        "cvta.to.global.u64 %rd36, %rd37;\n"
        "ld.param.u64 %rd35, [tested_param_0+8];\n"
        "cvta.to.global.u64 %rd34, %rd35;\n"
        "mov.u32 %r39, %tid.x;\n"
        "mul.wide.u32 %rd33, %r39, {};\n"
        "add.s64 %rd39, %rd36, %rd33;\n"
        "mul.wide.u32 %rd32, %r39, 8;\n"
        "add.s64 %rd38, %rd34, %rd32;\n",
        input_bytes);
}

/// Returns a body that executes the statement with registers, in each thread for one case. The input has the
/// sources of a thread, then the guard of the statement, then the value of the result before.
std::string body_with_registers(const FormTest& test) {
    const std::size_t count = test.sources.size();
    std::string body = addresses(8 * (count + 2));
    for (std::size_t k = 0; k < count; ++k)
        body += load_register(test.sources[k], static_cast<int>(k) + 1, input_address, 8 * k);
    body += load_register(Kind::pred, guard_register, input_address, 8 * count);
    body += load_register(test.result, result_register, input_address, 8 * (count + 1));
    body += fmt::format("@{} {}", register_of(Kind::pred, guard_register), statement_of(test, 0, {}));
    return body + store_register(test.result, result_register, output_address, 0) + "ret;\n";
}

/// Returns a body that executes the statement for one case after the other in one thread.
std::string body_with_immediates(const FormTest& test, Immediates immediates) {
    std::string body = addresses(0);
    for (std::size_t i = 0; i < test.cases.size(); ++i) {
        for (std::size_t k = 0; k < test.sources.size(); ++k)
            if (!(immediates >> k & 1))
                body += load_register(test.sources[k], static_cast<int>(k) + 1, input_address,
                                      8 * (i * test.sources.size() + k));
        body += statement_of(test, immediates, test.cases[i]) +
                store_register(test.result, result_register, output_address, 8 * i);
    }
    return body + "ret;\n";
}

/// Returns true if source k can be an immediate operand.
bool takes_literal(const FormTest& test, std::size_t k) {
    if (test.form == "mov.pred") return true;
    if (!test.statement.empty() || test.form.starts_with("cvt")) return false;
    if (test.form == "mov.b64" && test.sources[k] != test.result) return false;
    return test.sources[k] != Kind::pred;
}

/// Returns the sets of sources that check() writes as immediate operands, the empty one first: all sets of
/// sources that are neither predicates nor converted, packed or moved to registers of another kind.
std::vector<Immediates> immediates_of(const FormTest& test) {
    std::vector<Immediates> sets;
    for (Immediates set = 0; set < 1u << test.sources.size(); ++set) {
        bool possible = true;
        for (std::size_t k = 0; k < test.sources.size(); ++k)
            if (set >> k & 1) possible = possible && takes_literal(test, k);
        if (possible) sets.push_back(set);
    }
    return sets;
}

void expect_result(const FormTest& test, Immediates immediates, std::size_t number, std::uint64_t found) {
    const Case& values = test.cases[number];
    const Bits& expected = values.back();
    const std::uint64_t value = expected.value & mask_of(test.result);
    EXPECT_TRUE(expected.any_nan ? std::isnan(std::bit_cast<double>(found)) : found == value)
        << statement_of(test, immediates, values) << "case " << number << ": "
        << fmt::format("found {:#018x}, expected {}", found,
                       expected.any_nan ? "a NaN" : fmt::format("{:#018x}", value));
}

/// Executes the cases, repeated, in `threads` threads; the statement is left out where `enabled` is false.
template <class Enabled>
void check_registers(const FormTest& test, Dialect dialect, std::size_t threads, Enabled&& enabled) {
    constexpr std::uint64_t before = 0x5a5a5a5a5a5a5a5a;
    KernelRun run;
    for (std::size_t t = 0; t < threads; ++t) {
        const Case& values = test.cases[t % test.cases.size()];
        for (std::size_t k = 0; k < test.sources.size(); ++k) run.input.push_back(values[k].value);
        run.input.push_back(enabled(t) ? 1 : 0);
        run.input.push_back(before);
    }
    run.output.assign(threads, 0);
    run.threads = static_cast<int>(threads);
    execute(body_with_registers(test), run, dialect);
    const std::uint64_t unchanged = test.result == Kind::pred ? 1 : before & mask_of(test.result);
    for (std::size_t t = 0; t < threads; ++t)
        if (enabled(t))
            expect_result(test, 0, t % test.cases.size(), run.output[t]);
        else
            EXPECT_EQ(run.output[t], unchanged) << test.form << " changed the result of thread " << t;
}

void check_immediates(const FormTest& test, Dialect dialect, Immediates immediates) {
    KernelRun run;
    for (const Case& values : test.cases)
        for (std::size_t k = 0; k < test.sources.size(); ++k) run.input.push_back(values[k].value);
    run.output.assign(test.cases.size(), 0xfeedfeedfeedfeed);
    execute(body_with_immediates(test, immediates), run, dialect);
    for (std::size_t i = 0; i < test.cases.size(); ++i) expect_result(test, immediates, i, run.output[i]);
}

}  // namespace

FormTest same_kind(const std::string& form, std::vector<Case> cases) {
    const std::string type = form.substr(form.rfind('.') + 1);
    const Kind kind = type == "pred"         ? Kind::pred
                      : type == "f64"        ? Kind::f64
                      : type.ends_with("16") ? Kind::b16
                      : type.ends_with("32") ? Kind::b32
                                             : Kind::b64;
    const std::size_t sources = cases.front().size() - 1;
    return {form, kind, std::vector<Kind>(sources, kind), std::move(cases)};
}

std::vector<FormTest> joined(std::initializer_list<std::vector<FormTest>> groups) {
    std::vector<FormTest> all;
    for (const std::vector<FormTest>& group : groups) all.insert(all.end(), group.begin(), group.end());
    return all;
}

std::string register_of(Kind kind, int number) {
    switch (kind) {
        case Kind::pred:
            return fmt::format("%p{}", number);
        case Kind::b16:
            return fmt::format("%rs{}", number);
        case Kind::b32:
            return fmt::format("%r{}", number);
        case Kind::b64:
            return fmt::format("%rd{}", number);
        case Kind::f64:
            return fmt::format("%fd{}", number);
    }
    return "";
}

std::uint64_t mask_of(Kind kind) {
    switch (kind) {
        case Kind::pred:
            return 1;
        case Kind::b16:
            return 0xffff;
        case Kind::b32:
            return 0xffffffff;
        case Kind::b64:
        case Kind::f64:
            break;
    }
    return ~std::uint64_t{0};
}

std::string load_register(Kind kind, int number, const std::string& address, std::size_t offset) {
    const std::string target = register_of(kind, number);
    if (kind == Kind::f64) return fmt::format("ld.global.f64 {}, [{}+{}];\n", target, address, offset);
    std::string text = fmt::format("ld.global.u64 %rd{}, [{}+{}];\n", number, address, offset);
    if (kind == Kind::b64) return text;
    if (kind == Kind::pred) return text + fmt::format("setp.ne.s64 {}, %rd{}, 0;\n", target, number);
    text += fmt::format("cvt.u32.u64 %r{0}, %rd{0};\n", number);
    if (kind == Kind::b16) text += fmt::format("cvt.u16.u32 {}, %r{};\n", target, number);
    return text;
}

std::string store_register(Kind kind, int number, const std::string& address, std::size_t offset) {
    const std::string source = register_of(kind, number);
    if (kind == Kind::f64) return fmt::format("st.global.f64 [{}+{}], {};\n", address, offset, source);
    std::string text, stored = "%rd31";
    if (kind == Kind::b64) stored = source;
    if (kind == Kind::pred) text = fmt::format("selp.u64 %rd31, 1, 0, {};\n", source);
    if (kind == Kind::b32) text = fmt::format("cvt.u64.u32 %rd31, {};\n", source);
    if (kind == Kind::b16) text = fmt::format("cvt.u32.u16 %r31, {};\ncvt.u64.u32 %rd31, %r31;\n", source);
    return text + fmt::format("st.global.u64 [{}+{}], {};\n", address, offset, stored);
}

std::string module_of(const std::string& body, std::size_t parameter_bytes, Dialect dialect) {
    const bool first = dialect == Dialect::f64_registers;
    return fmt::format(
        "//\n// A kernel under test\n//\n\n.version 9.0\n.target sm_{}\n.address_size 64\n\n"
        ".extern .shared .align 16 .b8 tested_shared[];\n\n"
        ".visible .entry tested(\n\t.param .align 8 .b8 tested_param_0[{}]\n)\n"
        ".maxntid {}\n.minnctapersm 1\n{{\n"
        "\t.reg .pred \t%p<40>;\n\t.reg .b16 \t%rs<40>;\n\t.reg .b32 \t%r<40>;\n\t.reg .b64 \t%rd<40>;\n"
        "\t.reg .{} \t%fd<40>;\n\n{}\n}}\n",
        first ? 90 : 120, parameter_bytes, first ? "1024, 1, 1" : "1024", first ? "f64" : "b64", body);
}

void execute(const std::string& body, KernelRun& run, Findings& findings, Dialect dialect) {
    std::vector<Program> programs =
        parse_module(module_of(body, 16 + run.parameters.size(), dialect), "tested.ptx");
    ASSERT_EQ(programs.size(), 1u);
    Kernel kernel(std::move(programs.front()));
    DeviceMemory memory(findings);
    const Place call{"test"};
    const auto upload = [&](const std::vector<std::uint64_t>& values) {
        void* address = memory.allocate(8 * values.size());
        memory.copy(address, values.data(), 8 * values.size(), call);
        return address;
    };
    void* input = upload(run.input);
    void* output = upload(run.output);
    run.input_address = reinterpret_cast<std::uint64_t>(input);
    run.output_address = reinterpret_cast<std::uint64_t>(output);
    std::vector<std::byte> parameters(16);
    std::memcpy(parameters.data(), &run.input_address, 8);
    std::memcpy(parameters.data() + 8, &run.output_address, 8);
    parameters.insert(parameters.end(), run.parameters.begin(), run.parameters.end());
    kernel.execute({.blocks = run.blocks,
                    .threads = run.threads,
                    .shared_bytes = run.shared_bytes,
                    .parameters = parameters,
                    .dropped_barrier = run.dropped_barrier},
                   memory, findings);
    memory.copy(run.output.data(), output, 8 * run.output.size(), call);
    memory.release(input, call);
    memory.release(output, call);
}

void execute(const std::string& body, KernelRun& run, Dialect dialect) {
    Findings findings;
    execute(body, run, findings, dialect);
    EXPECT_EQ(findings.count(), 0u) << ::testing::PrintToString(findings.lines());
}

void check(const FormTest& test) {
    ASSERT_FALSE(test.cases.empty());
    for (const Case& values : test.cases) ASSERT_EQ(values.size(), test.sources.size() + 1) << test.form;
    for (const Dialect dialect : {Dialect::f64_registers, Dialect::b64_registers}) {
        check_registers(test, dialect, 150, [](std::size_t) { return true; });
        check_registers(test, dialect, 150, [](std::size_t t) { return t * t % 7 < 2; });
        for (const Immediates immediates : immediates_of(test)) check_immediates(test, dialect, immediates);
    }
}

std::vector<std::string> shapes_of(const FormTest& test) {
    std::vector<std::string> shapes;
    for (const Immediates immediates : immediates_of(test)) {
        const std::string statement = statement_of(test, immediates, test.cases.front());
        shapes.push_back(shape_of(statement.substr(0, statement.find(';'))));
    }
    return shapes;
}

}  // namespace espectra::ptx::test
