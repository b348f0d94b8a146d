#include "espectra/kernels/cpu/blas.hpp"

#include <mutex>

#include <cblas.h>

namespace espectra::blas {

namespace {
std::mutex threads_mutex;
}

void use_one_thread() {
    static std::once_flag once;
    std::call_once(once, [] { openblas_set_num_threads(1); });
}

void gemm(bool transpose_a, bool transpose_b, Index rows, Index columns, Index inner, double alpha, const double* a,
          Index lda, const double* b, Index ldb, double beta, double* c, Index ldc) {
    use_one_thread();
    cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                static_cast<int>(rows), static_cast<int>(columns), static_cast<int>(inner), alpha, a,
                static_cast<int>(lda), b, static_cast<int>(ldb), beta, c, static_cast<int>(ldc));
}

void symm(Index rows, Index n, const double* h, Index ldh, const double* x, Index ldx, double* y, Index ldy) {
    use_one_thread();
    cblas_dsymm(CblasRowMajor, CblasRight, CblasUpper, static_cast<int>(rows), static_cast<int>(n), 1.0, h,
                static_cast<int>(ldh), x, static_cast<int>(ldx), 0.0, y, static_cast<int>(ldy));
}

Threads::Threads(int count) {
    use_one_thread();
    threads_mutex.lock();
    openblas_set_num_threads(count);
}

Threads::~Threads() {
    openblas_set_num_threads(1);
    threads_mutex.unlock();
}

const char* library() { return openblas_get_config(); }

}  // namespace espectra::blas
