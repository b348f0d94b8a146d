#include "ptx/execution/prepared_program.hpp"

#include "ptx/checks/definite_assignment.hpp"
#include "ptx/execution/handlers.hpp"
#include <algorithm>

namespace espectra::ptx {

namespace {

// Steps that accompany instructions. `results[0]` is an index in Strip::assigned.

void check_assigned(Strip& strip, const Step& step) {
    const LaneMask missing = strip.active & ~strip.assigned[step.results[0]];
    if (missing == 0) return;
    const Program& program = strip.launch->program;
    strip.report(
        Fault::uninitialized_register, step.instruction, std::countr_zero(missing), 0,
        std::string("%").append(program.registers[step.results[1]].name).append(" has not been assigned."));
}

void note_assigned(Strip& strip, const Step& step) { strip.assigned[step.results[0]] |= strip.active; }

/// Restricts execution to where the predicate `operands[0]` holds, or, if results[0] is 1, does not.
void begin_guard(Strip& strip, const Step& step) {
    const LaneMask guard = *strip.row<LaneMask>(step.operands[0]);
    strip.unguarded = strip.active;
    strip.active &= step.results[0] != 0 ? ~guard : guard;
}

void end_guard(Strip& strip, const Step&) { strip.active = strip.unguarded; }

/// Makes the steps of the instructions one after the other.
class Preparation {
  public:
    Preparation(const Program& program, PreparedProgram& prepared)
        : program_(program), prepared_(prepared), assignment_(program) {
        prepared_.tracked.assign(assignment_.tracked().begin(), assignment_.tracked().end());
    }

    void run() {
        prepared_.rows = lay_out_rows(program_);
        for (int i = 0; i < std::ssize(program_.instructions); ++i) {
            prepared_.first_steps.push_back(static_cast<int>(prepared_.steps.size()));
            add_instruction(i);
        }
        for (Step& step : prepared_.steps)
            if (is_transfer(step) && instruction_of(step).operation == Operation::bra)
                step.results[0] = static_cast<std::uint32_t>(
                    prepared_.first_steps[static_cast<std::size_t>(instruction_of(step).target)]);
        prepared_.transfers.resize(prepared_.steps.size());
        int next = 0;
        for (std::size_t i = prepared_.steps.size(); i-- > 0;) {
            if (is_transfer(prepared_.steps[i])) next = static_cast<int>(i);
            prepared_.transfers[i] = next;
        }
    }

  private:
    static bool is_transfer(const Step& step) { return step.handlers.some == nullptr; }
    const Instruction& instruction_of(const Step& step) const {
        return program_.instruction(step.instruction);
    }

    std::uint32_t row(int index) const { return prepared_.rows.offsets[static_cast<std::size_t>(index)]; }
    /// Returns the index in Strip::assigned, or -1.
    int tracked_index(int index) const {
        const auto found = std::ranges::lower_bound(prepared_.tracked, index);
        return found == prepared_.tracked.end() || *found != index
                   ? -1
                   : static_cast<int>(found - prepared_.tracked.begin());
    }

    void add(int instruction, Handler handler, std::uint32_t result, std::uint32_t second_result = 0,
             std::uint32_t operand = 0) {
        prepared_.steps.push_back({.handlers = always(handler),
                                   .results = {result, second_result},
                                   .operands = {operand},
                                   .instruction = instruction});
    }

    void add_instruction(int i) {
        const Instruction& instruction = program_.instruction(i);
        // The guard is read by all threads, the operands only where it holds.
        const auto add_checks = [&](bool of_guard) {
            for (const int index : assignment_.uncertain_reads(i))
                if ((index == instruction.guard) == of_guard)
                    add(i, &check_assigned, static_cast<std::uint32_t>(tracked_index(index)),
                        static_cast<std::uint32_t>(index));
        };
        add_checks(true);
        Step step{.handlers = handlers_of(program_, instruction), .instruction = i};
        std::ranges::transform(instruction.written(), step.results.begin(),
                               [&](int index) { return row(index); });
        std::ranges::transform(instruction.read(), step.operands.begin(),
                               [&](int index) { return row(index); });
        const bool guarded = instruction.guard >= 0;
        if (is_transfer(step)) {
            // The guard is in operand 0, and the negation in result 1.
            if (guarded) step.operands[0] = row(instruction.guard);
            step.results[1] = instruction.guard_negated ? 1 : 0;
            prepared_.steps.push_back(step);
            return;
        }
        if (guarded) {
            add(i, &begin_guard, instruction.guard_negated ? 1 : 0, 0, row(instruction.guard));
            step.handlers.all = step.handlers.some;
        }
        add_checks(false);
        prepared_.steps.push_back(step);
        for (const int index : instruction.written())
            if (tracked_index(index) >= 0)
                add(i, &note_assigned, static_cast<std::uint32_t>(tracked_index(index)));
        if (guarded) add(i, &end_guard, 0);
    }

    const Program& program_;
    PreparedProgram& prepared_;
    DefiniteAssignment assignment_;
};

}  // namespace

PreparedProgram::PreparedProgram(const Program& program) { Preparation(program, *this).run(); }

}  // namespace espectra::ptx
