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

    /// Two products C = A Bᵀ of 2 × 3 entries, with rows to spare in all three.
    struct Batch {
        cublasHandle_t handle;
        const double *a, *b;
        double* c;
        const double *alpha, *beta;
        std::int64_t m = 2, n = 3, k = 4, lda = 3, ldb = 5, ldc = 4, count = 2;
        long long stride_a = 12, stride_b = 20, stride_c = 12;
        cublasOperation_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_T;
    };
    const double one_ = 1, zero_ = 0;
    Batch batch() { return {blas_, upload(Values(24, 1)), upload(Values(40, 2)), empty(24), &one_, &zero_}; }
    static cublasStatus_t multiply(const Batch& p) {
        return cublasDgemmStridedBatched_64(p.handle, p.op_a, p.op_b, p.m, p.n, p.k, p.alpha, p.a, p.lda,
                                            p.stride_a, p.b, p.ldb, p.stride_b, p.beta, p.c, p.ldc,
                                            p.stride_c, p.count);
    }
    static cublasStatus_t multiply_first(const Batch& p) {
        return cublasDgemm_64(p.handle, p.op_a, p.op_b, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb,
                              p.beta, p.c, p.ldc);
    }
    /// Expects one place with this fault, and nothing else, in the work that `change` makes of batch().
    template <class Change>
    void expect_fault(Fault fault, const Change& change) {
        for (const auto call : {multiply, multiply_first}) {
            Batch changed = batch();
            change(changed);
            EXPECT_EQ(call(changed), CUBLAS_STATUS_SUCCESS);
            ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
            EXPECT_EQ(espectra_emulated_take_findings(fault), 1u);
        }
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
    Batch p{.handle = blas_, .a = a, .b = b, .c = c, .alpha = &one_, .beta = &zero_};
    p.m = p.n = p.k = p.lda = p.ldb = p.ldc = p.stride_a = p.stride_b = p.stride_c = 1;
    p.count = 3;
    ASSERT_EQ(multiply(p), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(fetch(c, 3), (Values{10, 40, 90}));
    p.beta = &one_;
    ASSERT_EQ(multiply_first(p), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(fetch(c, 3), (Values{20, 40, 90}));
    p.stride_a = 0;  // all products have the same A
    ASSERT_EQ(multiply(p), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(fetch(c, 3), (Values{30, 60, 120}));
}

TEST_F(EmulatedLibraries, CublasRefusesWhatItsDocumentationRefuses) {
    double* x = upload(Values(16, 1));
    EXPECT_EQ(gemm(-1, 2, 2, x, 2, x, 2, x, 2), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(gemm(3, 2, 2, x, 2, x, 2, x, 3), CUBLAS_STATUS_INVALID_VALUE);  // lda < m
    EXPECT_EQ(cublasDsyrk(blas_, CUBLAS_FILL_MODE_LOWER, CUBLAS_OP_N, 3, 1, &one_, x, 2, &zero_, x, 3),
              CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(cublasSetWorkspace(blas_, x + 1, 64), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(cublasSetMathMode(blas_, CUBLAS_FP64_EMULATED_FIXEDPOINT_MATH), CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST_F(EmulatedLibraries, CublasRefusesProducts) {
    const Batch right = batch();
    using Call = cublasStatus_t (*)(const Batch&);
    const auto status = [&](Call call, auto change) {
        Batch changed = right;
        change(changed);
        return call(changed);
    };
    for (const Call call : {Call{multiply}, Call{multiply_first}}) {
        const auto invalid = [&](auto change) {
            EXPECT_EQ(status(call, change), CUBLAS_STATUS_INVALID_VALUE);
        };
        invalid([](Batch& p) { p.m = -1; });
        invalid([](Batch& p) { p.n = -1; });
        invalid([](Batch& p) { p.k = -1; });
        invalid([](Batch& p) { p.lda = 1; });             // below m
        invalid([](Batch& p) { p.ldb = 2; });             // below n
        invalid([](Batch& p) { p.ldc = 1; });             // below m
        invalid([](Batch& p) { p.op_a = CUBLAS_OP_T; });  // then lda is below k
        invalid([](Batch& p) { p.op_b = CUBLAS_OP_CONJG; });
        invalid([](Batch& p) { p.alpha = nullptr; });
        invalid([](Batch& p) { p.beta = nullptr; });
        invalid([](Batch& p) { p.c = nullptr; });
        EXPECT_EQ(status(call, [](Batch& p) { p.handle = nullptr; }), CUBLAS_STATUS_NOT_INITIALIZED);
        EXPECT_EQ(status(call, [](Batch& p) { p.n = 0; }), CUBLAS_STATUS_SUCCESS);
        EXPECT_EQ(call(right), CUBLAS_STATUS_SUCCESS);
    }
    EXPECT_EQ(status(multiply, [](Batch& p) { p.count = -1; }), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(status(multiply, [](Batch& p) { p.stride_c = 9; }), CUBLAS_STATUS_INVALID_VALUE);  // overlap
    EXPECT_EQ(status(multiply, [](Batch& p) { p.count = 0; }), CUBLAS_STATUS_SUCCESS);
}

TEST_F(EmulatedLibraries, ScalarsOnTheDeviceAreFound) {
    Batch p = batch();
    p.beta = upload({0});
    EXPECT_EQ(multiply(p), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(espectra_emulated_take_findings(Fault::invalid_argument), 1u);
}

TEST_F(EmulatedLibraries, WrongMemoryOfProductsIsFound) {
    expect_fault(Fault::out_of_bounds, [](Batch& p) { p.a = nullptr; });
    expect_fault(Fault::out_of_bounds, [](Batch& p) { p.b += 23; });
    expect_fault(Fault::out_of_bounds, [](Batch& p) { p.c += 20; });
    expect_fault(Fault::misaligned, [](Batch& p) {
        p.b = reinterpret_cast<const double*>(reinterpret_cast<const char*>(p.b) + 4);
    });
    expect_fault(Fault::uninitialized_memory, [&](Batch& p) { p.a = empty(24); });
    // Without an initial value of C the old one is needed.
    expect_fault(Fault::uninitialized_memory, [&](Batch& p) { p.beta = &one_; });
    // The first product is right, the second one lies beyond the array.
    Batch p = batch();
    p.stride_b = 40;
    EXPECT_EQ(multiply(p), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    EXPECT_EQ(espectra_emulated_take_findings(Fault::out_of_bounds), 1u);
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
