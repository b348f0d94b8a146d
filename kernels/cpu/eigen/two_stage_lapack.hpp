#pragma once

#include <cstddef>

namespace espectra {

// Declarations of the two stages of dsyevd_2stage, which LAPACKE does not have (LAPACK 3.7 and newer):
// dense to band, band to tridiagonal.
extern "C" {
void dsytrd_sy2sb_(const char* uplo, const int* n, const int* kd, double* a, const int* lda, double* ab,
                   const int* ldab, double* tau, double* work, const int* lwork, int* info,
                   std::size_t uplo_length);
void dsytrd_sb2st_(const char* stage1, const char* vect, const char* uplo, const int* n, const int* kd,
                   double* ab, const int* ldab, double* d, double* e, double* hous, const int* lhous,
                   double* work, const int* lwork, int* info, std::size_t stage1_length,
                   std::size_t vect_length, std::size_t uplo_length);
}

}  // namespace espectra
