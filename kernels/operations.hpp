#pragma once

#include "espectra/runtime/view.hpp"

namespace espectra {

class CpuContext;
class CudaContext;

// The operations of operations.def on the backends. The contracts of this folder (dense.hpp, loss.hpp, …)
// define and document their arguments; Arguments<Space::host> passed to a CudaContext does not compile.
#define OPERATION(name, Arguments)                                           \
    template <Space S>                                                       \
    struct Arguments;                                                        \
    void name(CpuContext& context, const Arguments<Space::host>& arguments); \
    void name(CudaContext& context, const Arguments<Space::device>& arguments);
#include "espectra/kernels/operations.def"

}  // namespace espectra
