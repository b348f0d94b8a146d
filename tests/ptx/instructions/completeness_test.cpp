// Compares three lists of instruction forms: those in the compiled kernels, those with a unit test, and those
// that the interpreter accepts. ESPECTRA_PTX_FOLDER has a folder of PTX files for each architecture; it is
// defined in builds with the CUDA backend.

#include <gtest/gtest.h>

#include "ptx/instructions/form_test.hpp"
#include "ptx/instructions/instruction_shape.hpp"
#include "ptx/instructions/memory_forms.hpp"
#include "ptx/instructions/module_tests.hpp"
#include "ptx/program/program.hpp"
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace espectra::ptx::test {

namespace {

std::set<std::string> tested() {
    std::set<std::string> shapes;
    for (const auto& table :
         {f64_forms(), integer_forms(), conversion_forms(), comparison_forms(), logic_forms(), move_forms()})
        for (const FormTest& test : table)
            for (const std::string& shape : shapes_of(test)) shapes.insert(shape);
    for (const auto& more : {memory_shapes(), control_flow_shapes(), matrix_shapes()})
        shapes.insert(more.begin(), more.end());
    return shapes;
}

}  // namespace

#ifdef ESPECTRA_PTX_FOLDER
TEST(Completeness, EveryFormInTheKernelsHasAUnitTest) {
    const std::set<std::string> with_test = tested();
    std::map<std::string, std::string> without;  // with the first place
    for (const auto& folder : std::filesystem::directory_iterator(ESPECTRA_PTX_FOLDER)) {
        std::size_t files = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
            if (entry.path().extension() != ".ptx") continue;
            ++files;
            std::stringstream text;
            text << std::ifstream(entry.path()).rdbuf();
            const auto shapes = shapes_in(text.str());
            EXPECT_GT(shapes.size(), 20u) << entry.path();
            for (const auto& [shape, line] : shapes)
                if (!with_test.contains(shape))
                    without.try_emplace(shape, entry.path().string() + ":" + std::to_string(line));
        }
        EXPECT_GT(files, 0u) << folder.path() << " has no PTX";
    }
    for (const auto& [shape, place] : without) ADD_FAILURE() << place << ": no unit test for " << shape;
}
#endif

TEST(Completeness, EveryFormThatTheInterpreterAcceptsHasAUnitTest) {
    std::set<std::string> with_test;
    for (const std::string& shape : tested()) with_test.insert(opcode_of(shape));
    for (const std::string& form : known_forms())
        EXPECT_TRUE(with_test.contains(form)) << "no unit test for " << form;
}

TEST(Completeness, ShapesAreReadFromTheText) {
    EXPECT_EQ(shape_of("@%p3 add.s32 \t%r1, %r2, -5"), "@p add.s32 r,r,i");
    EXPECT_EQ(shape_of("@!%p3 bra \t$L__BB0_1"), "@!p bra l");
    EXPECT_EQ(shape_of("ld.shared.v2.f64 \t{%fd1, %fd2}, [%r1+8]"), "ld.shared.v2.f64 {f,f},[r+i]");
    EXPECT_EQ(shape_of("ret"), "ret");
    const auto shapes = shapes_in(
        "// .globl x\n.version 9.0\n.reg .b32 %r<5>;\n$L__BB0_1:\n{\n\tmov.u32 %r1, %tid.x;\n"
        "\t{ .reg .u64 %tmp;\n\t  cvt.u64.u32 \t%tmp, %r1;\n\t  cvta.shared.u64 \t%rd1, %tmp; }\n"
        "@%p1 bra $L__BB0_1; // back\nret;\n}\n");
    EXPECT_EQ(shapes, (std::map<std::string, int>{{"mov.u32 r,%tid.x", 6},
                                                  {"cvt.u64.u32 d,r", 8},
                                                  {"cvta.shared.u64 d,d", 9},
                                                  {"@p bra l", 10},
                                                  {"ret", 11}}));
}

}  // namespace espectra::ptx::test
