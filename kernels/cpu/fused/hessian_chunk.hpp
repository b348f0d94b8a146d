#pragma once

#include "espectra/kernels/cpu/hessian/example_products.hpp"
#include "espectra/kernels/fused_hessian.hpp"
#include "espectra/runtime/cpu_context.hpp"

namespace espectra {

/// Length of the rows of a chunk. All chunks have the same length; the last one is padded.
Index chunk_length(Index examples);

/// Layer states and derivatives of the loss, from which both algorithms for a small network's Hessian start,
/// for one network and one chunk of examples at a time. One row per quantity, examples contiguous; rows of
/// one kind are consecutive.
class ChunkStates {
  public:
    /// Number of rows that it takes from the arena.
    static Index row_count(const NetworkView& network);

    ChunkStates(const FusedHessian& arguments, Index replica, Arena& arena);

  protected:
    /// States of one layer, [n] rows each; those of β only where it is trained.
    struct State {
        double *output, *d_h, *d_hh, *d_beta, *d_hbeta, *d_betabeta;
    };

    const Layer& layer(Index l) const { return a_.network.layers[l]; }
    const Layer& last() const { return a_.network.last(); }
    const double* weights(Index l) const { return theta_ + layer(l).offsets.weights; }
    double* take(Index count) { return arena_.take<double>(count * length_); }
    State state(Index l) const;
    const double* input(Index l) const { return l == 0 ? features_ : state(l - 1).output; }

    /// Evaluates examples [begin, begin + count): states of all layers, δ^a of the last one, and of ∂²ℓ/∂z∂z
    /// the diagonal, for softmax with the probabilities. Padding has weight 0; the Gauss–Newton part has δ =
    /// 0.
    void evaluate(Index begin, Index count) const;

    /// Writes pointers to `count` consecutive rows; returns the end of the pointers.
    const double** point(const double** pointers, const double* first, Index count) const {
        for (Index i = 0; i < count; ++i) *pointers++ = first + i * length_;
        return pointers;
    }
    void multiply(const double* x, const double* y, double* out) const {
        using simd::at;
        for (Index e = 0, length = length_; e < length; e += simd::lanes) at(out, e) = at(x, e) * at(y, e);
    }
    double dot(const double* x, const double* y) const {
        using simd::at;
        simd::Vector sum{};
        for (Index e = 0; e < length_; e += simd::lanes) sum = simd::multiply_add(at(x, e), at(y, e), sum);
        return simd::lane_sum(sum);
    }

    const FusedHessian& a_;
    const double* theta_;
    View<double, 2> hessian_;
    Index examples_, length_;
    Arena& arena_;
    double *ones_, *features_, *targets_, *states_, *delta_, *second_, *probabilities_, *scratch_;

  private:
    void preactivations(const double* w, double bias, const double* in, Index inputs, double* h) const;
    void load(View<const double, 2> values, Index begin, Index count, double* out) const;
    void forward(Index l) const;
    void softmax_loss(const double* z, double weight) const;
};

}  // namespace espectra
