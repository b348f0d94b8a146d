#pragma once

#include "espectra/kernels/network_view.hpp"
#include "espectra/runtime/view.hpp"

#include <cstddef>

namespace espectra {

class CpuContext;

/// Arguments of fused_hessian, which computes the exact Hessians of R small networks over all examples by the
/// recursion of docs/mathematics.md: one network per thread, in chunks of examples that stay in the caches of
/// its core.
struct FusedHessian {
    NetworkView network;
    bool full;                       ///< or the Gauss–Newton part
    View<const double, 2> features;  ///< [n_0, m]
    View<const double, 2> targets;   ///< [C, m]
    View<const double, 2> theta;     ///< [R, P]
    View<double, 3> hessian;         ///< [R, P, P] upper triangles, overwritten
};

/// Each Hessian has the same bits for any number of threads and of networks. On the CPU alone.
void fused_hessian(CpuContext& context, const FusedHessian& arguments);

/// Returns true if fused_hessian is faster than the operations of kernels/hessian.hpp one by one.
bool fused_hessian_fits(const NetworkView& network);

/// Bytes of scratch of each worker.
std::size_t fused_hessian_bytes(const NetworkView& network, Index examples);

/// Multiply-adds per example of the contractions over examples: each block's distinct products. With n units,
/// k inputs, b = 1 where β is trained, else 0, and u = n(n+1)/2 unit pairs (u = n in the last layer under a
/// loss that is a sum over outputs):
///   layer with itself  u (k+1)(k+2)/2;  its β  b (u′ (k+1) + u), u′ = n² (n likewise);
///   layer l < k        n_l (k_l + 1 + b_l) n_k (k_k + 1 + b_k)
Index hessian_products(const NetworkView& network);

}  // namespace espectra
