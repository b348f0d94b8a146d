#pragma once

#include "ptx/checks/findings.hpp"
#include "ptx/memory/launch_memory.hpp"
#include "ptx/program/program.hpp"
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace espectra::ptx {

/// Threads of a strip. Execution goes through a block in strips of consecutive threads (two warps), and in a
/// strip through all threads that are at the same instruction at once.
inline constexpr int lanes = 64;

/// A set of a strip's threads, one bit each.
using LaneMask = std::uint64_t;

struct Strip;
struct Step;

/// Executes a step in the active threads of a strip.
using Handler = void (*)(Strip&, const Step&);

/// The functions that execute an instruction: `all` is called if all threads that exist are active, and may
/// write results of threads that do not exist; `some` is called otherwise. Both are null for branches,
/// barriers and ret.
struct Handlers {
    Handler all = nullptr, some = nullptr;
};

/// Returns the handlers of an instruction that one function executes in all cases.
constexpr Handlers always(Handler handler) { return {handler, handler}; }

/// An instruction, prepared for execution, or part of one. Registers are offsets of rows.
struct Step {
    Handlers handlers;
    std::array<std::uint32_t, 4> results{};
    std::array<std::uint32_t, 7> operands{};
    int instruction = 0;  ///< its index in the program
};

/// The state that the strips of all blocks of a launch share.
struct LaunchContext {
    const Program& program;
    LaunchMemory& memory;
    Findings& findings;
    std::span<const std::byte> parameters;
    std::int64_t block = 0;  ///< the one that is executed
};

/// The threads of a strip and their registers. The row of a register has one element for each thread:
/// uint16_t, uint32_t or uint64_t by its width; doubles are kept as their bits. The row of a predicate is a
/// LaneMask.
struct Strip {
    LaunchContext* launch = nullptr;
    std::byte* rows = nullptr;
    int first_thread = 0;
    LaneMask existing = 0;                 ///< threads of the block
    LaneMask active = 0;                   ///< threads that execute the current instruction
    LaneMask unguarded = 0;                ///< `active` without the guard of the current instruction
    std::vector<LaneMask> assigned;        ///< of tracked registers: where they have been assigned
    LaneMask listed = 0;                   ///< threads in the following lists
    std::array<std::uint8_t, lanes> list;  ///< their lanes, ascending
    std::array<int, lanes> threads;        ///< their numbers in the block

    template <class T>
    T* row(std::uint32_t offset) const {
        return reinterpret_cast<T*>(rows + offset);
    }

    /// Updates the lists for the active threads, and returns their number.
    int list_active() {
        if (listed != active) {
            int count = 0;
            for (LaneMask rest = active; rest != 0; rest &= rest - 1) {
                const int lane = std::countr_zero(rest);
                list[static_cast<std::size_t>(count)] = static_cast<std::uint8_t>(lane);
                threads[static_cast<std::size_t>(count++)] = first_thread + lane;
            }
            listed = active;
        }
        return std::popcount(active);
    }

    /// Adds a finding about a thread of this strip.
    void report(Fault fault, int instruction, int lane, std::uint64_t address,
                const std::string& detail) const {
        launch->findings.add({.fault = fault,
                              .place = place_of(launch->program, instruction),
                              .block = launch->block,
                              .thread = first_thread + lane,
                              .address = address,
                              .detail = detail});
    }

    static Place place_of(const Program& program, int instruction) {
        return {program.name, program.instruction(instruction).line,
                program.texts[static_cast<std::size_t>(instruction)]};
    }
};

/// Stands for values that an instruction could not compute: a signalling NaN.
inline constexpr std::uint64_t marked_value = 0x7ff4dead7ff4dead;

/// Calls f.operator()<Row>() for the element type of the row of a register with this number of bits, 16
/// to 64.
template <class F>
decltype(auto) with_row_type(int bits, const F& f) {
    if (bits == 16) return f.template operator()<std::uint16_t>();
    if (bits == 32) return f.template operator()<std::uint32_t>();
    return f.template operator()<std::uint64_t>();
}

}  // namespace espectra::ptx
