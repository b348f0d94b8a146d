#include "ptx/execution/row_layout.hpp"

#include "ptx/execution/strip.hpp"
#include "ptx/program/register_set.hpp"
#include <algorithm>
#include <map>
#include <utility>

namespace espectra::ptx {

namespace {

/// Instructions [begin, end) that are executed one after the other.
struct BasicBlock {
    int begin = 0, end = 0;
    std::vector<int> successors;  ///< blocks
    RegisterSet written;          ///< without a guard
    /// Needed at the begin of the block: at first, what is read in it before it is written.
    RegisterSet live;
};

/// The first and the last point at which the value of a register is needed. Instruction i reads at point 2i
/// and writes at 2i + 1.
struct Interval {
    int first = 0, last = -1;
    void include(int point) {
        first = last < 0 ? point : std::min(first, point);
        last = std::max(last, point);
    }
};

/// Finds when registers are needed, by a backward data-flow analysis over basic blocks.
class Liveness {
  public:
    explicit Liveness(const Program& program) : program_(program), intervals_(program.registers.size()) {
        find_blocks();
        propagate();
        for (const BasicBlock& block : blocks_) include(block);
    }
    const std::vector<Interval>& intervals() const { return intervals_; }

  private:
    const Instruction& instruction(int i) const { return program_.instruction(i); }

    void find_blocks() {
        const int count = static_cast<int>(program_.instructions.size());
        std::vector<char> begins(static_cast<std::size_t>(count) + 1);
        begins[0] = 1;
        for (int i = 0; i < count; ++i) {
            const std::vector<int> next = program_.successors(i);
            if (next.size() == 1 && next[0] == i + 1) continue;
            begins[static_cast<std::size_t>(i) + 1] = 1;
            for (const int target : next) begins[static_cast<std::size_t>(target)] = 1;
        }
        std::vector<int> block_at(static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i) {
            const RegisterSet none(program_.registers.size());
            if (begins[static_cast<std::size_t>(i)]) blocks_.push_back({i, i, {}, none, none});
            blocks_.back().end = i + 1;
            block_at[static_cast<std::size_t>(i)] = static_cast<int>(blocks_.size()) - 1;
        }
        for (BasicBlock& block : blocks_) {
            for (const int target : program_.successors(block.end - 1))
                block.successors.push_back(block_at[static_cast<std::size_t>(target)]);
            for (int i = block.begin; i < block.end; ++i) {
                instruction(i).for_each_read([&](int r) {
                    if (!block.written.contains(r)) block.live.insert(r);
                });
                if (instruction(i).guard >= 0) continue;
                for (const int r : instruction(i).written()) block.written.insert(r);
            }
        }
    }

    void propagate() {
        for (bool changed = true; changed;) {
            changed = false;
            for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block)
                for (const int next : block->successors)
                    changed |=
                        block->live.add_without(blocks_[static_cast<std::size_t>(next)].live, block->written);
        }
    }

    void include(const BasicBlock& block) {
        const auto needed = [&](int point) {
            return [this, point](int r) { intervals_[static_cast<std::size_t>(r)].include(point); };
        };
        block.live.for_each(needed(2 * block.begin));
        for (const int next : block.successors)
            blocks_[static_cast<std::size_t>(next)].live.for_each(needed(2 * block.end - 1));
        for (int i = block.begin; i < block.end; ++i) {
            instruction(i).for_each_read(needed(2 * i));
            std::ranges::for_each(instruction(i).written(), needed(2 * i + 1));
        }
    }

    const Program& program_;
    std::vector<BasicBlock> blocks_;
    std::vector<Interval> intervals_;
};

}  // namespace

std::size_t row_bytes(int bits) {
    return bits == 1 ? sizeof(LaneMask) : static_cast<std::size_t>(lanes * bits / 8);
}

/// Goes through the variables in the order in which they are first needed, and takes the row of one that is
/// no longer needed, if there is one (linear scan).
RowLayout lay_out_rows(const Program& program) {
    RowLayout layout;
    layout.offsets.resize(program.registers.size());
    const std::vector<Interval> intervals = Liveness(program).intervals();
    std::vector<std::size_t> order;
    for (std::size_t r = 0; r < program.registers.size(); ++r)
        if (program.registers[r].kind == Register::Kind::variable) order.push_back(r);
    std::ranges::stable_sort(order, {}, [&](std::size_t r) { return intervals[r].first; });
    for (const int bits : {64, 32, 16, 1}) {  // so that all rows of vectors are aligned
        const auto new_row = [&] { return std::exchange(layout.bytes, layout.bytes + row_bytes(bits)); };
        std::multimap<int, std::size_t> used;  // rows by the last point at which they are needed
        for (const std::size_t r : order) {
            if (program.registers[r].bits != bits) continue;
            std::size_t offset = 0;
            if (!used.empty() && used.begin()->first < intervals[r].first)
                offset = used.extract(used.begin()).mapped();
            else
                offset = new_row();
            used.emplace(intervals[r].last, offset);
            layout.offsets[r] = static_cast<std::uint32_t>(offset);
        }
        for (std::size_t r = 0; r < program.registers.size(); ++r)
            if (program.registers[r].bits == bits && program.registers[r].kind != Register::Kind::variable)
                layout.offsets[r] = static_cast<std::uint32_t>(new_row());
    }
    layout.bytes = (layout.bytes + 63) / 64 * 64;
    return layout;
}

}  // namespace espectra::ptx
