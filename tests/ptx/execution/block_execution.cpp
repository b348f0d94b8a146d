#include "ptx/execution/block_execution.hpp"

#include <algorithm>
#include <climits>

namespace espectra::ptx {

namespace {

/// Fills the row of a register with one value in all lanes.
void fill_row(const Strip& strip, std::uint32_t offset, int bits, std::uint64_t value) {
    if (bits == 1)
        *strip.row<LaneMask>(offset) = value != 0 ? ~LaneMask{0} : 0;
    else
        with_row_type(bits,
                      [&]<class T>() { std::fill_n(strip.row<T>(offset), lanes, static_cast<T>(value)); });
}

}  // namespace

BlockExecution::BlockExecution(const Program& program, const PreparedProgram& prepared, int threads)
    : program_(program), prepared_(prepared), threads_(threads) {
    const int count = (threads + lanes - 1) / lanes;
    const std::size_t lines = prepared.rows.bytes / sizeof(Line);  // of a strip
    rows_.resize(static_cast<std::size_t>(count) * lines);
    ready_.resize(static_cast<std::size_t>(count));
    waiting_.resize(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        Strip& strip = strips_.emplace_back();
        strip.rows = reinterpret_cast<std::byte*>(rows_.data() + static_cast<std::size_t>(i) * lines);
        strip.first_thread = i * lanes;
        const int existing = std::min(lanes, threads - i * lanes);
        strip.existing = existing == lanes ? ~LaneMask{0} : (LaneMask{1} << existing) - 1;
        strip.assigned.resize(prepared.tracked.size());
        for (std::size_t r = 0; r < program.registers.size(); ++r) {
            const Register& description = program.registers[r];
            const std::uint32_t offset = prepared.rows.offsets[r];
            if (description.kind == Register::Kind::constant)
                fill_row(strip, offset, description.bits, description.value);
            if (description.kind == Register::Kind::block_index) block_index_row_ = offset;
            if (description.kind == Register::Kind::thread_index)
                for (int lane = 0; lane < lanes; ++lane)
                    strip.row<std::uint32_t>(offset)[lane] =
                        static_cast<std::uint32_t>(strip.first_thread + lane);
        }
    }
}

void BlockExecution::begin(LaunchContext& launch) {
    for (std::size_t i = 0; i < strips_.size(); ++i) {
        Strip& strip = strips_[i];
        strip.launch = &launch;
        std::ranges::fill(strip.assigned, LaneMask{0});
        for (const int index : prepared_.tracked) {
            const auto r = static_cast<std::size_t>(index);
            fill_row(strip, prepared_.rows.offsets[r], program_.registers[r].bits, marked_value);
        }
        if (block_index_row_)
            fill_row(strip, *block_index_row_, 32, static_cast<std::uint64_t>(launch.block));
        ready_[i].assign(1, {0, strip.existing});
        waiting_[i].clear();
    }
}

std::uint64_t BlockExecution::run(LaunchContext& launch, const std::vector<int>& order,
                                  std::int64_t dropped_barrier) {
    dropped_step_ = -1;
    if (dropped_barrier >= 0)
        dropped_step_ =
            prepared_.transfers[static_cast<std::size_t>(prepared_.first_steps[static_cast<std::size_t>(
                program_.barriers.at(static_cast<std::size_t>(dropped_barrier)))])];
    thread_instructions_ = 0;
    begin(launch);
    do {
        for (const int strip : order) run_to_barrier(static_cast<std::size_t>(strip));
    } while (pass_barrier(launch));
    return thread_instructions_;
}

/// Executes all threads of a strip until they wait at a barrier or have ended: always those at the lowest
/// step, until they reach a step where others are, so that threads that went different ways meet again.
void BlockExecution::run_to_barrier(std::size_t index) {
    Strip& strip = strips_[index];
    std::vector<Threads>& ready = ready_[index];
    while (!ready.empty()) {
        int step = INT_MAX, next = INT_MAX;
        for (const Threads& threads : ready) step = std::min(step, threads.step);
        strip.active = 0;
        for (const Threads& threads : ready)
            if (threads.step == step)
                strip.active |= threads.mask;
            else
                next = std::min(next, threads.step);
        std::erase_if(ready, [&](const Threads& threads) { return threads.step == step; });
        do {
            step = run_straight(strip, step,
                                std::min(next, prepared_.transfers[static_cast<std::size_t>(step)]));
        } while (step < next && transfer(index, step, next));
        // Threads that have met others; those that wait, or have ended, are no longer active.
        if (strip.active != 0) ready.push_back({step, strip.active});
    }
}

/// Executes the steps before `end`, and returns it.
int BlockExecution::run_straight(Strip& strip, int step, int end) {
    const Step* const steps = prepared_.steps.data();
    if (strip.active == strip.existing)
        for (int i = step; i < end; ++i) steps[i].handlers.all(strip, steps[i]);
    else
        for (int i = step; i < end; ++i) steps[i].handlers.some(strip, steps[i]);
    const int executed = steps[end].instruction - steps[step].instruction;
    thread_instructions_ +=
        static_cast<std::uint64_t>(executed) * static_cast<std::uint64_t>(std::popcount(strip.active));
    return end;
}

/// Executes a branch, a barrier or ret. Sets `step` to the next one of the threads that remain active.
/// Returns true if all of them go on there, before step `next`, where others are.
bool BlockExecution::transfer(std::size_t index, int& step, int next) {
    Strip& strip = strips_[index];
    const Step& current = prepared_.steps[static_cast<std::size_t>(step)];
    const Instruction& instruction = program_.instruction(current.instruction);
    thread_instructions_ += static_cast<std::uint64_t>(std::popcount(strip.active));
    LaneMask taken = strip.active;
    if (instruction.guard >= 0) {
        const LaneMask guard = *strip.row<LaneMask>(current.operands[0]);
        taken &= current.results[1] != 0 ? ~guard : guard;
    }
    const LaneMask others = strip.active & ~taken;
    if (instruction.operation == Operation::bra) {
        const int target = static_cast<int>(current.results[0]);
        if (others == 0) {
            step = target;
        } else if (taken == 0) {
            ++step;
        } else {
            ready_[index].push_back({target, taken});
            ready_[index].push_back({step + 1, others});
            strip.active = 0;
            return false;
        }
    } else if (instruction.operation == Operation::ret) {
        strip.active = others;
        ++step;
    } else if (step == dropped_step_) {
        ++step;
    } else {
        waiting_[index].push_back({step, strip.active});
        strip.active = 0;
    }
    return strip.active != 0 && step < next;
}

/// Lets all threads pass the barrier where they wait. Returns false if the block has ended. Threads that have
/// ended, or wait at different barriers, while others wait are findings.
bool BlockExecution::pass_barrier(LaunchContext& launch) {
    int first = -1, waiting = 0;
    for (std::size_t i = 0; i < strips_.size(); ++i)
        for (const Threads& threads : waiting_[i]) {
            const Step& step = prepared_.steps[static_cast<std::size_t>(threads.step)];
            if (first < 0) first = step.instruction;
            waiting += std::popcount(threads.mask);
            if (step.instruction != first)
                strips_[i].report(Fault::divergent_barrier, step.instruction, std::countr_zero(threads.mask),
                                  0,
                                  "Other threads wait at the barrier in line " +
                                      std::to_string(program_.instruction(first).line) + ".");
        }
    if (waiting == 0) return false;
    if (waiting < threads_)
        launch.findings.add({.fault = Fault::divergent_barrier,
                             .place = Strip::place_of(program_, first),
                             .block = launch.block,
                             .detail = std::to_string(threads_ - waiting) + " of " +
                                       std::to_string(threads_) + " threads have ended."});
    for (std::size_t i = 0; i < strips_.size(); ++i) {
        for (const Threads& threads : waiting_[i]) ready_[i].push_back({threads.step + 1, threads.mask});
        waiting_[i].clear();
    }
    launch.memory.barrier();
    return true;
}

}  // namespace espectra::ptx
