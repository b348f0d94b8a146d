#pragma once

#include "espectra/kernels/network_view.hpp"
#include "espectra/runtime/view.hpp"

namespace espectra {

class CpuContext;
class CudaContext;

/// Largest networks whose spectrum is one step: parameters and layers.
inline constexpr int fused_spectrum_parameters = 64;
inline constexpr int fused_spectrum_layers = 4;

/// From θ to eigenvalues in one step, for R networks of at most 64 parameters: exact Hessian, its summary
/// (MatrixSummary), its scaling residual (ScalingResidual) and the eigenvalues of the rows that are not zero.
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
    View<double, 2, S> eigenvalues;  ///< [R, P]: of each row as many as matrix rows are not zero, ascending
};

/// On the CPU one thread does what a block of threads does on a device, with the same bits.
void fused_spectrum(CpuContext& context, const FusedSpectrum<Space::host>& arguments);
void fused_spectrum(CudaContext& context, const FusedSpectrum<Space::device>& arguments);

/// Whether spectra of such networks are to be computed in one step. Not on the CPU, where LAPACK is as close.
bool fused_spectrum_fits(const CpuContext& context, const NetworkView& network);
bool fused_spectrum_fits(const CudaContext& context, const NetworkView& network);

}  // namespace espectra
