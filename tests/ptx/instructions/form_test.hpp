#pragma once

#include "ptx/checks/findings.hpp"
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
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

/// For messages of GoogleTest.
inline void PrintTo(const FormTest& test, std::ostream* out) { *out << test.form; }

/// Registers of a kind are declared as nvcc's two front ends do: doubles as .f64 (up to compute_90) or as
/// .b64 (compute_100 and newer).
enum class Dialect { f64_registers, b64_registers };

/// Returns a module with one kernel, named "tested", with `parameter_bytes` of parameters and these
/// statements in its body, each on a line. The registers %p, %rs, %r, %rd and %fd 0 to 39 are declared, and
/// dynamic shared memory "tested_shared".
std::string module_of(const std::string& body, std::size_t parameter_bytes,
                      Dialect dialect = Dialect::f64_registers);

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

/// Executes the kernel of a module; changes `run.output`.
void execute(const std::string& module_text, KernelRun& run, Findings& findings);

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
