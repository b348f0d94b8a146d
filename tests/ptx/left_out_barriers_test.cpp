// Tests of which barriers of small kernels are reported when they are left out.

#include "ptx/execution/left_out_barriers.hpp"

#include <gtest/gtest.h>

#include "ptx/memory/memory_fixture.hpp"
#include <cstdint>
#include <string>
#include <vector>

namespace espectra::ptx {

namespace {

class LeftOutBarriers : public MemoryFixture {
  protected:
    /// Leaves out the barriers of a kernel of one block of 128 threads with these statements, among them
    /// `own`: each thread adds 1 to a number in global memory that is its own, and writes the sum to its
    /// place in shared memory; and `next`: it reads that of the next thread. Its only parameter is `rounds`.
    /// Marks those that are reported.
    void leave_out(const std::string& statements, std::int64_t rounds, std::vector<bool>& reported) {
        Kernel kernel(parse_module(header + statements + "ret;\n}\n", "test.ptx").at(0));
        const struct {
            const void* numbers;
            std::int64_t rounds;
        } parameters{numbers, rounds};
        leave_out_barriers(kernel,
                           {.threads = threads,
                            .shared_bytes = threads * sizeof(std::uint64_t),
                            .parameters = std::as_bytes(std::span(&parameters, 1))},
                           device, reported);
    }
    std::vector<bool> reported(const std::string& statements, std::int64_t rounds, std::size_t barriers) {
        std::vector<bool> result(barriers);
        leave_out(statements, rounds, result);
        return result;
    }

    void SetUp() override {
        numbers = static_cast<std::uint64_t*>(device.allocate(sizeof values));
        device.copy(numbers, values, sizeof values, call);
    }

    static constexpr int threads = 128;
    std::uint64_t values[threads] = {};
    std::uint64_t* numbers = nullptr;

    const std::string own =
        "ld.global.u64 %rd1, [%rd5];\nadd.s64 %rd1, %rd1, 1;\nst.global.u64 [%rd5], %rd1;\n"
        "st.shared.u64 [%r3], %rd1;\n";
    const std::string next = "ld.shared.f64 %fd1, [%r4];\n", barrier = "bar.sync 0;\n";

  private:
    const std::string header =
        ".version 9.0\n.target sm_90\n.address_size 64\n.extern .shared .align 8 .b8 shared[];\n"
        ".visible .entry kernel(\n.param .u64 numbers,\n.param .u64 rounds\n)\n.maxntid 128\n{\n"
        ".reg .pred %p<2>;\n.reg .b32 %r<7>;\n.reg .b64 %rd<8>;\n.reg .f64 %fd<2>;\n"
        "mov.u32 %r1, %tid.x;\nmov.u32 %r2, shared;\nshl.b32 %r5, %r1, 3;\nadd.s32 %r3, %r2, %r5;\n"
        "add.s32 %r6, %r5, 8;\nand.b32 %r6, %r6, 1023;\nadd.s32 %r4, %r2, %r6;\n"
        "ld.param.u64 %rd4, [numbers];\nmul.wide.u32 %rd5, %r1, 8;\nadd.s64 %rd5, %rd4, %rd5;\n"
        "ld.param.u64 %rd6, [rounds];\n";
};

using Reported = std::vector<bool>;

TEST_F(LeftOutBarriers, AreReportedIfTheyAreNeeded) {
    EXPECT_EQ(reported(own + barrier + next, 1, 1), Reported{true});
    EXPECT_EQ(reported(own + barrier + next + barrier + own, 1, 2), (Reported{true, true}));
}

TEST_F(LeftOutBarriers, AreNotReportedIfNothingNeedsThem) {
    EXPECT_EQ(reported(own, 1, 0), Reported{});
    EXPECT_EQ(reported(barrier + own + barrier + next + barrier, 1, 3), (Reported{false, true, false}));
    // Each of two in a row.
    EXPECT_EQ(reported(own + barrier + barrier + next, 1, 2), (Reported{false, false}));
    // Each thread reads its own number.
    EXPECT_EQ(reported(own + barrier + "ld.shared.f64 %fd1, [%r3];\n", 1, 1), Reported{false});
}

/// The last barrier of a loop is for the next round, and is marked in the first launch that has one.
TEST_F(LeftOutBarriers, OfALoopAreFoundByTheLaunchThatNeedsThem) {
    const std::string loop = "mov.u64 %rd7, 0;\n$L:\n" + own + barrier + next + barrier +
                             "add.s64 %rd7, %rd7, 1;\nsetp.lt.s64 %p1, %rd7, %rd6;\n@%p1 bra $L;\n";
    Reported marks(2);
    leave_out(loop, 1, marks);
    EXPECT_EQ(marks, (Reported{true, false}));
    leave_out(loop, 2, marks);
    EXPECT_EQ(marks, (Reported{true, true}));
    leave_out(loop, 1, marks);
    EXPECT_EQ(marks, (Reported{true, true}));
}

TEST_F(LeftOutBarriers, ChangeNeitherMemoryNorFindings) {
    for (std::uint64_t& value : values) value = 7;
    device.copy(numbers, values, sizeof values, call);
    EXPECT_EQ(reported(barrier + own + barrier + next, 1, 2), (Reported{false, true}));
    for (const std::uint64_t value : std::span(numbers, threads)) EXPECT_EQ(value, 7u);
    expect_none();
}

}  // namespace

}  // namespace espectra::ptx
