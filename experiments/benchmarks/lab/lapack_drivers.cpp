#include "espectra/experiments/benchmarks/lab/lapack_drivers.hpp"

#include "espectra/kernels/cpu/eigen/two_stage_lapack.hpp"
#include "espectra/runtime/cpu_context.hpp"
#include "espectra/runtime/timer.hpp"

#include <cblas.h>
#include <lapacke.h>

namespace espectra::lab {

namespace {

// Row-major upper is LAPACK's column-major lower.
constexpr char lower = 'L';

std::size_t size(Index count) { return static_cast<std::size_t>(count); }

}  // namespace

const char* name(LapackDriver driver) {
    switch (driver) {
        case LapackDriver::dsyevd:
            return "dsyevd";
        case LapackDriver::dsyevd_2stage:
            return "dsyevd_2stage";
        case LapackDriver::dsyevr:
            return "dsyevr";
    }
    return "";
}

void lapack_eigenvalues(LapackDriver driver, Index n, double* matrix, double* values) {
    const auto rows = static_cast<lapack_int>(n);
    switch (driver) {
        case LapackDriver::dsyevd:
            LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'N', lower, rows, matrix, rows, values);
            break;
        case LapackDriver::dsyevd_2stage:
            LAPACKE_dsyevd_2stage(LAPACK_COL_MAJOR, 'N', lower, rows, matrix, rows, values);
            break;
        case LapackDriver::dsyevr: {
            lapack_int found = 0;
            std::vector<lapack_int> support(size(2 * n));
            LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'N', 'A', lower, rows, matrix, rows, 0, 0, 0, 0, 0, &found,
                           values, nullptr, rows, support.data());
            break;
        }
    }
}

DsyevdInTurn::DsyevdInTurn(Index n) : n_(n), workspace_(size(66 * n + 1)) {}

void DsyevdInTurn::operator()(Index count, double* matrices, double* values) {
    const auto rows = static_cast<lapack_int>(n_);
    for (Index r = 0; r < count; ++r) {
        lapack_int integers = 0;
        LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'N', lower, rows, matrices + r * n_ * n_, rows, values + r * n_,
                            workspace_.data(), static_cast<lapack_int>(workspace_.size()), &integers, 1);
    }
}

TwoStages::TwoStages(int n, int band)
    : n_(n),
      band_(band),
      band_matrix_(size(Index{band + 1} * n)),
      tau_(size(n)),
      values_(size(n)),
      off_diagonal_(size(n)) {
    const int ldab = band + 1, query = -1;
    int info = 0;
    double first = 0, reflectors = 0, second = 0;
    dsytrd_sy2sb_(&lower, &n, &band, nullptr, &n, nullptr, &ldab, nullptr, &first, &query, &info, 1);
    dsytrd_sb2st_("Y", "N", &lower, &n, &band, nullptr, &ldab, nullptr, nullptr, &reflectors, &query, &second,
                  &query, &info, 1, 1, 1);
    first_.resize(static_cast<std::size_t>(first));
    reflectors_.resize(static_cast<std::size_t>(reflectors));
    second_.resize(static_cast<std::size_t>(second));
}

TwoStages::Seconds TwoStages::operator()(double* matrix) {
    const int ldab = band_ + 1, first_length = static_cast<int>(first_.size()),
              reflectors_length = static_cast<int>(reflectors_.size()),
              second_length = static_cast<int>(second_.size());
    int info = 0;
    Seconds seconds{};
    openblas_set_num_threads(available_cores());
    Timer timer;
    const auto lap = [&] {
        const double elapsed = timer.seconds();
        timer.restart();
        return elapsed;
    };
    dsytrd_sy2sb_(&lower, &n_, &band_, matrix, &n_, band_matrix_.data(), &ldab, tau_.data(), first_.data(),
                  &first_length, &info, 1);
    seconds.first = lap();
    openblas_set_num_threads(1);
    dsytrd_sb2st_("Y", "N", &lower, &n_, &band_, band_matrix_.data(), &ldab, values_.data(),
                  off_diagonal_.data(), reflectors_.data(), &reflectors_length, second_.data(),
                  &second_length, &info, 1, 1, 1);
    seconds.second = lap();
    LAPACKE_dsterf(n_, values_.data(), off_diagonal_.data());
    seconds.ql = lap();
    return seconds;
}

}  // namespace espectra::lab
