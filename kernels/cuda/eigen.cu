#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/cuda/solver_parameters.cuh"
#include "espectra/kernels/group/eigen.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace espectra {

namespace {

// A row-major upper triangle is cuSOLVER's column-major lower one, and its eigenvectors, columns, are rows
// here.
constexpr cublasFillMode_t lower = CUBLAS_FILL_MODE_LOWER;

/// Most numbers of the matrices of one call of cusolverDnXsyevBatched: half a gibibyte, enough matrices to
/// fill a device. The call itself requires that n·lda·batch fits into 31 bits.
constexpr Index most_numbers_per_call = Index{1} << 26;

cusolverEigMode_t mode(bool vectors) {
    return vectors ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
}

cusolverDnHandle_t handle(CudaContext& context) {
    return static_cast<cusolverDnHandle_t>(context.cusolver());
}

struct WorkspaceSize {
    std::size_t device = 0, host = 0;
};

/// `memory`: any device memory. It is neither read nor written, but null is not a valid argument.
WorkspaceSize single_workspace(CudaContext& context, const SolverParameters& parameters, Index n,
                               Index stride, bool vectors, const double* memory) {
    WorkspaceSize size;
    check(cusolverDnXsyevd_bufferSize(handle(context), parameters, mode(vectors), lower, n, CUDA_R_64F,
                                      memory, stride, CUDA_R_64F, memory, CUDA_R_64F, &size.device,
                                      &size.host));
    return size;
}

WorkspaceSize batched_workspace(CudaContext& context, const SolverParameters& parameters, Index count,
                                Index n, Index stride, bool vectors, const double* memory) {
    WorkspaceSize size;
    check(cusolverDnXsyevBatched_bufferSize(handle(context), parameters, mode(vectors), lower, n, CUDA_R_64F,
                                            memory, stride, CUDA_R_64F, memory, CUDA_R_64F, &size.device,
                                            &size.host, count));
    return size;
}

struct Workspace {
    Workspace(CudaContext& context, const WorkspaceSize& size)
        : device(context, static_cast<Index>(size.device)), host(size.host) {}
    Buffer<unsigned char, Space::device> device;
    std::vector<unsigned char> host;
};

/// Throws NumericalError if a matrix has no result; waits for the device.
void solve_single(CudaContext& context, View<double, 3, Space::device> matrices,
                  View<double, 2, Space::device> values, bool vectors) {
    const SolverParameters parameters;
    const Index n = matrices.extent[1], stride = matrices.stride[1];
    Workspace work(context, single_workspace(context, parameters, n, stride, vectors, matrices.data));
    Buffer<int, Space::device> info(context, 1);
    for (Index r = 0; r < matrices.extent[0]; ++r) {
        const NvtxRange range("cusolverDnXsyevd");
        check(cusolverDnXsyevd(handle(context), parameters, mode(vectors), lower, n, CUDA_R_64F,
                               matrices[r].data, stride, CUDA_R_64F, values[r].data, CUDA_R_64F,
                               work.device.data(), static_cast<std::size_t>(work.device.size()),
                               work.host.data(), work.host.size(), info.data()));
        if (const int status = fetch(context, info.data(), 1).front(); status != 0)
            throw NumericalError("cusolverDnXsyevd: info = " + std::to_string(status) + " (matrix " +
                                 std::to_string(r) + ", n = " + std::to_string(n) + ")");
    }
}

/// What solve_batched allocates, besides the library's workspace for `matrices` of them.
struct BatchPlan {
    Index n, stride;             ///< of the matrices that are passed to the library
    Index matrices;              ///< of one call
    bool gather, gather_values;  ///< into arrays of their own first, where they are not contiguous

    Index gathered_numbers() const { return gather ? matrices * n * n : 0; }
    Index gathered_values() const { return gather_values ? matrices * n : 0; }
    std::size_t bytes(const WorkspaceSize& workspace) const {
        return workspace.device +
               static_cast<std::size_t>(gathered_numbers() + gathered_values()) * sizeof(double) +
               static_cast<std::size_t>(matrices) * sizeof(int);
    }
};

/// Plans batches of `count` matrices of n rows, `stride` numbers apart.
BatchPlan plan_batch(Index count, Index n, Index stride, bool contiguous, bool contiguous_values) {
    const Index passed = contiguous ? stride : n;
    const Index fitting = std::max<Index>(1, most_numbers_per_call / (n * passed));
    return {n, passed, std::min(count, fitting), !contiguous, !contiguous_values};
}

/// Sets the eigenvalues of the matrices that have no result to NaN (all bits 1); waits for the device.
void mark_unsolved(CudaContext& context, const Buffer<int, Space::device>& info,
                   View<double, 2, Space::device> values) {
    const std::vector<int> statuses = fetch(context, info.data(), values.extent[0]);
    for (std::size_t i = 0; i < statuses.size(); ++i)
        if (statuses[i] != 0)
            check(cudaMemsetAsync(values[static_cast<Index>(i)].data, 0xff,
                                  static_cast<std::size_t>(values.extent[1]) * sizeof(double),
                                  static_cast<cudaStream_t>(context.stream())));
}

void solve_batched(CudaContext& context, View<double, 3, Space::device> matrices,
                   View<double, 2, Space::device> values, bool vectors) {
    const SolverParameters parameters;
    const Index n = matrices.extent[1], count = matrices.extent[0];
    const BatchPlan plan = plan_batch(count, n, matrices.stride[1],
                                      matrices.stride[0] == n * matrices.stride[1], values.stride[0] == n);
    Workspace work(context, batched_workspace(context, parameters, plan.matrices, n, plan.stride, vectors,
                                              matrices.data));
    Buffer<int, Space::device> info(context, plan.matrices);
    Buffer<double, Space::device> gathered(context, plan.gathered_numbers());
    Buffer<double, Space::device> gathered_values(context, plan.gathered_values());
    for (Index first = 0; first < count; first += plan.matrices) {
        const Index here = std::min(plan.matrices, count - first);
        const auto part = matrices.slice(0, first, here);
        const auto values_part = values.slice(0, first, here);
        const auto matrix = plan.gather ? gathered.view(here, n, n) : part;
        const auto value = plan.gather_values ? gathered_values.view(here, n) : values_part;
        if (plan.gather) group::copy_matrices(context, part, matrix);
        {
            const NvtxRange range("cusolverDnXsyevBatched");
            check(cusolverDnXsyevBatched(handle(context), parameters, mode(vectors), lower, n, CUDA_R_64F,
                                         matrix.data, plan.stride, CUDA_R_64F, value.data, CUDA_R_64F,
                                         work.device.data(), static_cast<std::size_t>(work.device.size()),
                                         work.host.data(), work.host.size(), info.data(), here));
        }
        mark_unsolved(context, info, value);
        if (plan.gather && vectors) group::copy_matrices(context, matrix, part);
        if (plan.gather_values)
            check(cudaMemcpy2DAsync(
                values_part.data, static_cast<std::size_t>(values.stride[0]) * sizeof(double), value.data,
                static_cast<std::size_t>(n) * sizeof(double), static_cast<std::size_t>(n) * sizeof(double),
                static_cast<std::size_t>(here), cudaMemcpyDeviceToDevice,
                static_cast<cudaStream_t>(context.stream())));
    }
}

void solve(CudaContext& context, const Eigenproblems<Space::device>& problems, bool vectors) {
    require_shapes(problems);
    const auto& matrices = problems.matrices;
    const auto& values = problems.eigenvalues;
    if (values.size() == 0) return;
    const EigenSolver solver = cuda_eigen_solver(matrices.extent[0], matrices.extent[1], vectors);
    if (solver == EigenSolver::block) return group::symmetric_eigenvalues(context, problems);
    require_equal("eigenvalues: distance of a row's entries", 1, matrices.stride[2]);
    require_equal("eigenvalues: distance of a matrix's values", 1, values.stride[1]);
    if (solver == EigenSolver::batched)
        solve_batched(context, matrices, values, vectors);
    else
        solve_single(context, matrices, values, vectors);
}

}  // namespace

void symmetric_eigenvalues(CudaContext& context, const Eigenproblems<Space::device>& arguments) {
    solve(context, arguments, false);
}

void symmetric_eigenvectors(CudaContext& context, const Eigenproblems<Space::device>& arguments) {
    solve(context, arguments, true);
}

std::size_t eigen_workspace_bytes(CudaContext& context, Index matrices, Index n, bool vectors) {
    if (matrices == 0 || n == 0 || cuda_eigen_solver(matrices, n, vectors) == EigenSolver::block) return 0;
    const SolverParameters parameters;
    const Buffer<double, Space::device> any(context, 1);
    const std::size_t single =
        single_workspace(context, parameters, n, n, vectors, any.data()).device + sizeof(int);
    if (matrices == 1) return single;
    const Index rows = std::min(n, most_batched_rows);
    const BatchPlan plan = plan_batch(matrices, rows, rows, true, true);
    return std::max(single, plan.bytes(batched_workspace(context, parameters, plan.matrices, rows, rows,
                                                         vectors, any.data())));
}

const char* eigen_library(const CudaContext& /*context*/) {
    static const std::string text = [] {
        std::string version = "cuSOLVER ";
        for (const libraryPropertyType part : {MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL}) {
            int value = 0;
            check(cusolverGetProperty(part, &value));
            if (part != MAJOR_VERSION) version += '.';
            version += std::to_string(value);
        }
        return version + " Xsyevd, XsyevBatched; own bisection up to n = " + std::to_string(most_block_rows);
    }();
    return text.c_str();
}

}  // namespace espectra
