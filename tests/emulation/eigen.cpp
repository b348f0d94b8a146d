#include "espectra/kernels/group/eigen.hpp"

#include "emulation/emulated_context.hpp"

namespace espectra::test {

void symmetric_eigenvalues(EmulatedContext& context, const Eigenproblems<Space::host>& arguments) {
    if (arguments.matrices.extent[1] <= most_block_rows)
        group::symmetric_eigenvalues(context, arguments);
    else
        symmetric_eigenvalues(static_cast<CpuContext&>(context), arguments);
}

}  // namespace espectra::test
