#pragma once

#include "espectra/kernels/group/dense.hpp"
#include "espectra/kernels/group/dense_tangent.hpp"
#include "espectra/kernels/group/eigen.hpp"
#include "espectra/kernels/group/fused_spectrum.hpp"
#include "espectra/kernels/group/fused_training.hpp"
#include "espectra/kernels/group/hessian.hpp"
#include "espectra/kernels/group/loss.hpp"
#include "espectra/kernels/group/matrix.hpp"
#include "espectra/kernels/group/optimizer.hpp"
#include "espectra/kernels/group/spectrum.hpp"
#include "espectra/runtime/buffer.hpp"

#include "emulation/thread_group.hpp"
#include <algorithm>
#include <limits>
#include <vector>

namespace espectra::test {

/// A backend that runs the CUDA backend's block kernels and launch sequences on the CPU, blocks one after the
/// other, each by a group of `threads` threads. Scratch is exactly as large as the kernel says and filled
/// with NaN. Operations without a block kernel fall to the CPU backend.
class EmulatedContext : public CpuContext {
  public:
    explicit EmulatedContext(int threads, Schedule schedule = Schedule::free)
        : CpuContext(1), threads_(threads), schedule_(schedule) {}

    /// Drops the sync() with this number, counted over all launches from now on.
    void drop_sync(long number) {
        dropped_ = number;
        syncs_ = 0;
    }
    /// Calls of sync() by each thread since the beginning or the last drop_sync.
    long syncs() const { return syncs_; }
    Index launches() const { return launches_; }

    /// Whether products run on emulated tensor cores; `threads` has to be a multiple of 32.
    bool tensor_cores = false;
    /// Whether small networks take fused_spectrum, as on a device.
    bool fuses_spectra = true;

    template <GroupKernel K>
    void run(const K& kernel) {
        const Index blocks = kernel.blocks();
        if (blocks == 0) return;
        ++launches_;
        const std::size_t doubles = kernel.shared_doubles();
        std::vector<double> shared(doubles);
        const auto poison = [&] {
            std::fill(shared.begin(), shared.end(), std::numeric_limits<double>::signaling_NaN());
        };
        if constexpr (requires { kernel(SerialGroup{}, Index{}, shared.data()); }) {
            if (threads_ == 1) {
                for (Index block = 0; block < blocks; ++block) {
                    poison();
                    kernel(SerialGroup{}, block, shared.data());
                }
                return;
            }
        }
        ThreadTeam team(threads_, schedule_);
        std::vector<long> syncs(static_cast<std::size_t>(threads_), syncs_);
        team.run([&](int rank) {
            const ThreadGroup group(team, rank, syncs[static_cast<std::size_t>(rank)], dropped_);
            for (Index index = 0; index < blocks; ++index) {
                if (rank == 0) poison();
                team.wait_for_all(rank);
                kernel(group, schedule_ == Schedule::descending ? blocks - 1 - index : index, shared.data());
                team.wait_for_all(rank);
            }
        });
        syncs_ = syncs.front();
    }

  private:
    int threads_;
    Schedule schedule_;
    long syncs_ = 0, dropped_ = -1;
    Index launches_ = 0;
};

template <GroupKernel K>
void launch(EmulatedContext& context, const K& kernel) {
    context.run(kernel);
}

inline bool tensor_cores(const EmulatedContext& context) { return context.tensor_cores; }

// The overloads of the CUDA backend (kernels/cuda/*.cu), in host memory.

#define ESPECTRA_EMULATED(operation, Arguments)                                                \
    inline void operation(EmulatedContext& context, const Arguments<Space::host>& arguments) { \
        group::operation(context, arguments);                                                  \
    }
ESPECTRA_EMULATED(dense_forward, DenseForward)
ESPECTRA_EMULATED(dense_backward, DenseBackward)
ESPECTRA_EMULATED(dense_tangent_forward, DenseTangentForward)
ESPECTRA_EMULATED(dense_tangent_backward, DenseTangentBackward)
ESPECTRA_EMULATED(evaluate_loss, LossEvaluation)
ESPECTRA_EMULATED(score_outputs, OutputScore)
ESPECTRA_EMULATED(activation_curvature, ActivationCurvature)
ESPECTRA_EMULATED(pull_back, PullBack)
ESPECTRA_EMULATED(weights_transposed_times, WeightsTransposedTimes)
ESPECTRA_EMULATED(layer_jacobian, LayerJacobian)
ESPECTRA_EMULATED(contract_layer_block, LayerBlock)
ESPECTRA_EMULATED(contract_cross_block, CrossBlock)
ESPECTRA_EMULATED(summarize, MatrixSummary)
ESPECTRA_EMULATED(scaling_residual, ScalingResidual)
ESPECTRA_EMULATED(adam_step, AdamStep)
ESPECTRA_EMULATED(gradient_descent_step, GradientDescentStep)
#undef ESPECTRA_EMULATED

inline void curvature_times_vector(EmulatedContext& context, View<const double, 4> curvature,
                                   View<const double, 3> vector, View<double, 3> product) {
    group::curvature_times_vector(context, curvature, vector, product);
}
inline void clear_upper(EmulatedContext& context, View<double, 3> matrices) {
    group::clear_upper(context, matrices);
}
inline void symmetrize(EmulatedContext& context, View<double, 3> matrices) {
    group::symmetrize(context, matrices);
}
inline void compress_rows(EmulatedContext& context, View<double, 2> matrix,
                          View<const unsigned char, 1> keep) {
    group::compress_rows(context, matrix, keep);
}
inline void inverse_participation_ratios(EmulatedContext& context, View<const double, 3> vectors,
                                         View<double, 2> ratios) {
    group::inverse_participation_ratios(context, vectors, ratios);
}
inline void mark_divergence(EmulatedContext& context, View<const double, 1> cost,
                            View<const std::int64_t, 1> counter, View<std::int64_t, 1> first_nonfinite) {
    group::mark_divergence(context, cost, counter, first_nonfinite);
}
inline void advance_counter(EmulatedContext& context, View<std::int64_t, 1> counter, std::int64_t epochs) {
    group::advance_counter(context, counter, epochs);
}

/// Shared memory that a block of an H100 may ask for.
inline constexpr std::size_t emulated_shared_bytes = 227 * 1024;

inline void fused_training(EmulatedContext& context, const FusedTraining<Space::host>& arguments) {
    group::fused_training(context, arguments, emulated_shared_bytes);
}
inline bool fused_training_fits(EmulatedContext& /*context*/, const NetworkView& network, Index replicas,
                                Index examples) {
    return group::fused_training_fits(network, replicas, examples, emulated_shared_bytes);
}

inline void symmetric_eigenvalues(EmulatedContext& context, View<double, 3> matrices,
                                  View<double, 2> eigenvalues) {
    if (matrices.extent[1] <= most_block_rows)
        group::small_eigenvalues(context, matrices, eigenvalues);
    else
        symmetric_eigenvalues(static_cast<CpuContext&>(context), matrices, eigenvalues);
}
inline void deflate(EmulatedContext& context, const Deflation<Space::host>& arguments) {
    group::deflate(context, arguments);
}
inline void summarize_spectra(EmulatedContext& context, const SpectrumSummary<Space::host>& arguments) {
    group::summarize_spectra(context, arguments);
}
inline void fused_spectrum(EmulatedContext& context, const FusedSpectrum<Space::host>& arguments) {
    group::fused_spectrum(context, arguments);
}
inline bool fused_spectrum_fits(const EmulatedContext& context, const NetworkView& network) {
    return context.fuses_spectra && group::fused_spectrum_fits(network);
}

}  // namespace espectra::test
