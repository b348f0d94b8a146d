#pragma once

#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/view.hpp"

#include <vector>

namespace espectra::lab {

/// Hessians of small networks by the steps of kernels/hessian.hpp, which larger networks take, instead of
/// fused_hessian. The context and the network have to outlive it.
class HessianBySteps {
  public:
    HessianBySteps(CpuContext& context, const Network& network, Examples<Space::host> examples,
                   Index replicas);

    /// Upper triangles [R, P, P] at θ [R, P].
    void assemble(View<const double, 2> theta, View<double, 3> hessians);

  private:
    CpuContext* context_;
    const Network* network_;
    Examples<Space::host> examples_;
    Index replicas_;
    Buffer<double, Space::host> memory_;
};

/// The matrix products that the Hessian of a network on m examples consists of, one per block of the Hessian
/// (docs/mathematics.md), by OpenBLAS on arbitrary operands.
class OpenblasProducts {
  public:
    OpenblasProducts(const Network& network, Index examples);

    void run();
    double flops() const;

  private:
    /// A product of rows × columns over m examples, which are contiguous in both operands.
    struct Product {
        Index rows, columns;
        std::vector<double> left, right, result;
    };
    void add(Index rows, Index columns);

    Index examples_;
    std::vector<Product> products_;
};

}  // namespace espectra::lab
