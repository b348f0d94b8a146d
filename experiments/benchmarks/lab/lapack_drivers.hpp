#pragma once

#include "espectra/runtime/view.hpp"

#include <vector>

namespace espectra::lab {

/// Drivers of LAPACK for eigenvalues of symmetric matrices.
enum class LapackDriver { dsyevd, dsyevd_2stage, dsyevr };

/// Name of the routine.
const char* name(LapackDriver driver);

/// Eigenvalues [n], ascending, of the upper triangle of a row-major matrix [n, n], which is destroyed; on as
/// many threads as OpenBLAS is set to.
void lapack_eigenvalues(LapackDriver driver, Index n, double* matrix, double* values);

/// dsyevd on small matrices, one at a time, with its workspace allocated once.
class DsyevdInTurn {
  public:
    explicit DsyevdInTurn(Index n);
    /// Eigenvalues [count, n] of the upper triangles of row-major matrices [count, n, n], which are
    /// destroyed.
    void operator()(Index count, double* matrices, double* values);

  private:
    Index n_;
    std::vector<double> workspace_;
};

/// The reduction to tridiagonal form in two stages, with a band of a given width between them, then the QL
/// iteration: what kernels/cpu/eigen/lapack.cpp does with one width for large matrices.
class TwoStages {
  public:
    TwoStages(int n, int band);

    /// Seconds of each step; the first stage takes all cores.
    struct Seconds {
        double first, second, ql;
        double total() const { return first + second + ql; }
    };

    /// Eigenvalues of the upper triangle of a row-major matrix [n, n], which is destroyed.
    Seconds operator()(double* matrix);

    const std::vector<double>& values() const { return values_; }

  private:
    int n_, band_;
    std::vector<double> first_, reflectors_, second_, band_matrix_, tau_, values_, off_diagonal_;
};

}  // namespace espectra::lab
