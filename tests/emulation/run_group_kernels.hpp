#pragma once

#include "emulation/emulated_context.hpp"

/// Defines an operation on the emulated backend by its group kernels, as ESPECTRA_RUN_GROUP_KERNELS does in
/// kernels/cuda/launch.cuh for CUDA.
#define ESPECTRA_RUN_GROUP_KERNELS(name, Arguments)                                \
    void name(EmulatedContext& context, const Arguments<Space::host>& arguments) { \
        group::name(context, arguments);                                           \
    }
