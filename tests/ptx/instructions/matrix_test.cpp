// Products of matrices by a warp: PTX ISA 9.0, sections 9.7.14.5.2, Matrix Fragments for mma.m8n8k4 with .f64
// floating point type; 9.7.14.5.6, Matrix Fragments for mma.m16n8k4; 9.7.14.5.14, mma.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ptx/instructions/form_test.hpp"
#include "ptx/instructions/instruction_shape.hpp"
#include "ptx/instructions/module_tests.hpp"
#include <bit>
#include <cmath>

namespace espectra::ptx::test {

namespace {

/// D = A B + C with A [rows, 4], B [4, 8], C and D [rows, 8].
struct Shape {
    int rows;
    const char* form;
    int factors() const { return rows / 8; }  ///< elements of A that a lane holds
    int sums() const { return rows / 4; }     ///< of C and of D
};
constexpr Shape shapes[] = {{16, "mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64"},
                            {8, "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64"}};

struct Position {
    int row, column;
};
// groupID = %laneid >> 2, threadID_in_group = %laneid % 4.
Position of_a(int lane, int i) { return {(lane >> 2) + 8 * i, lane % 4}; }
Position of_b(int lane) { return {lane % 4, lane >> 2}; }
Position of_c(int lane, int i) { return {(lane >> 2) + (i >= 2 ? 8 : 0), lane % 4 * 2 + (i & 1)}; }

struct Matrices {
    double a[16][4], b[4][8], c[16][8];
};

/// Returns matrices whose elements are all different. Those of `exact` matrices are integers, so that every
/// order of the sum gives the same bits.
Matrices matrices(int number, bool exact) {
    Matrices m{};
    int next = 1 + 300 * number;
    const auto value = [&] {
        ++next;
        return exact ? next : std::sqrt(static_cast<double>(next)) * (next % 3 == 0 ? -1 : 1);
    };
    for (auto& row : m.a)
        for (double& x : row) x = value();
    for (auto& row : m.b)
        for (double& x : row) x = value();
    for (auto& row : m.c)
        for (double& x : row) x = value();
    return m;
}

/// Returns statements by which each lane loads its fragments of A, B and C.
std::string statements(const Shape& shape) {
    const int inputs = shape.factors() + 1 + shape.sums();
    std::string text = fmt::format(
        "mov.u32 \t%r1, %tid.x;\n"
        "ld.param.u64 \t%rd1, [tested_param_0];\n"
        "ld.param.u64 \t%rd2, [tested_param_0+8];\n"
        "mul.wide.u32 \t%rd3, %r1, {};\n"
        "add.s64 \t%rd4, %rd1, %rd3;\n"
        "mul.wide.u32 \t%rd5, %r1, {};\n"
        "add.s64 \t%rd6, %rd2, %rd5;\n",
        8 * inputs, 8 * shape.sums());
    for (int i = 0; i < inputs; ++i) text += fmt::format("ld.global.f64 \t%fd{}, [%rd4+{}];\n", i + 1, 8 * i);
    return text;
}

std::string registers(int first, int count) {
    std::string text;
    for (int i = first; i < first + count; ++i) text += fmt::format("{}%fd{}", i == first ? "" : ",", i);
    return "{" + text + "}";
}

std::string product(const Shape& shape) {
    const int factors = shape.factors(), sums = shape.sums();
    return fmt::format("{} {}, {}, {}, {};\n", shape.form, registers(20, sums), registers(1, factors),
                       registers(factors + 1, 1), registers(factors + 2, sums));
}

std::string stores(const Shape& shape) {
    std::string text;
    for (int i = 0; i < shape.sums(); ++i)
        text += fmt::format("st.global.f64 \t[%rd6+{}], %fd{};\n", 8 * i, 20 + i);
    return text + "ret;\n";
}

std::uint64_t bits(double x) { return std::bit_cast<std::uint64_t>(x); }

KernelRun run_of(const Shape& shape, int threads, const std::vector<Matrices>& products) {
    KernelRun run{.input = {},
                  .output = std::vector<std::uint64_t>(static_cast<std::size_t>(threads * shape.sums())),
                  .threads = threads};
    for (int thread = 0; thread < threads; ++thread) {
        const Matrices& m = products[static_cast<std::size_t>(thread / 32)];
        const int lane = thread % 32;
        for (int i = 0; i < shape.factors(); ++i)
            run.input.push_back(bits(m.a[of_a(lane, i).row][of_a(lane, i).column]));
        run.input.push_back(bits(m.b[of_b(lane).row][of_b(lane).column]));
        for (int i = 0; i < shape.sums(); ++i)
            run.input.push_back(bits(m.c[of_c(lane, i).row][of_c(lane, i).column]));
    }
    return run;
}

/// Two warps with matrices of their own. Inexact sums are a chain of fused multiply-adds, k ascending.
void check(const Shape& shape, bool exact) {
    const std::vector<Matrices> products = {matrices(0, exact), matrices(1, exact)};
    KernelRun run = run_of(shape, 64, products);
    execute(statements(shape) + product(shape) + stores(shape), run);
    for (int warp = 0; warp < 2; ++warp) {
        const Matrices& m = products[static_cast<std::size_t>(warp)];
        for (int lane = 0; lane < 32; ++lane)
            for (int i = 0; i < shape.sums(); ++i) {
                const Position at = of_c(lane, i);
                double expected = m.c[at.row][at.column];
                for (int k = 0; k < 4; ++k)
                    expected = exact ? expected + m.a[at.row][k] * m.b[k][at.column]
                                     : std::fma(m.a[at.row][k], m.b[k][at.column], expected);
                EXPECT_EQ(run.output[static_cast<std::size_t>((32 * warp + lane) * shape.sums() + i)],
                          bits(expected))
                    << "warp " << warp << ", lane " << lane << ", element " << i;
            }
    }
}

}  // namespace

TEST(Matrix, FragmentsAreThoseOfTheIsa) {
    for (const Shape& shape : shapes) check(shape, true);
}

TEST(Matrix, SumsAreChainsOfFusedMultiplyAdds) {
    for (const Shape& shape : shapes) check(shape, false);
}

TEST(Matrix, ResultsMayReplaceOperands) {
    for (const Shape& shape : shapes) {
        const std::vector<Matrices> products = {matrices(0, true)};
        KernelRun apart = run_of(shape, 32, products), in_place = apart;
        execute(statements(shape) + product(shape) + stores(shape), apart);
        // D in the registers of C.
        std::string text = product(shape);
        const std::string from = registers(20, shape.sums()),
                          to = registers(shape.factors() + 2, shape.sums());
        text.replace(text.find(from), from.size(), to);
        for (int i = 0; i < shape.sums(); ++i)
            text += fmt::format("mov.f64 \t%fd{}, %fd{};\n", 20 + i, shape.factors() + 2 + i);
        execute(statements(shape) + text + stores(shape), in_place);
        EXPECT_EQ(apart.output, in_place.output);
    }
}

// "The behavior of mma instruction is undefined if all threads in the same warp do not use the same
// qualifiers, or if any thread in the warp has exited."
TEST(Matrix, IncompleteWarpsAreFound) {
    const std::vector<Matrices> products = {matrices(0, true), matrices(1, true)};
    for (const Shape& shape : shapes) {
        KernelRun short_block = run_of(shape, 48, products);
        Findings found_in_short_block;
        execute(statements(shape) + product(shape) + stores(shape), short_block, found_in_short_block);
        EXPECT_EQ(found_in_short_block.count(Fault::incomplete_warp), 1u);

        KernelRun divergent = run_of(shape, 32, products);
        Findings found_in_divergent;
        const std::string skip = "setp.eq.s32 \t%p1, %r1, 5;\n@%p1 bra \t$L__BB0_1;\n";
        execute(statements(shape) + skip + product(shape) + "$L__BB0_1:\nret;\n", divergent,
                found_in_divergent);
        EXPECT_EQ(found_in_divergent.count(Fault::incomplete_warp), 1u);
    }
}

std::vector<std::string> matrix_shapes() {
    std::vector<std::string> found;
    for (const Shape& shape : shapes) {
        const std::string text = product(shape);
        found.push_back(shape_of(text.substr(0, text.find(';'))));
    }
    return found;
}

}  // namespace espectra::ptx::test
