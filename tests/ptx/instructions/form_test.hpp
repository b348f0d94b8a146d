#pragma once

#include <gtest/gtest.h>

#include "ptx/checks/findings.hpp"
#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>
#include <vector>

namespace espectra::ptx::test {

/// The kind of an operand: a predicate, an integer of 16, 32 or 64 bits, or a double.
enum class Kind { pred, b16, b32, b64, f64 };

/// The bits of an operand or of a result. Integers are two's complement and are cut to the size of the
/// operand; predicates are 0 or 1.
struct Bits {
    std::uint64_t value = 0;
    bool any_nan = false;  ///< of a result: every NaN is right

    Bits(double number) : value(std::bit_cast<std::uint64_t>(number)) {}
    template <std::integral T>
    Bits(T number) : value(static_cast<std::uint64_t>(number)) {}
    static Bits some_nan() {
        Bits bits(0);
        bits.any_nan = true;
        return bits;
    }
};

/// The sources of an instruction, then its result.
using Case = std::vector<Bits>;

/// An instruction form with the kinds of its operands and with results that follow from the PTX ISA.
struct FormTest {
    std::string form;  ///< opcode with all modifiers
    Kind result = Kind::f64;
    std::vector<Kind> sources;
    std::vector<Case> cases;
    std::string statement = "";  ///< with $d, $a, $b, $c for the operands; empty: "form $d, $a, …"
};

/// Returns the test of a form whose result and sources are all of the kind that its type has, such as
/// "add.s32". The number of sources is that of the cases.
FormTest same_kind(const std::string& form, std::vector<Case> cases);

/// Returns the tests of all groups, one after the other.
std::vector<FormTest> joined(std::initializer_list<std::vector<FormTest>> groups);

/// Prints the form in messages of GoogleTest.
inline void PrintTo(const FormTest& test, std::ostream* out) { *out << test.form; }

/// Returns the name of a parametrised test: its form and its index.
inline constexpr auto form_name = [](const auto& info) {
    std::string name = info.param.form + "_" + std::to_string(info.index);
    std::ranges::replace(name, '.', '_');
    return name;
};

/// The two ways in which nvcc declares registers of doubles: as .f64 (up to compute_90) or as .b64
/// (compute_100 and newer).
enum class Dialect { f64_registers, b64_registers };

/// Returns a module with one kernel, named "tested", with `parameter_bytes` of parameters and these
/// statements in its body, each on a line. The registers %p, %rs, %r, %rd and %fd 0 to 39 are declared, and
/// dynamic shared memory "tested_shared".
std::string module_of(const std::string& body, std::size_t parameter_bytes = 16,
                      Dialect dialect = Dialect::f64_registers);

/// Returns the name of a register, such as "%rd7".
std::string register_of(Kind kind, int number);

/// Returns the bits that a register of this kind has.
std::uint64_t mask_of(Kind kind);

/// Returns statements that load a register from 8 bytes of global memory at [address + offset], where
/// `address` is a register; those of its number and of the wider kinds are changed.
std::string load_register(Kind kind, int number, const std::string& address, std::size_t offset);

/// Returns statements that store a register to 8 bytes of global memory, filled with zeros. They change the
/// registers 31 of 32 and 64 bits.
std::string store_register(Kind kind, int number, const std::string& address, std::size_t offset);

/// A launch of a kernel under test, with its global memory.
struct KernelRun {
    std::vector<std::uint64_t> input;        ///< its address on the device is the first parameter
    std::vector<std::uint64_t> output;       ///< its address is the second one; initialised as well
    std::vector<std::byte> parameters = {};  ///< that follow
    int threads = 1;
    std::int64_t blocks = 1;
    std::size_t shared_bytes = 0;
    std::int64_t dropped_barrier = -1;
    std::uint64_t input_address = 0, output_address = 0;  ///< set by execute()
};

/// Executes a kernel with this body; changes `run.output`.
void execute(const std::string& body, KernelRun& run, Findings& findings,
             Dialect dialect = Dialect::f64_registers);

/// The same, and expects that nothing is found.
void execute(const std::string& body, KernelRun& run, Dialect dialect = Dialect::f64_registers);

/// Checks all cases of a form: with registers in several warps, in all threads and in some; and with
/// immediate operands in all positions.
void check(const FormTest& test);

/// Returns the forms of the statements that check() executes, as of shape_of().
std::vector<std::string> shapes_of(const FormTest& test);

// The tables.
std::vector<FormTest> f64_forms();
std::vector<FormTest> integer_forms();
std::vector<FormTest> conversion_forms();
std::vector<FormTest> comparison_forms();
std::vector<FormTest> logic_forms();
std::vector<FormTest> move_forms();

}  // namespace espectra::ptx::test
