#pragma once

#include "espectra/kernels/fused_hessian.hpp"
#include "espectra/runtime/cpu_context.hpp"

namespace espectra {

/// Hessian of a network with one hidden layer, few inputs and one output. There B of the hidden layer has
/// rank one, A₂ w wᵀ, and with g the derivatives of h₂ by the parameters (up to factors w_i) all but the
/// second derivatives of the hidden units are one symmetric product Σ A₂ g gᵀ. The block of the hidden units'
/// weights and biases is formed by pairs of units, A₂ φ_h φ_h times products of ã; the rest is two matrix
/// products. This takes a few more multiply-adds than HessianAssembly (about 1380 instead of 1243 per example
/// for 2-10-1), but forms no matrices A and M.
void shallow_hessian(const FusedHessian& arguments, Index replica, Arena& arena);

/// Returns true if fused_hessian uses shallow_hessian.
bool shallow_hessian_fits(const NetworkView& network);

/// Bytes of scratch of each worker.
std::size_t shallow_hessian_bytes(const NetworkView& network, Index examples);

}  // namespace espectra
