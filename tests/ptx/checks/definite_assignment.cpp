#include "ptx/checks/definite_assignment.hpp"

#include "ptx/program/register_set.hpp"
#include <algorithm>
#include <cstddef>
#include <deque>
#include <vector>

namespace espectra::ptx {

namespace {

/// Returns for each instruction the registers that are assigned before it on all paths; all of them where no
/// path leads.
std::vector<RegisterSet> assigned_before(const Program& program) {
    const std::size_t instructions = program.instructions.size(), registers = program.registers.size();
    std::vector<RegisterSet> before(instructions, RegisterSet(registers, true));
    before[0] = RegisterSet(registers);
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
        RegisterSet after = before[at];
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
    const std::vector<RegisterSet> before = assigned_before(program);
    for (std::size_t i = 0; i < uncertain_.size(); ++i) {
        const Instruction& instruction = program.instructions[i];
        instruction.for_each_read([&](int read) {
            if (!before[i].contains(read) && std::ranges::count(uncertain_[i], read) == 0)
                uncertain_[i].push_back(read);
        });
        tracked_.insert(tracked_.end(), uncertain_[i].begin(), uncertain_[i].end());
    }
    std::ranges::sort(tracked_);
    tracked_.erase(std::ranges::unique(tracked_).begin(), tracked_.end());
}

}  // namespace espectra::ptx
