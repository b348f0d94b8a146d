#pragma once

#include "ptx/program/program.hpp"
#include <cstddef>
#include <span>
#include <vector>

namespace espectra::ptx {

/// Finds, for each read of a register, whether the register has certainly been assigned on all paths from the
/// kernel's begin (a forward data-flow analysis; the sets of the predecessors are intersected). What a
/// guarded instruction writes is not certain. Constants and special registers are always assigned.
class DefiniteAssignment {
  public:
    explicit DefiniteAssignment(const Program& program);

    /// Returns the registers, without repetition, that the instruction reads (its guard included) and that
    /// may be unassigned: these reads have to be checked when they are executed. Empty if all are certain.
    std::span<const int> uncertain_reads(int instruction) const {
        return uncertain_[static_cast<std::size_t>(instruction)];
    }

    /// Returns the registers that occur in some uncertain_reads(), ascending: only whether these are assigned
    /// has to be tracked for each thread.
    std::span<const int> tracked() const { return tracked_; }

  private:
    std::vector<std::vector<int>> uncertain_;
    std::vector<int> tracked_;
};

}  // namespace espectra::ptx
