// Tests of the emulated cuBLAS and cuSOLVER: results, and what they refuse or find.

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>
#include <gtest/gtest.h>

#include "ptx/runtime/inspection.hpp"
#include "ptx/runtime/stream_and_pool.hpp"
#include <climits>
#include <cmath>
#include <vector>

namespace espectra::ptx {
namespace {

using Values = std::vector<double>;

class EmulatedLibraries : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(cublasCreate(&blas_), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cublasSetStream(blas_, stream_), CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cusolverDnCreate(&solver_), CUSOLVER_STATUS_SUCCESS);
        ASSERT_EQ(cusolverDnSetStream(solver_, stream_), CUSOLVER_STATUS_SUCCESS);
        ASSERT_EQ(cusolverDnCreateParams(&parameters_), CUSOLVER_STATUS_SUCCESS);
    }
    void TearDown() override {
        for (void* memory : allocated_) EXPECT_EQ(cudaFreeAsync(memory, stream_), cudaSuccess);
        EXPECT_EQ(cusolverDnDestroyParams(parameters_), CUSOLVER_STATUS_SUCCESS);
        EXPECT_EQ(cusolverDnDestroy(solver_), CUSOLVER_STATUS_SUCCESS);
        EXPECT_EQ(cublasDestroy(blas_), CUBLAS_STATUS_SUCCESS);
        EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    }

    void* allocate(std::size_t bytes) { return allocated_.emplace_back(pool_.allocate(bytes, stream_)); }
    double* empty(std::size_t count) { return static_cast<double*>(allocate(count * sizeof(double))); }
    double* upload(const Values& values) {
        double* memory = empty(values.size());
        EXPECT_EQ(cudaMemcpyAsync(memory, values.data(), values.size() * sizeof(double), cudaMemcpyDefault,
                                  stream_),
                  cudaSuccess);
        return memory;
    }
    template <class T>
    std::vector<T> fetch(const T* memory, std::size_t count) {
        std::vector<T> values(count);
        EXPECT_EQ(cudaMemcpyAsync(values.data(), memory, count * sizeof(T), cudaMemcpyDefault, stream_),
                  cudaSuccess);
        return values;
    }

    cublasStatus_t gemm(int m, int n, int k, const double* a, int lda, const double* b, int ldb, double* c,
                        int ldc, double beta = 0) {
        const double one = 1;
        return cublasDgemm(blas_, CUBLAS_OP_N, CUBLAS_OP_T, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc);
    }

    struct Solve {
        std::int64_t n, lda, count;
        double* matrices;
        double* values;
        int* info;
        std::size_t device_bytes = 0, host_bytes = 0;
        void* device = nullptr;
        cusolverEigMode_t mode = CUSOLVER_EIG_MODE_VECTOR;
        cudaDataType type = CUDA_R_64F;
    };
    cusolverStatus_t sizes(Solve& s) {
        return cusolverDnXsyevBatched_bufferSize(solver_, parameters_, s.mode, CUBLAS_FILL_MODE_LOWER, s.n,
                                                 s.type, s.matrices, s.lda, s.type, s.values, s.type,
                                                 &s.device_bytes, &s.host_bytes, s.count);
    }
    cusolverStatus_t solve(const Solve& s) {
        Values host(s.host_bytes / sizeof(double) + 1);
        return cusolverDnXsyevBatched(solver_, parameters_, s.mode, CUBLAS_FILL_MODE_LOWER, s.n, s.type,
                                      s.matrices, s.lda, s.type, s.values, s.type, s.device, s.device_bytes,
                                      host.data(), s.host_bytes, s.info, s.count);
    }
    /// Two matrices 2 × 2, whose upper triangles are not initialised: ((2, 1), (1, 2)) and ((0, 3), (3, 0)).
    Solve problem() {
        double* matrices = empty(8);
        const Values columns[] = {{2, 1}, {2}, {0, 3}, {0}};
        for (int column = 0; column < 4; ++column)
            EXPECT_EQ(cudaMemcpyAsync(matrices + 2 * column + column % 2, columns[column].data(),
                                      columns[column].size() * sizeof(double), cudaMemcpyDefault, stream_),
                      cudaSuccess);
        Solve s{2, 2, 2, matrices, empty(4), static_cast<int*>(allocate(2 * sizeof(int)))};
        EXPECT_EQ(sizes(s), CUSOLVER_STATUS_SUCCESS);
        s.device = allocate(s.device_bytes);
        return s;
    }

    const Stream stream_;
    const Pool pool_;
    cublasHandle_t blas_ = nullptr;
    cusolverDnHandle_t solver_ = nullptr;
    cusolverDnParams_t parameters_ = nullptr;
    std::vector<void*> allocated_;
};

TEST_F(EmulatedLibraries, MultipliesMatrices) {
    // A = ((1, 3), (2, 4)) and B = ((1, 0), (5, 1), (0, 2)) by columns; C = A Bᵀ.
    const double *a = upload({1, 2, 3, 4}), *b = upload({1, 5, 0, 0, 1, 2});
    double* c = empty(6);
    ASSERT_EQ(gemm(2, 3, 2, a, 2, b, 3, c, 2), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(fetch(c, 6), (Values{1, 2, 8, 14, 6, 8}));
    ASSERT_EQ(gemm(2, 3, 2, a, 2, b, 3, c, 2, 1), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(fetch(c, 6), (Values{2, 4, 16, 28, 12, 16}));
}

TEST_F(EmulatedLibraries, UpdatesOneTriangle) {
    const double* a = upload({1, 2, 3});
    double* c = upload(Values(9, 7));
    const double one = 1, zero = 0;
    ASSERT_EQ(cublasDsyrk(blas_, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, 3, 1, &one, a, 3, &zero, c, 3),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(fetch(c, 9), (Values{1, 2, 3, 7, 4, 6, 7, 7, 9}));
}

TEST_F(EmulatedLibraries, MultipliesBatches) {
    const double *a = upload({1, 2, 3}), *b = upload({10, 20, 30});
    double* c = empty(3);
    const double one = 1, zero = 0;
    ASSERT_EQ(cublasDgemmStridedBatched(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a, 1, 1, b, 1, 1,
                                        &zero, c, 1, 1, 3),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(fetch(c, 3), (Values{10, 40, 90}));
}

TEST_F(EmulatedLibraries, CublasRefusesWhatItsDocumentationRefuses) {
    double* x = upload(Values(16, 1));
    EXPECT_EQ(gemm(-1, 2, 2, x, 2, x, 2, x, 2), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(gemm(3, 2, 2, x, 2, x, 2, x, 3), CUBLAS_STATUS_INVALID_VALUE);  // lda < m
    EXPECT_EQ(gemm(2, 3, 2, x, 2, x, 2, x, 2), CUBLAS_STATUS_INVALID_VALUE);  // ldb < n
    EXPECT_EQ(gemm(3, 2, 2, x, 3, x, 2, x, 2), CUBLAS_STATUS_INVALID_VALUE);  // ldc < m
    EXPECT_EQ(cublasDgemm(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, nullptr, x, 1, x, 1, nullptr, x, 1),
              CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(cublasDgemm(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, x, x, 1, x, 1, x, x, 1),
              CUBLAS_STATUS_NOT_INITIALIZED);
    EXPECT_EQ(cublasSetWorkspace(blas_, x + 1, 64), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(cublasSetMathMode(blas_, CUBLAS_FP64_EMULATED_FIXEDPOINT_MATH), CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST_F(EmulatedLibraries, UninitialisedOperandsAreFound) {
    double *a = empty(4), *b = upload({1, 2, 3, 4}), *c = empty(4);
    ASSERT_EQ(gemm(2, 2, 2, a, 2, b, 2, c, 2), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    EXPECT_EQ(espectra_emulated_take_findings(Fault::uninitialized_memory), 1u);
    ASSERT_EQ(gemm(2, 2, 2, b, 2, b, 2, c, 3), CUBLAS_STATUS_SUCCESS);  // C has five numbers
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    EXPECT_EQ(espectra_emulated_take_findings(Fault::out_of_bounds), 1u);
}

TEST_F(EmulatedLibraries, AWorkspaceOfTwoStreamsIsFound) {
    double *a = upload({2}), *c = empty(1), *other_c = empty(1), *workspace = empty(1024);
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    const Stream other;
    ASSERT_EQ(cublasSetWorkspace(blas_, workspace, 8192), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(gemm(1, 1, 1, a, 1, a, 1, c, 1), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cublasSetStream(blas_, other), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cublasSetWorkspace(blas_, workspace, 8192), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(gemm(1, 1, 1, a, 1, a, 1, other_c, 1), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(espectra_emulated_take_findings(Fault::stream_order), 1u);
}

TEST_F(EmulatedLibraries, SolvesEigenproblems) {
    const Solve s = problem();
    ASSERT_EQ(solve(s), CUSOLVER_STATUS_SUCCESS);
    const Values values = fetch(s.values, 4), vectors = fetch(s.matrices, 8);
    EXPECT_EQ(fetch(s.info, 2), (std::vector<int>{0, 0}));
    const double expected[] = {1, 3, -3, 3};
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(values[i], expected[i], 1e-15 * 3);
    for (const double entry : vectors) EXPECT_NEAR(std::fabs(entry), std::sqrt(0.5), 1e-15);
}

TEST_F(EmulatedLibraries, WithoutVectorsTheMatricesAreDestroyed) {
    Solve s = problem();
    s.mode = CUSOLVER_EIG_MODE_NOVECTOR;
    ASSERT_EQ(solve(s), CUSOLVER_STATUS_SUCCESS);
    fetch(s.matrices, 1);
    EXPECT_EQ(espectra_emulated_take_findings(Fault::uninitialized_memory), 1u);
}

TEST_F(EmulatedLibraries, CusolverRefusesWhatItsDocumentationRefuses) {
    const Solve right = problem();
    const auto status = [&](auto change) {
        Solve s = right;
        change(s);
        return solve(s);
    };
    EXPECT_EQ(status([](Solve& s) { s.lda = 1; }), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(status([](Solve& s) { s.n = -1; }), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(status([](Solve& s) { s.count = -1; }), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(status([](Solve& s) { s.matrices = nullptr; }), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(status([](Solve& s) { s.info = nullptr; }), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(status([](Solve& s) { --s.device_bytes; }), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(status([](Solve& s) { --s.host_bytes; }), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(status([](Solve& s) { s.type = CUDA_R_32F; }), CUSOLVER_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(status([](Solve& s) { s.count = 0; }), CUSOLVER_STATUS_SUCCESS);
    Solve large{46340, 46340, 1, nullptr, nullptr, nullptr};
    EXPECT_EQ(sizes(large), CUSOLVER_STATUS_SUCCESS);
    large.count = 2;  // n·lda·batch beyond 31 bits
    EXPECT_EQ(sizes(large), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(cusolverDnSetAdvOptions(parameters_, CUSOLVERDN_SYEVBATCHED, CUSOLVER_ALG_0),
              CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(cusolverDnSetStream(nullptr, stream_), CUSOLVER_STATUS_NOT_INITIALIZED);
}

TEST_F(EmulatedLibraries, ReducesToTridiagonalForm) {
    // Lower triangles; the reduction is orthogonal, so that trace and Frobenius norm are those of the matrix.
    double* a = upload({4, 1, -2, 0, 2, 0, 0, 0, 3});
    double *d = empty(3), *e = empty(2), *tau = empty(2);
    int* info = static_cast<int*>(allocate(sizeof(int)));
    int size = 0;
    ASSERT_EQ(cusolverDnDsytrd_bufferSize(solver_, CUBLAS_FILL_MODE_LOWER, 3, a, 3, d, e, tau, &size),
              CUSOLVER_STATUS_SUCCESS);
    double* work = empty(static_cast<std::size_t>(size));
    const auto reduce = [&](int n, int lda, int lwork) {
        return cusolverDnDsytrd(solver_, CUBLAS_FILL_MODE_LOWER, n, a, lda, d, e, tau, work, lwork, info);
    };
    EXPECT_EQ(reduce(-1, 3, size), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(reduce(3, 2, size), CUSOLVER_STATUS_INVALID_VALUE);
    EXPECT_EQ(reduce(3, 3, size - 1), CUSOLVER_STATUS_INVALID_VALUE);
    ASSERT_EQ(reduce(3, 3, size), CUSOLVER_STATUS_SUCCESS);
    const Values diagonal = fetch(d, 3), beside = fetch(e, 2);
    EXPECT_EQ(fetch(info, 1), std::vector<int>{0});
    EXPECT_NEAR(diagonal[0] + diagonal[1] + diagonal[2], 9, 1e-14);
    EXPECT_NEAR(std::fabs(beside[0]), std::sqrt(5.0), 1e-14);  // norm of the first column below the diagonal
    double squares = 0;
    for (const double value : diagonal) squares += value * value;
    for (const double value : beside) squares += 2 * value * value;
    EXPECT_NEAR(squares, 16 + 4 + 9 + 2 * (1 + 4), 1e-13);
}

TEST_F(EmulatedLibraries, ACaptureEndsWhereTheyWait) {
    const Solve s = problem();
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(solve(s), CUSOLVER_STATUS_INTERNAL_ERROR);
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
    ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    cublasHandle_t handle = nullptr;
    EXPECT_EQ(cublasCreate(&handle), CUBLAS_STATUS_NOT_INITIALIZED);
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
    cudaGetLastError();
}

}  // namespace
}  // namespace espectra::ptx
