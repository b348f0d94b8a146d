// Tests that all that the interpreter does not know is an error with file, line and text: nothing is skipped.

#include <gtest/gtest.h>

#include "ptx/instructions/form_test.hpp"
#include "ptx/program/program.hpp"
#include <algorithm>
#include <stdexcept>

namespace espectra::ptx::test {

namespace {

/// Parses a module in which `text` has been replaced by `by`, and returns the message; empty: no error.
std::string message_of(std::string module_text, const std::string& text, const std::string& by) {
    const auto at = module_text.find(text);
    EXPECT_NE(at, std::string::npos) << text;
    module_text.replace(at, text.size(), by);
    try {
        parse_module(module_text, "folder/tested.ptx");
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

const std::string good = "\tadd.s32 \t%r1, 1, 2;\n\tmov.u64 \t%rd1, 0;\n\tret;\n";

/// Expects an error for a module with `by` in place of `text`, in the line where `text` is.
void expect_error(const std::string& text, const std::string& by) {
    const std::string module_text = module_of(good);
    ASSERT_EQ(message_of(module_text, "ret;", "ret;"), "");
    const std::string message = message_of(module_text, text, by);
    ASSERT_NE(message, "") << "accepted: " << by;
    const auto before = module_text.substr(0, module_text.find(text));
    const std::string line = std::to_string(1 + std::ranges::count(before, '\n'));
    EXPECT_NE(message.find("folder/tested.ptx:" + line), std::string::npos)
        << message << "\nexpected line " << line;
    EXPECT_NE(message.find(by.substr(0, by.find_first_of(" ;("))), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

void expect_errors(const std::vector<const char*>& statements) {
    for (const char* statement : statements) expect_error("add.s32 \t%r1, 1, 2;", statement);
}

}  // namespace

TEST(Unknown, Instructions) {
    expect_errors({"frobnicate.s32 %r1, %r2;", "add %r1, 1, 2;", "call foo;", "exit;", "trap;",
                   "rem.s32 %r1, 1, 2;", "shfl.sync.down.b32 %r1, %r2, 1, 31, -1;",
                   "atom.global.add.u32 %r1, [%rd1], 1;", "ex2.approx.f32 %r1, %r2;", "setp %p1, 1, 2;"});
}

TEST(Unknown, Modifiers) {
    expect_errors({"add.rz.f64 %fd1, %fd2, %fd3;", "add.sat.s32 %r1, 1, 2;", "mul.hi.s32 %r1, 1, 2;",
                   "ld.global.nc.f64 %fd1, [%rd1];", "ld.volatile.global.f64 %fd1, [%rd1];",
                   "ld.shared.v8.u32 {%r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8}, [%r9];",
                   "ld.const.u32 %r1, [%rd1];", "bra.maybe $L__BB0_1;", "bar.arrive 0, 32;",
                   "bar.sync.aligned 0;", "barrier.sync 0;", "setp.lt.and.s32 %p1, %r1, %r2, %p3;",
                   "setp.lo.f64 %p1, %fd1, %fd2;", "cvt.rni.s32.f64 %r1, %fd1;",
                   "sqrt.approx.f64 %fd1, %fd2;",
                   "mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%fd1,%fd2,%fd3,%fd4}, "
                   "{%fd5,%fd6,%fd7,%fd8}, {%fd9,%fd10}, {%fd1,%fd2,%fd3,%fd4};"});
}

TEST(Unknown, Types) {
    expect_errors({"add.f32 %r1, %r2, %r3;", "add.rn.f32 %r1, %r2, %r3;", "ld.global.f16 %rs1, [%rd1];",
                   "setp.ltu.s32 %p1, %r1, %r2;", "setp.lt.b32 %p1, %r1, %r2;", "shl.u32 %r1, %r2, 1;",
                   "mov.b128 %rd1, {%rd2, %rd3};", "cvt.f32.f64 %r1, %fd1;", "copysign.f32 %r1, %r2, %r3;"});
}

TEST(Unknown, SpecialRegisters) {
    expect_errors({"mov.u32 %r1, %ntid.x;", "mov.u32 %r1, %tid.y;", "mov.u32 %r1, %ctaid.z;",
                   "mov.u32 %r1, %laneid;", "mov.u32 %r1, %clock;", "mov.u64 %rd1, %globaltimer;",
                   "mov.u32 %tid.x, %r1;"});
}

TEST(Unknown, Operands) {
    expect_errors({"add.s32 %r1, %r2;",
                   "add.s32 %r1, %r2, %r3, %r4;",
                   "add.s32 %r1, %r2, [%rd1];",
                   "add.s32 1, %r2, %r3;",
                   "add.s32 %r1, %r2, tested_shared;",
                   "add.s32 %r1, %r2, nothing;",
                   "add.s32 %r1, %r2, {%r3, %r4};",
                   "ld.global.u64 %rd1, %rd2;",
                   "ld.global.u64 %rd1, [nothing];",
                   "ld.global.u64 %rd1, [%rd2+%rd3];",
                   "ld.global.u64 {%rd1, %rd2}, [%rd3];",
                   "ld.shared.v2.u32 %r1, [%r3];",
                   "ld.shared.v2.u32 {%r1, %r2, %r3}, [%r4];",
                   "mov.b64 %rd1, {%r1, %r2, %r3};",
                   "mov.u32 %r1, missing_symbol;",
                   "bar.sync 1;",
                   "bar.sync 0, 64;",
                   "bra nowhere;",
                   "bra %r1;",
                   "ret 1;",
                   "setp.eq.s32 %p1|%p2, %r1, %r2;",
                   "selp.b32 %r1, 1, 2, %r3;",
                   "@%r1 add.s32 %r1, 1, 2;",
                   "@%p40 add.s32 %r1, 1, 2;",
                   "add.s32 %r1, %r2, !%r3;"});
}

TEST(Unknown, RegistersOfOtherSizes) {
    expect_errors({"add.s32 %r1, %rd2, %r3;", "add.s32 %rd1, %r2, %r3;", "add.s64 %rd1, %r2, %rd3;",
                   "add.rn.f64 %fd1, %r2, %fd3;", "shl.b64 %rd1, %rd2, %rd3;", "mul.wide.s32 %r1, %r2, %r3;",
                   "setp.eq.s32 %r1, %r2, %r3;", "cvt.u64.u32 %r1, %r2;", "mov.b64 %rd1, {%rs1, %rs2};",
                   "st.global.u64 [%rd1], %r1;", "and.pred %p1, %p2, %r3;", "ld.global.u64 %rd1, [%rs1];",
                   "add.s32 %r1, %r2, %r40;", "add.s32 %x1, %r2, %r3;", "add.s32 %r, %r2, %r3;"});
}

TEST(Unknown, Numbers) {
    expect_errors({"add.s32 %r1, %r2, 0d3FF0000000000000;", "add.rn.f64 %fd1, %fd2, 1;",
                   "add.rn.f64 %fd1, %fd2, 1.5;", "add.rn.f64 %fd1, %fd2, 0f3F800000;",
                   "add.rn.f64 %fd1, %fd2, 0d3FF0;", "add.s32 %r1, %r2, 4294967296;",
                   "add.s32 %r1, %r2, -2147483649;", "add.s16 %rs1, %rs2, 65536;",
                   "add.s64 %rd1, %rd2, 18446744073709551616;", "add.s32 %r1, %r2, 12monkeys;",
                   "add.s32 %r1, %r2, --1;"});
}

TEST(Unknown, Directives) {
    expect_errors({".local .align 8 .b8 __local_depot0[8];", ".shared .align 8 .b8 array[8];",
                   ".param .b64 p;", ".loc 1 2 3;", ".pragma \"enable_smem_spilling\";", ".reg .f32 %f<3>;",
                   ".reg .b64 %rd<3>;", "$L__BB0_1", "add.s32 %r1, 1, 2"});
    expect_error(".minnctapersm 1", ".reqntid 32");
    expect_error(".minnctapersm 1", ".maxnreg 32");
    expect_error(".address_size 64", ".address_size 32");
    expect_error(".extern .shared .align 16 .b8 tested_shared[];", ".global .align 4 .u32 counter;");
    expect_error(".extern .shared .align 16 .b8 tested_shared[];", ".func helper() { ret; }");
    expect_error(".extern .shared .align 16 .b8 tested_shared[];", ".const .align 8 .b8 table[8];");
}

TEST(Unknown, LabelsThatOccurTwice) {
    const std::string module_text = module_of("$L__BB0_1:\nmov.u64 \t%rd1, 0;\n$L__BB0_2:\nret;\n");
    EXPECT_EQ(message_of(module_text, "ret;", "ret;"), "");
    EXPECT_NE(message_of(module_text, "$L__BB0_2", "$L__BB0_1"), "");
}

TEST(Unknown, EndsOfKernels) {
    const std::string module_text = module_of(good);
    EXPECT_NE(message_of(module_text, "\tret;\n\n}", "}"), "") << "runs past the end";
    EXPECT_NE(message_of(module_text, "\tret;\n\n}", "\tret;\n"), "") << "no closing brace";
}

}  // namespace espectra::ptx::test
