#include "ptx/execution/kernel.hpp"

#include "ptx/execution/block_execution.hpp"
#include "ptx/execution/prepared_program.hpp"
#include <algorithm>
#include <chrono>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace espectra::ptx {

namespace {

/// Returns 0 … count - 1 in the order of a launch.
template <class T>
std::vector<T> in_order(BlockOrder order, T count) {
    std::vector<T> numbers(static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), T{0});
    switch (order) {
        case BlockOrder::ascending:
            break;
        case BlockOrder::descending:
            std::ranges::reverse(numbers);
            break;
        case BlockOrder::shuffled: {
            // By hand, since std::shuffle differs between libraries.
            std::minstd_rand random(1);
            for (std::size_t i = numbers.size(); i > 1; --i) std::swap(numbers[i - 1], numbers[random() % i]);
            break;
        }
    }
    return numbers;
}

}  // namespace

struct Kernel::State {
    explicit State(Program p) : program(std::move(p)), prepared(program) {}

    /// Returns what the launch does wrong, or an empty string.
    std::string refusal(const Launch& launch) const {
        if (launch.blocks < 1) return std::to_string(launch.blocks) + " blocks.";
        if (launch.threads < 1 || (program.most_threads > 0 && launch.threads > program.most_threads))
            return std::to_string(launch.threads) + " threads, of at most " +
                   std::to_string(program.most_threads) + ".";
        if (launch.parameters.size() != program.parameter_bytes)
            return std::to_string(launch.parameters.size()) + " bytes of parameters, expected " +
                   std::to_string(program.parameter_bytes) + ".";
        return "";
    }

    Program program;
    PreparedProgram prepared;
    std::optional<BlockExecution> execution;  ///< for the number of threads of the last launch
    Statistics statistics;
    mutable std::mutex mutex;
};

Kernel::Kernel(Program program) : state_(std::make_unique<State>(std::move(program))) {}
Kernel::~Kernel() = default;
Kernel::Kernel(Kernel&&) noexcept = default;
Kernel& Kernel::operator=(Kernel&&) noexcept = default;

const Program& Kernel::program() const { return state_->program; }

Statistics Kernel::statistics() const {
    const std::lock_guard lock(state_->mutex);
    return state_->statistics;
}

void Kernel::execute(const Launch& launch, DeviceMemory& memory, Findings& findings) {
    const std::lock_guard lock(state_->mutex);
    const Program& program = state_->program;
    const auto begin = std::chrono::steady_clock::now();
    if (const std::string refusal = state_->refusal(launch); !refusal.empty()) {
        const Place place{program.name};
        findings.add({.fault = Fault::invalid_launch, .place = place, .detail = refusal});
        return;
    }
    if (!state_->execution || state_->execution->threads() != launch.threads)
        state_->execution.emplace(program, state_->prepared, launch.threads);
    BlockExecution& execution = *state_->execution;
    LaunchMemory launch_memory(memory, findings, launch.shared_bytes,
                               [&](int instruction) { return Strip::place_of(program, instruction); });
    LaunchContext context{program, launch_memory, findings, launch.parameters};
    const std::vector<int> strips = in_order(launch.order, execution.strip_count());
    Statistics& statistics = state_->statistics;
    for (const std::int64_t block : in_order(launch.order, launch.blocks)) {
        context.block = block;
        launch_memory.begin_block(block);
        statistics.thread_instructions += execution.run(context, strips, launch.dropped_barrier);
    }
    ++statistics.launches;
    statistics.blocks += launch.blocks;
    statistics.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace espectra::ptx
