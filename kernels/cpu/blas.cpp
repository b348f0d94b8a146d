#include "espectra/kernels/cpu/blas.hpp"

#include <cblas.h>

#include <mutex>
#include <shared_mutex>

namespace espectra::blas {

namespace {
std::shared_mutex threads_mutex;  // shared: one thread; exclusive: several
}

OneThread::OneThread() {
    threads_mutex.lock_shared();
    static std::once_flag once;
    std::call_once(once, [] { openblas_set_num_threads(1); });
}
OneThread::~OneThread() { threads_mutex.unlock_shared(); }

SeveralThreads::SeveralThreads(int count) {
    threads_mutex.lock();
    set(count);
}
SeveralThreads::~SeveralThreads() {
    set(1);
    threads_mutex.unlock();
}
void SeveralThreads::set(int count) { openblas_set_num_threads(count); }

void gemm(bool transpose_a, bool transpose_b, Index rows, Index columns, Index inner, double alpha,
          const double* a, Index lda, const double* b, Index ldb, double beta, double* c, Index ldc) {
    const OneThread one;
    cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, static_cast<int>(rows), static_cast<int>(columns),
                static_cast<int>(inner), alpha, a, static_cast<int>(lda), b, static_cast<int>(ldb), beta, c,
                static_cast<int>(ldc));
}

const char* library() { return openblas_get_config(); }

}  // namespace espectra::blas
