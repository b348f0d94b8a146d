// Lists by Thrust on the emulated device: their results and their place in the order of the stream, and what
// is found where their arguments are wrong.

#include "espectra/kernels/cuda/index_lists.hpp"

#include <gtest/gtest.h>

#include "ptx/runtime/inspection.hpp"
#include <vector>

namespace espectra {
namespace {

constexpr Space on_device = Space::device;
using Marks = std::vector<unsigned char>;
using List = group::ListKernel<group::Kept<on_device>, on_device>;

class EmulatedLists : public ::testing::Test {
  protected:
    static constexpr Index n = 6;

    void mark(CudaContext& context, const Marks& marks) {
        send(context, marks.data(), keep_.data(), static_cast<Index>(marks.size()));
    }
    List list() { return {{keep_.view(n)}, list_.view(1, n), count_.view(1)}; }
    std::vector<Index> entries() {
        return fetch(context_, list_.data(), fetch(context_, count_.data(), 1).front());
    }
    std::size_t findings(ptx::Fault fault) {
        context_.synchronize();
        return espectra_emulated_take_findings(fault);
    }

    CudaContext context_;
    Buffer<unsigned char, on_device> keep_{context_, n};
    Buffer<Index, on_device> list_{context_, n}, count_{context_, 1};
};

TEST_F(EmulatedLists, AreMadeInTheOrderOfTheStream) {
    mark(context_, {0, 1, 1, 0, 0, 1});
    make_lists_by_thrust(context_, list());
    mark(context_, {0, 0, 0, 0, 0, 0});  // later
    EXPECT_EQ(entries(), (std::vector<Index>{1, 2, 5}));
}

TEST_F(EmulatedLists, AreRecordedInGraphs) {
    CudaContext::Recording recording;
    const auto work = [&] { make_lists_by_thrust(context_, list()); };
    mark(context_, {1, 1, 0, 0, 0, 0});
    repeat(context_, recording, 2, work);
    mark(context_, {0, 0, 0, 0, 1, 0});
    repeat(context_, recording, 1, work);
    EXPECT_EQ(entries(), std::vector<Index>{4});
}

TEST_F(EmulatedLists, HaveNoValuesBehindTheirEnd) {
    mark(context_, {1, 1, 1, 1, 0, 0});
    make_lists_by_thrust(context_, list());
    fetch(context_, list_.data(), 4);
    EXPECT_EQ(findings(ptx::Fault::uninitialized_memory), 0u);
    fetch(context_, list_.data(), 5);
    EXPECT_EQ(findings(ptx::Fault::uninitialized_memory), 1u);
}

TEST_F(EmulatedLists, MarksWithoutValuesAreFound) {
    mark(context_, {1, 1, 1, 1, 0});  // the last one is missing
    make_lists_by_thrust(context_, list());
    EXPECT_EQ(findings(ptx::Fault::uninitialized_memory), 1u);
}

TEST_F(EmulatedLists, ShortArraysAreFound) {
    mark(context_, {1, 1, 1, 1, 0, 0});
    List wrong = list();
    wrong.list.data += 1;
    make_lists_by_thrust(context_, wrong);
    EXPECT_EQ(findings(ptx::Fault::out_of_bounds), 1u);
    wrong = list();
    wrong.marked.keep.data += 1;
    make_lists_by_thrust(context_, wrong);
    EXPECT_EQ(findings(ptx::Fault::out_of_bounds), 1u);
}

TEST_F(EmulatedLists, MarksOfAnotherStreamAreFound) {
    CudaContext other;
    context_.synchronize();  // the memory is there
    mark(other, {1, 1, 1, 1, 0, 0});
    make_lists_by_thrust(context_, list());
    context_.synchronize();
    other.synchronize();
    EXPECT_GE(findings(ptx::Fault::stream_order), 1u);
}

}  // namespace
}  // namespace espectra
