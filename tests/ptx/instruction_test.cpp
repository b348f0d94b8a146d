// One test for each instruction form that computes in registers; loads and stores, branches, barriers and
// matrix products are tested in the files beside this one.

#include <gtest/gtest.h>

#include "ptx/instructions/form_test.hpp"

namespace espectra::ptx::test {

namespace {

class InstructionTest : public ::testing::TestWithParam<FormTest> {};

TEST_P(InstructionTest, HasTheResultsOfTheIsa) { check(GetParam()); }

INSTANTIATE_TEST_SUITE_P(F64, InstructionTest, ::testing::ValuesIn(f64_forms()), form_name);
INSTANTIATE_TEST_SUITE_P(Integer, InstructionTest, ::testing::ValuesIn(integer_forms()), form_name);
INSTANTIATE_TEST_SUITE_P(Conversion, InstructionTest, ::testing::ValuesIn(conversion_forms()), form_name);
INSTANTIATE_TEST_SUITE_P(Comparison, InstructionTest, ::testing::ValuesIn(comparison_forms()), form_name);
INSTANTIATE_TEST_SUITE_P(Logic, InstructionTest, ::testing::ValuesIn(logic_forms()), form_name);
INSTANTIATE_TEST_SUITE_P(Move, InstructionTest, ::testing::ValuesIn(move_forms()), form_name);

}  // namespace

/// An integer division by zero "yields an unspecified, machine-specific value".
TEST(Division, ByZeroIsFound) {
    for (const FormTest& test : integer_forms()) {
        if (!test.form.starts_with("div")) continue;
        const bool word = test.result == Kind::b32;
        const char* name = word ? "%r" : "%rd";
        const std::string divide = std::string("mov.u64 %rd1, 7;\nmov.u64 %rd2, 0;\n") +
                                   (word ? "cvt.u32.u64 %r1, %rd1;\ncvt.u32.u64 %r2, %rd2;\n" : "") +
                                   test.form + " " + name + "3, " + name + "1, " + name + "2;\nret;\n";
        KernelRun run{.input = {0}, .output = {0}};
        Findings findings;
        execute(divide, run, findings);
        EXPECT_EQ(findings.count(Fault::division_by_zero), 1u) << test.form;
        EXPECT_EQ(findings.count(), 1u) << test.form;
    }
}

/// mov.b64 {d, e}, a: "{ d.x, d.y } = { a[0..31], a[32..63] }".
TEST(Move, UnpacksTheLowerHalfFirst) {
    const std::string body =
        "ld.param.u64 %rd1, [tested_param_0];\nld.global.u64 %rd2, [%rd1];\nld.param.u64 %rd3, "
        "[tested_param_0+8];\n"
        "mov.b64 {%r1, %r2}, %rd2;\ncvt.u64.u32 %rd4, %r1;\ncvt.u64.u32 %rd5, %r2;\n"
        "st.global.u64 [%rd3], %rd4;\nst.global.u64 [%rd3+8], %rd5;\nret;\n";
    for (const int threads : {1, 64}) {
        KernelRun run{.input = {0x8123456789abcdef}, .output = {7, 7}, .threads = threads};
        // All threads write the same, which is a race.
        Findings findings;
        execute(body, run, findings);
        EXPECT_EQ(findings.count(), findings.count(Fault::race));
        EXPECT_EQ(run.output, (std::vector<std::uint64_t>{0x89abcdef, 0x81234567}));
    }
}

/// mov.pred with −1 gives the same predicate as a comparison that holds.
TEST(Predicate, EveryNonzeroConstantIsTrue) {
    const std::string body =
        "ld.param.u64 %rd1, [tested_param_0+8];\nmov.u64 %rd2, 3;\nsetp.eq.s64 %p1, %rd2, 3;\n"
        "mov.pred %p2, -1;\nxor.pred %p3, %p1, %p2;\nselp.u64 %rd3, 1, 0, %p3;\nst.global.u64 [%rd1], %rd3;\n"
        "not.pred %p4, %p2;\nselp.u64 %rd4, 1, 0, %p4;\nst.global.u64 [%rd1+8], %rd4;\nret;\n";
    KernelRun run{.input = {0}, .output = {7, 7}};
    execute(body, run);
    EXPECT_EQ(run.output, (std::vector<std::uint64_t>{0, 0}));
}

}  // namespace espectra::ptx::test
