#include "espectra/kernels/group/fused_spectrum.hpp"
#include "espectra/runtime/cpu_context.hpp"

namespace espectra {

namespace {

/// Runs a group kernel with one thread per group.
template <GroupKernel K>
void launch(CpuContext& context, const K& kernel) {
    context.parallel_for(kernel.blocks(), [&](Index block, int worker) {
        Arena::Frame frame(context.arena(worker));
        double* shared = context.arena(worker).take<double>(static_cast<Index>(kernel.shared_doubles()));
        kernel(SerialGroup{}, block, shared);
    });
}

}  // namespace

void fused_spectrum(CpuContext& context, const FusedSpectrum<Space::host>& a) {
    launch(context, group::fused_spectrum_kernel(a));
}

bool fused_spectrum_fits(const CpuContext& /*context*/, const NetworkView& /*network*/) { return false; }

}  // namespace espectra
