#pragma once

#include "espectra/kernels/contraction.hpp"
#include "espectra/kernels/fused_hessian.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/math/hessian_recursion.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/models/network.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/error.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace espectra {

enum class HessianPart {
    full,          ///< ∇²ℓ
    gauss_newton,  ///< Jᵀ (∂²ℓ/∂z∂z) J: the part without second derivatives of the network
};

/// Assembles the exact Hessians of R networks by their structure, as matrix products over chunks of examples
/// (docs/mathematics.md). The context and the examples have to outlive it.
template <Backend B>
class HessianAssembler {
    using Matrix3 = View<double, 3, B::space>;

  public:
    /// Stores per-example quantities for as many examples at a time as fit into `chunk_bytes`, or into a
    /// sixteenth of the memory of the Hessians if that is more, since every chunk passes over all of these.
    HessianAssembler(B& context, const Network& network, Examples<B::space> examples, Index replicas,
                     std::size_t chunk_bytes = B::chunk_bytes)
        : context_(&context), network_(network), examples_(examples), replicas_(replicas) {
        require_equal("network inputs against data features", network.inputs(), examples.features.extent[0]);
        require_equal("network outputs against data targets", network.outputs(), examples.targets.extent[0]);
        fused_ = fuses(network, examples.count(), chunk_bytes);
        chunk_ = chunk_examples(network, examples.count(), replicas, chunk_bytes);
    }

    /// Bytes of the per-example quantities, taken at the first assembly, and of the scratch of the
    /// operations. `context` is a B.
    template <class Context>
    static std::size_t bytes(const Context& context, const Network& network, Index examples, Index replicas,
                             std::size_t chunk_bytes = B::chunk_bytes) {
        if constexpr (B::fused_hessian)
            if (fuses(network, examples, chunk_bytes))
                return static_cast<std::size_t>(std::min<Index>(replicas, context.threads())) *
                       fused_hessian_bytes(network.view(), examples);
        const Index chunk = chunk_examples(network, examples, replicas, chunk_bytes);
        return static_cast<std::size_t>(
                   replicas * chunk * doubles_per_example(network) +
                   evaluate_loss_scratch<B::space>(network.loss(), replicas, network.outputs(), chunk)) *
                   sizeof(double) +
               contraction_bytes(context, network.view(), replicas, chunk);
    }

    /// Number of chunks of examples of one network that does not take the fused kernel.
    static Index chunks(const Network& network, Index examples) {
        const Index chunk = chunk_examples(network, examples, 1, B::chunk_bytes);
        return (examples + chunk - 1) / chunk;
    }

    /// Computes the upper triangles of the Hessians [R, P, P] at θ [R, P]; the strict lower triangles do not
    /// change.
    void assemble(View<const double, 2, B::space> theta, Matrix3 hessian,
                  HessianPart part = HessianPart::full) {
        require_equal("Hessian rows", network_.parameters(), hessian.extent[1]);
        if constexpr (B::fused_hessian)
            if (fused_) {
                fused_hessian(*context_, {.network = network_.view(),
                                          .full = part == HessianPart::full,
                                          .features = examples_.features,
                                          .targets = examples_.targets,
                                          .theta = theta,
                                          .hessian = hessian});
                return;
            }
        if (buffer_.size() == 0)
            buffer_ = Buffer<double, B::space>(*context_, replicas_ * chunk_ * doubles_per_example(network_));
        clear_upper(*context_, {hessian});
        for (Index begin = 0; begin < examples_.count(); begin += chunk_) {
            const Index count = std::min(chunk_, examples_.count() - begin);
            add_chunk(theta, begin, count, hessian, part);
            if (!on_chunk_) continue;
            context_->synchronize();
            on_chunk_(begin + count);
        }
    }

    /// Calls report(examples done) after every chunk of examples; the fused kernel has no chunks.
    void on_chunk(std::function<void(Index)> report) { on_chunk_ = std::move(report); }

  private:
    /// Returns true if each network is one task of one thread.
    static bool fuses(const Network& network, Index examples, std::size_t chunk_bytes) {
        return B::fused_hessian && fused_hessian_fits(network.view()) &&
               fused_hessian_bytes(network.view(), examples) <= chunk_bytes;
    }

    static Index doubles_per_example(const Network& network) { return hessian_sizes(network.view()).total(); }

    static Index chunk_examples(const Network& network, Index examples, Index replicas,
                                std::size_t chunk_bytes) {
        const Index share = replicas * network.parameters() * network.parameters() / 16;
        const Index doubles = std::max(static_cast<Index>(chunk_bytes / sizeof(double)), share);
        const Index fitting = doubles / (replicas * doubles_per_example(network));
        return std::clamp<Index>(fitting, 1, std::max<Index>(examples, 1));
    }

    void add_chunk(View<const double, 2, B::space> theta, Index begin, Index m, Matrix3 hessian,
                   HessianPart part) {
        add_hessian_chunk(*context_, HessianChunk<B::space>{
                                         .network = network_.view(),
                                         .total_examples = examples_.count(),
                                         .full = part == HessianPart::full,
                                         .features = share(examples_.features.slice(1, begin, m), replicas_),
                                         .targets = share(examples_.targets.slice(1, begin, m), replicas_),
                                         .theta = theta,
                                         .hessian = hessian,
                                         .memory = buffer_.data()});
    }

    B* context_;
    Network network_;
    Examples<B::space> examples_;
    Index replicas_, chunk_ = 1;
    bool fused_ = false;
    Buffer<double, B::space> buffer_;
    std::function<void(Index)> on_chunk_;
};

}  // namespace espectra
