#pragma once

#include "emulation/emulated_context.hpp"
#include <functional>
#include <utility>

namespace espectra::test {

/// An emulated device whose solver of batches makes mistakes.
class FaultySolver : public EmulatedContext {
  public:
    /// Changes the eigenvalues [R, n] of a batch of several matrices.
    using Mistake = std::function<void(View<double, 2> eigenvalues)>;

    explicit FaultySolver(Mistake mistake) : EmulatedContext(1), mistake_(std::move(mistake)) {
        fuses_spectra = false;
    }

    /// Mistakes are made with single matrices as well if true.
    bool also_alone = false;
    int solved_alone = 0;  ///< matrices solved by themselves

    void after_solve(const Eigenproblems<Space::host>& problems) {
        const bool alone = problems.matrices.extent[0] == 1;
        solved_alone += alone;
        if (!alone || also_alone) mistake_(problems.eigenvalues);
    }

  private:
    Mistake mistake_;
};

inline void symmetric_eigenvalues(FaultySolver& context, const Eigenproblems<Space::host>& problems) {
    symmetric_eigenvalues(static_cast<EmulatedContext&>(context), problems);
    context.after_solve(problems);
}

inline void symmetric_eigenvectors(FaultySolver& context, const Eigenproblems<Space::host>& problems) {
    symmetric_eigenvectors(static_cast<CpuContext&>(context), problems);
    context.after_solve(problems);
}

}  // namespace espectra::test
