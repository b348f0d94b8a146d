// Launches of a kernel: the order of its blocks and of the threads of a block, what is counted, and registers
// that have not been assigned in all threads that read them.

#include "ptx/execution/kernel.hpp"

#include <gtest/gtest.h>

#include "ptx/execution/strip.hpp"
#include "ptx/memory/memory_fixture.hpp"
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace espectra::ptx {

namespace {

/// Returns a kernel with these statements, after which %r1 is the number of the thread in its block, %r2 that
/// of the block and %rd1 the address of the memory.
Kernel kernel_of(const std::string& statements) {
    return Kernel(parse_module(".version 9.0\n.target sm_90\n.address_size 64\n\n"
                               ".visible .entry tested(\n\t.param .align 8 .b8 tested_param_0[8]\n)\n{\n"
                               "\t.reg .pred \t%p<9>;\n\t.reg .b32 \t%r<9>;\n\t.reg .b64 \t%rd<9>;\n"
                               "mov.u32 \t%r1, %tid.x;\n"
                               "mov.u32 \t%r2, %ctaid.x;\n"
                               "ld.param.u64 \t%rd1, [tested_param_0];\n" +
                                   statements + "}\n",
                               "tested.ptx")
                      .at(0));
}
constexpr std::uint64_t prologue_instructions = 3;

/// Appends 1000 · block + thread to a list, in the first thread of each strip.
const std::string append_to_list =
    "and.b32 \t%r3, %r1, 63;\n"
    "setp.ne.s32 \t%p1, %r3, 0;\n"
    "@%p1 bra \t$L__BB0_1;\n"
    "mad.lo.s32 \t%r4, %r2, 1000, %r1;\n"
    "cvt.u64.u32 \t%rd5, %r4;\n"
    "ld.global.u64 \t%rd2, [%rd1];\n"  // the length of the list
    "add.s64 \t%rd3, %rd2, 1;\n"
    "st.global.u64 \t[%rd1], %rd3;\n"
    "shl.b64 \t%rd4, %rd3, 3;\n"
    "add.s64 \t%rd4, %rd1, %rd4;\n"
    "st.global.u64 \t[%rd4], %rd5;\n"
    "$L__BB0_1:\n"
    "ret;\n";
static_assert(lanes == 64);

/// Stores %rd5 for the number of the thread in the grid, of blocks of 32 threads.
const std::string store_number =
    "mad.lo.s32 \t%r4, %r2, 32, %r1;\n"
    "mul.wide.u32 \t%rd2, %r4, 8;\n"
    "add.s64 \t%rd3, %rd1, %rd2;\n"
    "st.global.u64 \t[%rd3], %rd5;\n";

using Numbers = std::vector<std::uint64_t>;

class KernelTest : public MemoryFixture {
  protected:
    KernelTest() : MemoryFixture("tested") {}

    /// Executes a launch on memory of these numbers, and returns what they are afterwards.
    Numbers execute(Kernel& kernel, std::int64_t blocks, int threads, Numbers memory,
                    BlockOrder order = BlockOrder::ascending) {
        const std::size_t bytes = memory.size() * sizeof(std::uint64_t);
        void* address = device.allocate(bytes);
        device.copy(address, memory.data(), bytes, call);
        std::byte parameters[sizeof address];
        std::memcpy(parameters, &address, sizeof address);
        kernel.execute({.blocks = blocks, .threads = threads, .parameters = parameters, .order = order},
                       device, findings);
        device.copy(memory.data(), address, bytes, call);
        device.release(address, call);
        return memory;
    }

    /// Returns the numbers of the first threads of all strips in the order of their execution: of blocks of
    /// 130 threads, three strips.
    Numbers execution_order(BlockOrder order, std::int64_t blocks) {
        Kernel kernel = kernel_of(append_to_list);
        auto list = execute(kernel, blocks, 130, Numbers(static_cast<std::size_t>(1 + 3 * blocks)), order);
        // Strips that append to one list without a barrier are a race, and nothing else.
        EXPECT_EQ(findings.count(), findings.count(Fault::race));
        EXPECT_GT(findings.count(), 0u);
        findings.clear();
        EXPECT_EQ(list.front(), 3 * blocks);
        list.erase(list.begin());
        return list;
    }
};

TEST_F(KernelTest, BlocksAndStripsAreExecutedInTheOrderOfTheLaunch) {
    EXPECT_EQ(execution_order(BlockOrder::ascending, 3),
              (Numbers{0, 64, 128, 1000, 1064, 1128, 2000, 2064, 2128}));
    EXPECT_EQ(execution_order(BlockOrder::descending, 3),
              (Numbers{2128, 2064, 2000, 1128, 1064, 1000, 128, 64, 0}));
}

TEST_F(KernelTest, ShuffledBlocksAreAllExecutedInAnOrderOfTheirOwn) {
    const Numbers ascending = execution_order(BlockOrder::ascending, 10),
                  shuffled = execution_order(BlockOrder::shuffled, 10);
    EXPECT_EQ(execution_order(BlockOrder::shuffled, 10), shuffled);  // which is the same at every launch
    EXPECT_NE(shuffled, ascending);
    EXPECT_NE(shuffled, execution_order(BlockOrder::descending, 10));
    Numbers sorted = shuffled;
    std::ranges::sort(sorted);
    EXPECT_EQ(sorted, ascending);
    for (std::size_t i = 0; i < shuffled.size(); i += 3)  // one block after the other
        EXPECT_EQ(shuffled[i] / 1000, shuffled[i + 2] / 1000) << i;
}

TEST_F(KernelTest, LaunchesBlocksAndInstructionsAreCounted) {
    Kernel kernel = kernel_of(
        "setp.ge.s32 \t%p1, %r1, 10;\n"
        "@%p1 bra \t$L__BB0_1;\n"
        "add.s32 \t%r3, %r1, 1;\n"  // in ten threads
        "@%p1 add.s32 \t%r3, %r1, 2;\n"
        "$L__BB0_1:\n"
        "ret;\n");
    const auto counted = [&](std::int64_t launches, std::int64_t blocks, std::uint64_t instructions) {
        const Statistics all = kernel.statistics();
        EXPECT_EQ(all.launches, launches);
        EXPECT_EQ(all.blocks, blocks);
        EXPECT_EQ(all.thread_instructions, instructions);
        return all.seconds;
    };
    EXPECT_EQ(counted(0, 0, 0), 0);
    // The prologue, setp, bra and ret in all threads; a guarded instruction counts where its guard is false.
    const std::uint64_t in_all = prologue_instructions + 3, in_ten = 2;
    execute(kernel, 2, 70, {0});
    const std::uint64_t first = 2 * (70 * in_all + 10 * in_ten);
    const double seconds = counted(1, 2, first);
    EXPECT_GT(seconds, 0);
    execute(kernel, 3, 7, {0});
    EXPECT_GT(counted(2, 5, first + 3 * 7 * (in_all + in_ten)), seconds);
    expect_none();
    execute(kernel, 0, 7, {0});  // refused
    expect_one(Fault::invalid_launch, "0 blocks");
    counted(2, 5, first + 3 * 7 * (in_all + in_ten));
}

TEST_F(KernelTest, RegistersThatSomeThreadsHaveNotAssigned) {
    for (const std::string assignment :
         {"@%p1 mov.u64 \t%rd5, 7;\n", "@!%p1 bra \t$L__BB0_1;\nmov.u64 \t%rd5, 7;\n$L__BB0_1:\n"}) {
        Kernel kernel = kernel_of("setp.lt.s32 \t%p1, %r1, 20;\n" + assignment + store_number + "ret;\n");
        Numbers expected(32, marked_value);
        std::fill_n(expected.begin(), 20, std::uint64_t{7});
        EXPECT_EQ(execute(kernel, 1, 32, Numbers(32)), expected);
        ASSERT_EQ(findings.count(), 1u);
        EXPECT_EQ(findings.all()[0].first.thread, 20);
        EXPECT_EQ(findings.all()[0].first.place.instruction, "st.global.u64 \t[%rd3], %rd5;");
        expect_one(Fault::uninitialized_register, "%rd5 has not been assigned.");
    }
}

TEST_F(KernelTest, RegistersKeepNothingFromTheBlockBefore) {
    Kernel kernel =
        kernel_of("setp.eq.s32 \t%p1, %r2, 0;\n@%p1 mov.u64 \t%rd5, 7;\n" + store_number + "ret;\n");
    Numbers expected(64, marked_value);
    std::fill_n(expected.begin(), 32, std::uint64_t{7});
    EXPECT_EQ(execute(kernel, 2, 32, Numbers(64)), expected);
    ASSERT_EQ(findings.count(), 1u);
    EXPECT_EQ(findings.all()[0].first.block, 1);
    expect_one(Fault::uninitialized_register, "%rd5 has not been assigned.");
}

/// Reads that no analysis of the text can tell to be right: by the same predicate, and after the first round
/// of a loop.
TEST_F(KernelTest, RegistersThatEveryReaderHasAssigned) {
    Kernel kernel = kernel_of(
        "setp.lt.s32 \t%p1, %r1, 20;\n"
        "mov.u64 \t%rd5, 1;\n"
        "mov.u32 \t%r5, 0;\n"
        "$L__BB0_1:\n"
        "setp.eq.s32 \t%p2, %r5, 0;\n"
        "@!%p2 bra \t$L__BB0_2;\n"
        "@%p1 mov.u64 \t%rd6, 4;\n"
        "$L__BB0_2:\n"
        "@%p1 add.s64 \t%rd5, %rd5, %rd6;\n"
        "add.s32 \t%r5, %r5, 1;\n"
        "setp.lt.s32 \t%p3, %r5, 3;\n"
        "@%p3 bra \t$L__BB0_1;\n" +
        store_number + "ret;\n");
    Numbers expected(32, 1);
    std::fill_n(expected.begin(), 20, std::uint64_t{13});
    EXPECT_EQ(execute(kernel, 1, 32, Numbers(32)), expected);
    expect_none();
}

}  // namespace

}  // namespace espectra::ptx
