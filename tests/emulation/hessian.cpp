#include "espectra/kernels/group/hessian.hpp"

#include "espectra/kernels/cpu/blas.hpp"

#include "emulation/run_group_kernels.hpp"

namespace espectra::test {

#define HESSIAN_OPERATION ESPECTRA_RUN_GROUP_KERNELS
#include "espectra/kernels/operations.def"

void multiply_factors(EmulatedContext& /*context*/, const FactorProduct<Space::host>& product) {
    const auto& [a, b, c, add] = product;
    for (Index i = 0; i < a.extent[0]; ++i)
        blas::gemm(false, true, c.extent[1], c.extent[2], a.extent[2], 1.0, &a(i, 0, 0), a.stride[1],
                   &b(i, 0, 0), b.stride[1], add ? 1.0 : 0.0, &c(i, 0, 0), c.stride[1]);
}

}  // namespace espectra::test
