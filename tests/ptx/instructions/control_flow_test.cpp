// Branches, guards, barriers and special registers: PTX ISA 9.0, sections 9.3, Predicated Execution; 9.7.12,
// Control Flow Instructions; 9.7.13.1, bar; 10, Special Registers.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ptx/instructions/form_test.hpp"
#include "ptx/instructions/instruction_shape.hpp"
#include "ptx/instructions/module_tests.hpp"
#include <numeric>

namespace espectra::ptx::test {

namespace {

/// Puts the thread's number in the block into %r1, the block's into %r2, and in the grid into %r3, for blocks
/// of `threads` threads; the addresses of its number in the input and in the output into %rd38 and %rd39; the
/// input into %rd1; whether it is odd into %p1.
std::string prologue(int threads) {
    return fmt::format(
        "mov.u32 \t%r1, %tid.x;\n"
        "mov.u32 \t%r2, %ctaid.x;\n"
        "mad.lo.s32 \t%r3, %r2, {}, %r1;\n"
        "ld.param.u64 \t%rd30, [tested_param_0];\n"
        "ld.param.u64 \t%rd31, [tested_param_0+8];\n"
        "mul.wide.s32 \t%rd32, %r3, 8;\n"
        "add.s64 \t%rd38, %rd30, %rd32;\n"
        "add.s64 \t%rd39, %rd31, %rd32;\n"
        "ld.global.u64 \t%rd1, [%rd38];\n"
        "and.b64 \t%rd33, %rd1, 1;\n"
        "setp.ne.s64 \t%p1, %rd33, 0;\n",
        threads);
}

const std::string epilogue = "st.global.u64 \t[%rd39], %rd2;\nret;\n";

const std::string branch_if =
    "@%p1 bra \t$L__BB0_1;\n"
    "mov.u64 \t%rd2, 100;\n"
    "bra.uni \t$L__BB0_2;\n"
    "$L__BB0_1:\n"
    "mov.u64 \t%rd2, 200;\n"
    "$L__BB0_2:\n";

const std::string branch_if_not =
    "@!%p1 bra \t$L__BB0_1;\n"
    "mov.u64 \t%rd2, 100;\n"
    "bra \t$L__BB0_2;\n"
    "$L__BB0_1:\n"
    "mov.u64 \t%rd2, 200;\n"
    "$L__BB0_2:\n";

/// The sum of 1 … %rd1 in a loop.
const std::string loop =
    "mov.u64 \t%rd2, 0;\n"
    "mov.u64 \t%rd3, 0;\n"
    "$L__BB0_1:\n"
    ".pragma \"nounroll\";\n"
    "setp.ge.s64 \t%p2, %rd3, %rd1;\n"
    "@%p2 bra \t$L__BB0_2;\n"
    "add.s64 \t%rd3, %rd3, 1;\n"
    "add.s64 \t%rd2, %rd2, %rd3;\n"
    "bra.uni \t$L__BB0_1;\n"
    "$L__BB0_2:\n";

/// Paths for %rd1 < 10 and %rd1 ≥ 10, even and odd, that join twice. %rd2 gets the number of the path.
const std::string nested =
    "setp.ge.s64 \t%p2, %rd1, 10;\n"
    "@%p2 bra \t$L__BB0_3;\n"
    "@%p1 bra \t$L__BB0_1;\n"
    "mov.u64 \t%rd2, 1;\n"
    "bra.uni \t$L__BB0_2;\n"
    "$L__BB0_1:\n"
    "mov.u64 \t%rd2, 2;\n"
    "$L__BB0_2:\n"
    "add.s64 \t%rd2, %rd2, 10;\n"
    "bra.uni \t$L__BB0_5;\n"
    "$L__BB0_3:\n"
    "@!%p1 bra \t$L__BB0_4;\n"
    "mov.u64 \t%rd2, 4;\n"
    "bra.uni \t$L__BB0_5;\n"
    "$L__BB0_4:\n"
    "mov.u64 \t%rd2, 3;\n"
    "$L__BB0_5:\n"
    "add.s64 \t%rd2, %rd2, 100;\n";

/// %rd1 times, in all threads alike: every thread gives its number to the one before it and adds 1 to what it
/// gets. `threads` threads, the last of which gets the number of the first.
std::string ring(int threads) {
    return fmt::format(
        "cvt.u64.u32 \t%rd2, %r1;\n"
        "mov.u32 \t%r4, tested_shared;\n"
        "shl.b32 \t%r5, %r1, 3;\n"
        "add.s32 \t%r6, %r4, %r5;\n"  // where this thread writes
        "add.s32 \t%r7, %r6, 8;\n"    // and where it reads
        "setp.eq.s32 \t%p3, %r1, {};\n"
        "selp.b32 \t%r8, %r4, %r7, %p3;\n"
        "mov.u64 \t%rd3, 0;\n"
        "$L__BB0_1:\n"
        "st.shared.u64 \t[%r6], %rd2;\n"
        "bar.sync \t0;\n"
        "ld.shared.f64 \t%fd1, [%r8];\n"
        "mov.b64 \t%rd4, %fd1;\n"
        "add.s64 \t%rd2, %rd4, 1;\n"
        "bar.sync \t0;\n"
        "add.s64 \t%rd3, %rd3, 1;\n"
        "setp.lt.s64 \t%p2, %rd3, %rd1;\n"
        "@%p2 bra \t$L__BB0_1;\n",
        threads - 1);
}

std::vector<std::uint64_t> numbers(std::size_t count) {
    std::vector<std::uint64_t> values(count);
    std::iota(values.begin(), values.end(), 0u);
    return values;
}

/// Executes the statements in `blocks` blocks of `threads` threads, each of which has its number in the grid
/// as input, and expects `result(number)`.
template <class Result>
void expect(const std::string& statements, int threads, std::int64_t blocks, Result&& result) {
    const auto count = static_cast<std::size_t>(threads * blocks);
    KernelRun run{.input = numbers(count),
                  .output = std::vector<std::uint64_t>(count),
                  .threads = threads,
                  .blocks = blocks};
    execute(prologue(threads) + statements + epilogue, run);
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(run.output[i], result(i)) << "thread " << i;
}

}  // namespace

TEST(ControlFlow, BranchesAreTakenWhereTheGuardHolds) {
    expect(branch_if, 33, 1, [](std::size_t i) { return i % 2 == 1 ? 200u : 100u; });
    expect(branch_if_not, 33, 1, [](std::size_t i) { return i % 2 == 1 ? 100u : 200u; });
}

TEST(ControlFlow, GuardedInstructionsChangeNothingElsewhere) {
    expect("mov.u64 \t%rd2, 5;\n@%p1 add.s64 \t%rd2, %rd2, 7;\n", 32, 1,
           [](std::size_t i) { return i % 2 == 1 ? 12u : 5u; });
    expect("mov.u64 \t%rd2, 5;\n@!%p1 mov.u64 \t%rd2, 7;\n", 32, 1,
           [](std::size_t i) { return i % 2 == 1 ? 5u : 7u; });
    expect("mov.u64 \t%rd2, 5;\n@%p1 st.global.u64 \t[%rd39], %rd2;\n@%p1 ret;\n", 32, 1,
           [](std::size_t) { return 5u; });
    // The other threads have an address of nothing.
    expect(
        "mov.u64 \t%rd2, 5;\nmov.u64 \t%rd3, 0;\nselp.b64 \t%rd4, %rd38, %rd3, %p1;\n"
        "@%p1 ld.global.u64 \t%rd2, [%rd4];\n",
        32, 1, [](std::size_t i) { return i % 2 == 1 ? i : 5u; });
}

TEST(ControlFlow, LoopsEndForEachThread) {
    expect(loop, 100, 1, [](std::size_t i) { return i * (i + 1) / 2; });
}

TEST(ControlFlow, NestedPathsJoin) {
    expect(nested, 21, 1,
           [](std::size_t i) { return 100 + (i < 10 ? (i % 2 == 1 ? 12u : 11u) : (i % 2 == 1 ? 4u : 3u)); });
}

TEST(ControlFlow, ThreadsAndBlocksHaveNumbers) {
    expect(
        "cvt.u64.u32 \t%rd3, %r2;\nmul.lo.s64 \t%rd3, %rd3, 1000;\ncvt.u64.u32 \t%rd4, %r1;\n"
        "add.s64 \t%rd2, %rd3, %rd4;\n",
        40, 3, [](std::size_t i) { return i / 40 * 1000 + i % 40; });
}

TEST(ControlFlow, ThreadsEndEarly) {
    const std::string early =
        "mov.u64 \t%rd2, 1;\nsetp.lt.s64 \t%p2, %rd1, 5;\n@%p2 bra \t$L__BB0_1;\n"
        "mov.u64 \t%rd2, 2;\nst.global.u64 \t[%rd39], %rd2;\nret;\n$L__BB0_1:\n";
    expect(early, 64, 1, [](std::size_t i) { return i < 5 ? 1u : 2u; });
}

/// Runs ring() with a barrier left out, −1: none.
KernelRun run_ring(int threads, std::uint64_t rounds, std::int64_t dropped, Findings& findings) {
    KernelRun run{.input = std::vector<std::uint64_t>(static_cast<std::size_t>(threads), rounds),
                  .output = std::vector<std::uint64_t>(static_cast<std::size_t>(threads)),
                  .threads = threads,
                  .shared_bytes = static_cast<std::size_t>(8 * threads),
                  .dropped_barrier = dropped};
    execute(prologue(threads) + ring(threads) + epilogue, run, findings);
    return run;
}

TEST(Barrier, ThreadsSeeWhatOthersWroteBefore) {
    for (const int threads : {2, 32, 33, 96, 128})
        for (const std::uint64_t rounds : {1u, 2u, 7u}) {
            Findings findings;
            const KernelRun run = run_ring(threads, rounds, -1, findings);
            EXPECT_EQ(findings.count(), 0u) << ::testing::PrintToString(findings.lines());
            for (std::size_t i = 0; i < run.output.size(); ++i)
                EXPECT_EQ(run.output[i], (i + rounds) % run.output.size() + rounds) << "thread " << i;
        }
}

TEST(Barrier, WithoutOneThereIsARace) {
    for (const std::int64_t dropped : {0, 1}) {
        Findings findings;
        run_ring(64, 3, dropped, findings);
        EXPECT_GE(findings.count(Fault::race), 1u) << "without barrier " << dropped;
    }
    // One round has nothing after the second barrier.
    Findings findings;
    run_ring(64, 1, 1, findings);
    EXPECT_EQ(findings.count(), 0u) << ::testing::PrintToString(findings.lines());
}

/// bar.sync is for all threads of the block: those that go around it, or to another one, are an error.
TEST(Barrier, SomeThreadsMissingAreFound) {
    const std::string around = "mov.u64 \t%rd2, 1;\n@%p1 bra \t$L__BB0_1;\nbar.sync \t0;\n$L__BB0_1:\n";
    const std::string different =
        "mov.u64 \t%rd2, 1;\n@%p1 bra \t$L__BB0_1;\nbar.sync \t0;\nbra.uni \t$L__BB0_2;\n$L__BB0_1:\n"
        "bar.sync \t0;\n$L__BB0_2:\n";
    for (const std::string& statements : {around, different}) {
        KernelRun run{.input = numbers(64), .output = std::vector<std::uint64_t>(64), .threads = 64};
        Findings findings;
        execute(prologue(64) + statements + epilogue, run, findings);
        EXPECT_GE(findings.count(Fault::divergent_barrier), 1u) << statements;
        EXPECT_EQ(findings.count(), findings.count(Fault::divergent_barrier));
        EXPECT_EQ(run.output, std::vector<std::uint64_t>(64, 1));
    }
}

std::vector<std::string> control_flow_shapes() {
    std::vector<std::string> shapes;
    for (const auto& [shape, line] :
         shapes_in(prologue(32) + branch_if + branch_if_not + loop + nested + ring(32) + epilogue))
        for (const char* opcode :
             {"@p bra ", "@!p bra ", "bra ", "bra.uni ", "bar.sync ", "ret", "mov.u32 r,%"})
            if (shape.starts_with(opcode)) shapes.push_back(shape);
    return shapes;
}

}  // namespace espectra::ptx::test
