#pragma once

#include "espectra/kernels/contraction.hpp"
#include "espectra/kernels/dense.hpp"
#include "espectra/kernels/eigen.hpp"
#include "espectra/kernels/fused_spectrum.hpp"
#include "espectra/kernels/fused_training.hpp"
#include "espectra/kernels/group/group.hpp"
#include "espectra/kernels/hessian.hpp"
#include "espectra/kernels/loss.hpp"
#include "espectra/kernels/matrix.hpp"
#include "espectra/kernels/optimizer.hpp"
#include "espectra/kernels/spectrum.hpp"
#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/cuda/context.hpp"

#include "emulation/thread_group.hpp"
#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

namespace espectra::test {

/// A backend that runs the CUDA backend's group kernels and launch sequences on the CPU: blocks in turn, each
/// by a group of `threads` threads. Scratch is exactly as large as the kernel declares and filled with NaN.
/// Operations without a group kernel run on the CPU backend.
class EmulatedContext : public CpuContext {
  public:
    static constexpr bool fused_hessian = CudaContext::fused_hessian;
    static constexpr const char* fused_method = CudaContext::fused_method;

    explicit EmulatedContext(int threads, Schedule schedule = Schedule::free)
        : CpuContext(1), threads_(threads), schedule_(schedule) {}

    /// Skips the sync() with this number, counted over all launches from now on.
    void drop_sync(long number) {
        dropped_ = number;
        syncs_ = 0;
    }
    /// Returns the number of calls of sync() by each thread since the beginning or the last drop_sync.
    long syncs() const { return syncs_; }
    Index launches() const { return launches_; }

    /// Products run on emulated tensor cores if true; `threads` then has to be a multiple of 32.
    bool tensor_cores = false;
    /// Returns true for the contractions that store their factors, as on a device those by cuBLAS; empty:
    /// none.
    std::function<bool(const ContractionShape&)> stores_factors;
    /// Small networks take fused_spectrum, as on a device, if true.
    bool fuses_spectra = true;
    /// Shared memory that a block can have: that of an H100.
    std::size_t most_shared_bytes = 227 * 1024;

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

inline bool stores_factors(const EmulatedContext& context, const ContractionShape& shape) {
    return context.stores_factors && context.stores_factors(shape);
}

/// On a device by cuBLAS, here by OpenBLAS.
void multiply_factors(EmulatedContext& context, const FactorProduct<Space::host>& product);

inline std::size_t most_shared_bytes(const EmulatedContext& context) { return context.most_shared_bytes; }

/// Lists are made by the group kernels, however long they are.
template <class K>
bool lists_by_library(EmulatedContext& /*context*/, const K& /*kernel*/) {
    return false;
}

// The overloads of the CUDA backend, in host memory. As there, tests/emulation/<contract>.cpp compiles the
// group kernels of a contract once.

#define OPERATION(name, Arguments) \
    void name(EmulatedContext& context, const Arguments<Space::host>& arguments);
#define EIGEN_OPERATION(name, Arguments)  // on a device by cuSOLVER too
#include "espectra/kernels/operations.def"

/// Computes eigenvalues by the group kernel up to most_block_rows, otherwise by LAPACK in place of cuSOLVER.
void symmetric_eigenvalues(EmulatedContext& context, const Eigenproblems<Space::host>& arguments);

/// On a device by cuSOLVER, here by LAPACK.
inline bool batches_eigenvectors(const EmulatedContext& /*context*/, Index matrices, Index n) {
    return cuda_eigen_solver(matrices, n, true) == EigenSolver::batched;
}

bool fused_training_fits(EmulatedContext& context, const NetworkView& network, Index replicas,
                         Index examples);
bool fused_spectrum_fits(const EmulatedContext& context, const NetworkView& network);

}  // namespace espectra::test
