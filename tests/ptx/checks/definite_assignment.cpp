#include "ptx/checks/definite_assignment.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace espectra::ptx {

namespace {

/// A set of registers.
class Set {
  public:
    Set(std::size_t registers, bool full) : words_(registers / 64 + 1, full ? ~std::uint64_t{0} : 0) {}
    bool has(int r) const { return (words_[static_cast<std::size_t>(r) / 64] >> r % 64 & 1U) != 0; }
    void insert(int r) { words_[static_cast<std::size_t>(r) / 64] |= std::uint64_t{1} << r % 64; }

    /// Removes what is not in `other`. Returns true if that was anything.
    bool intersect(const Set& other) {
        std::uint64_t removed = 0;
        for (std::size_t w = 0; w < words_.size(); ++w) {
            removed |= words_[w] & ~other.words_[w];
            words_[w] &= other.words_[w];
        }
        return removed != 0;
    }

  private:
    std::vector<std::uint64_t> words_;
};

/// Returns for each instruction the registers that are assigned before it on all paths; all of them where no
/// path leads.
std::vector<Set> assigned_before(const Program& program) {
    const std::size_t instructions = program.instructions.size(), registers = program.registers.size();
    std::vector<Set> before(instructions, Set(registers, true));
    before[0] = Set(registers, false);
    for (std::size_t r = 0; r < registers; ++r)
        if (program.registers[r].kind != Register::Kind::variable) before[0].insert(static_cast<int>(r));
    std::vector<bool> reached(instructions), waiting(instructions);
    reached[0] = true;
    std::deque<int> work{0};
    while (!work.empty()) {
        const int index = work.front();
        const auto at = static_cast<std::size_t>(index);
        work.pop_front();
        waiting[at] = false;
        Set after = before[at];
        const Instruction& instruction = program.instructions[at];
        if (instruction.guard < 0)
            for (const int written : instruction.written()) after.insert(written);
        for (const int successor : program.successors(index)) {
            const auto next = static_cast<std::size_t>(successor);
            const bool changed = before[next].intersect(after);
            if ((changed || !reached[next]) && !waiting[next]) {
                waiting[next] = true;
                work.push_back(successor);
            }
            reached[next] = true;
        }
    }
    return before;
}

}  // namespace

DefiniteAssignment::DefiniteAssignment(const Program& program) : uncertain_(program.instructions.size()) {
    if (program.instructions.empty()) return;
    const std::vector<Set> before = assigned_before(program);
    for (std::size_t i = 0; i < uncertain_.size(); ++i) {
        const Instruction& instruction = program.instructions[i];
        std::vector<int> reads(instruction.read().begin(), instruction.read().end());
        if (instruction.guard >= 0) reads.push_back(instruction.guard);
        for (const int read : reads)
            if (!before[i].has(read) && std::ranges::count(uncertain_[i], read) == 0)
                uncertain_[i].push_back(read);
        tracked_.insert(tracked_.end(), uncertain_[i].begin(), uncertain_[i].end());
    }
    std::ranges::sort(tracked_);
    tracked_.erase(std::ranges::unique(tracked_).begin(), tracked_.end());
}

}  // namespace espectra::ptx
