// Tests of the analysis that finds registers which may be read before they are assigned.

#include "ptx/checks/definite_assignment.hpp"

#include <gtest/gtest.h>

#include "ptx/program/program.hpp"
#include <string>
#include <vector>

namespace espectra::ptx {

namespace {

Program program_of(const std::string& body) {
    return parse_module(
               ".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry kernel(\n"
               ".param .u64 kernel_param_0\n)\n.maxntid 32\n{\n.reg .pred %p<9>;\n.reg .b32 %r<9>;\n"
               ".reg .b64 %rd<9>;\n" +
                   body + "}\n",
               "test.ptx")
        .at(0);
}

/// Returns "text of the instruction: registers" for all uncertain reads of a kernel with this body.
std::vector<std::string> uncertain(const std::string& body) {
    const Program program = program_of(body);
    const DefiniteAssignment assignment(program);
    std::vector<std::string> result;
    for (std::size_t i = 0; i < program.instructions.size(); ++i) {
        const auto reads = assignment.uncertain_reads(static_cast<int>(i));
        if (reads.empty()) continue;
        std::string names;
        for (const int read : reads) names += " " + program.registers[static_cast<std::size_t>(read)].name;
        result.push_back(program.texts[i] + ":" + names);
    }
    return result;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST(DefiniteAssignmentTest, StraightCode) {
    EXPECT_EQ(uncertain("mov.u32 %r1, %tid.x;\nadd.s32 %r2, %r1, 5;\nret;\n"), Lines{});
    EXPECT_EQ(
        uncertain("mov.u32 %r1, %tid.x;\nadd.s32 %r2, %r3, %r1;\nadd.s32 %r3, %r3, %r3;\nret;\n").size(), 2u);
    const Lines found = uncertain("add.s32 %r2, %r3, %r3;\nmov.u32 %r3, 1;\nadd.s32 %r2, %r3, %r3;\nret;\n");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_NE(found[0].find(": r3"), std::string::npos) << found[0];
}

TEST(DefiniteAssignmentTest, OneBranchIsNotEnough) {
    const std::string begin = "mov.u32 %r1, %tid.x;\nsetp.eq.s32 %p1, %r1, 0;\n";
    EXPECT_EQ(uncertain(begin + "@%p1 bra $A;\nmov.u32 %r2, 1;\n$A:\nadd.s32 %r3, %r2, 1;\nret;\n").size(),
              1u);
    EXPECT_EQ(uncertain(begin + "@%p1 bra $A;\nmov.u32 %r2, 1;\nbra $B;\n$A:\nmov.u32 %r2, 2;\n$B:\n"
                                "add.s32 %r3, %r2, 1;\nret;\n"),
              Lines{});
    // The other branch ends.
    EXPECT_EQ(uncertain(begin + "@!%p1 bra $A;\nret;\n$A:\nmov.u32 %r2, 1;\nadd.s32 %r3, %r2, 1;\nret;\n"),
              Lines{});
}

TEST(DefiniteAssignmentTest, LoopsAreEnteredFromTheirBegin) {
    // r2 is assigned at the end of the first turn, and read at the begin of it.
    EXPECT_EQ(uncertain("mov.u32 %r1, 0;\n$L:\nadd.s32 %r3, %r2, 1;\nmov.u32 %r2, 1;\nadd.s32 %r1, %r1, 1;\n"
                        "setp.lt.s32 %p1, %r1, 9;\n@%p1 bra $L;\nret;\n")
                  .size(),
              1u);
    EXPECT_EQ(
        uncertain(
            "mov.u32 %r1, 0;\nmov.u32 %r2, 0;\n$L:\nadd.s32 %r3, %r2, 1;\nmov.u32 %r2, %r3;\n"
            "add.s32 %r1, %r1, 1;\nsetp.lt.s32 %p1, %r1, 9;\n@%p1 bra $L;\nadd.s32 %r4, %r3, %r2;\nret;\n"),
        Lines{});
}

TEST(DefiniteAssignmentTest, GuardsCountAsReadsAndMakeWritesUncertain) {
    EXPECT_EQ(uncertain("@%p1 bra $A;\n$A:\nret;\n").size(), 1u);
    const Lines found = uncertain(
        "mov.u32 %r1, %tid.x;\nsetp.eq.s32 %p1, %r1, 0;\n@%p1 mov.u32 %r2, 1;\n"
        "@%p1 add.s32 %r3, %r2, 1;\nret;\n");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_NE(found[0].find(": r2"), std::string::npos) << found[0];
}

TEST(DefiniteAssignmentTest, ListsTheRegistersToTrack) {
    const Program program = program_of("add.s32 %r5, %r4, %r2;\nadd.s32 %r6, %r5, %r2;\nret;\n");
    const DefiniteAssignment assignment(program);
    ASSERT_EQ(assignment.tracked().size(), 2u);
    for (const int r : assignment.tracked()) {
        const std::string& name = program.registers[static_cast<std::size_t>(r)].name;
        EXPECT_TRUE(name == "r4" || name == "r2") << name;
    }
}

}  // namespace espectra::ptx
