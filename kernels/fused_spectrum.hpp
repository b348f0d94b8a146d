#pragma once

#include "espectra/kernels/network_view.hpp"
#include "espectra/kernels/operations.hpp"
#include "espectra/runtime/view.hpp"

namespace espectra {

/// Most parameters and layers of a network that fused_spectrum can take.
inline constexpr int fused_spectrum_parameters = 64;
inline constexpr int fused_spectrum_layers = 4;

/// Arguments of fused_spectrum, which computes for R networks of up to 64 parameters everything from θ to the
/// eigenvalues in one step: the exact Hessian, its summary (MatrixSummary), its scaling residual
/// (ScalingResidual) and the eigenvalues of the rows that are not zero. One thread of the CPU or one block of
/// threads of a device works on each network, with the same bits.
template <Space S>
struct FusedSpectrum {
    NetworkView network;
    bool full;                                      ///< or the Gauss–Newton part
    View<const double, 2, S> features;              ///< [n_0, m]
    View<const double, 2, S> targets;               ///< [C, m]
    View<const double, 2, S> signs;                 ///< T [d, P]; d = 0: no residual
    View<const double, 2, S> theta, gradient;       ///< [R, P]
    View<double, 1, S> trace, frobenius, residual;  ///< [R]
    View<unsigned char, 2, S> nonzero_row;          ///< [R, P] 1 or 0
    View<double, 2, S> eigenvalues;  ///< [R, P]: in each row as many as matrix rows are not zero, ascending
};

/// Returns true if fused_spectrum can take such a network on this backend and is expected to be the faster
/// way. It is not on the CPU.
bool fused_spectrum_fits(const CpuContext& context, const NetworkView& network);
bool fused_spectrum_fits(const CudaContext& context, const NetworkView& network);

}  // namespace espectra
