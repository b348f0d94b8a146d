#pragma once

#include "espectra/kernels/fused_hessian.hpp"
#include "espectra/runtime/cpu_context.hpp"

namespace espectra {

/// The same for networks with one hidden layer, few inputs and one output: there B of the hidden layer has
/// rank one, A₂ w wᵀ, and with g the derivatives of h₂ by the parameters (up to factors w_i) all but the
/// second derivatives of the hidden units are one symmetric product Σ A₂ g gᵀ. Weights and biases of the
/// hidden units with each other go by pairs of units, A₂ φ_h φ_h times products of ã; all else is two
/// products of matrices. It takes a few more multiply-adds than the blocks do (about 1380 in place of 1243
/// per example for 2-10-1), and no matrices A and M have to be formed.
void shallow_hessian(const FusedHessian& arguments, Index replica, Arena& arena);

/// Whether fused_hessian goes this way.
bool shallow_hessian_fits(const NetworkView& network);

/// Scratch of each worker.
std::size_t shallow_hessian_bytes(const NetworkView& network, Index examples);

}  // namespace espectra
