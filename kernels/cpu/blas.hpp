#pragma once

#include "espectra/kernels/dense.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/view.hpp"

#include <algorithm>

namespace espectra::blas {

/// C ← alpha·op(A)·op(B) + beta·C, row-major, op(A) is rows × inner, op(B) inner × columns. One thread:
/// Espectra parallelises over chunks of fixed size itself, so that results do not depend on the number of
/// threads.
void gemm(bool transpose_a, bool transpose_b, Index rows, Index columns, Index inner, double alpha,
          const double* a, Index lda, const double* b, Index ldb, double beta, double* c, Index ldc);

/// Holds OpenBLAS's number of threads, one setting of the whole process, at 1. Any number of OneThread
/// objects may exist at a time; a SeveralThreads waits until there are none and blocks new ones. A context
/// that uses several threads therefore never changes the bits of another context.
class OneThread {
  public:
    OneThread();
    ~OneThread();
    OneThread(const OneThread&) = delete;
    OneThread& operator=(const OneThread&) = delete;
};

/// Holds OpenBLAS's number of threads at `count`; see OneThread.
class SeveralThreads {
  public:
    explicit SeveralThreads(int count);
    ~SeveralThreads();
    SeveralThreads(const SeveralThreads&) = delete;
    SeveralThreads& operator=(const SeveralThreads&) = delete;

    /// Changes the number until the next call or the destructor.
    void set(int count);
};

/// Returns OpenBLAS's version, build and the processor family that its kernels are chosen for.
const char* library();

/// The examples of a batch are cut into chunks of this fixed size, for any number of threads.
inline constexpr Index example_chunk = dense_chunk;

/// Calls body(replica, first example, count, worker) for every chunk of every replica, in parallel.
template <class Body>
void for_example_chunks(CpuContext& context, Index replicas, Index examples, Body&& body) {
    const Index chunks = (examples + example_chunk - 1) / example_chunk;
    context.parallel_for(replicas * chunks, [&](Index task, int worker) {
        const Index begin = task % chunks * example_chunk;
        body(task / chunks, begin, std::min(example_chunk, examples - begin), worker);
    });
}

}  // namespace espectra::blas
