#include "espectra/kernels/cuda/launch.cuh"
#include "espectra/kernels/group/eigen.hpp"

#include <algorithm>
#include <climits>
#include <string>
#include <vector>

namespace espectra {

namespace {

// A row-major upper triangle is cuSOLVER's column-major lower one, and its eigenvectors, columns, are rows
// here.
constexpr cublasFillMode_t lower = CUBLAS_FILL_MODE_LOWER;

/// Most numbers of matrices that are not contiguous and are gathered for cusolverDnXsyevBatched at a time:
/// half a gibibyte.
constexpr Index most_gathered = Index{1} << 26;

/// Most numbers of one call of cusolverDnXsyevBatched: n·lda·batch has to fit into 31 bits.
constexpr Index most_batched = INT_MAX;

cusolverEigMode_t mode(bool vectors) {
    return vectors ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
}

cusolverDnHandle_t handle(CudaContext& context) {
    return static_cast<cusolverDnHandle_t>(context.cusolver());
}

class Parameters {
  public:
    Parameters() {
        check(cusolverDnCreateParams(&parameters_));
        // The default algorithm is reported to fail for rank-deficient matrices, such as those of ReLU
        // networks; espectra-cuda-facts compares the two.
        check(cusolverDnSetAdvOptions(parameters_, CUSOLVERDN_SYEVBATCHED, CUSOLVER_ALG_1));
    }
    ~Parameters() { cusolverDnDestroyParams(parameters_); }
    Parameters(const Parameters&) = delete;
    Parameters& operator=(const Parameters&) = delete;
    operator cusolverDnParams_t() const { return parameters_; }

  private:
    cusolverDnParams_t parameters_ = nullptr;
};

struct WorkspaceSize {
    std::size_t device = 0, host = 0;
};

WorkspaceSize single_workspace(CudaContext& context, const Parameters& parameters, Index n, Index stride,
                               bool vectors) {
    WorkspaceSize size;
    check(cusolverDnXsyevd_bufferSize(handle(context), parameters, mode(vectors), lower, n, CUDA_R_64F,
                                      nullptr, stride, CUDA_R_64F, nullptr, CUDA_R_64F, &size.device,
                                      &size.host));
    return size;
}

WorkspaceSize batched_workspace(CudaContext& context, const Parameters& parameters, Index count, Index n,
                                Index stride, bool vectors) {
    WorkspaceSize size;
    check(cusolverDnXsyevBatched_bufferSize(handle(context), parameters, mode(vectors), lower, n, CUDA_R_64F,
                                            nullptr, stride, CUDA_R_64F, nullptr, CUDA_R_64F, &size.device,
                                            &size.host, count));
    return size;
}

struct Workspace {
    Workspace(CudaContext& context, const WorkspaceSize& size)
        : device(context, static_cast<Index>(size.device)), host(size.host) {}
    Buffer<unsigned char, Space::device> device;
    std::vector<unsigned char> host;
};

/// Waits for the device and throws NumericalError if a matrix, counted from `first`, has no result.
void check_info(CudaContext& context, const char* routine, const Buffer<int, Space::device>& info,
                Index count, Index first, Index n) {
    const std::vector<int> values = fetch(context, info.data(), count);
    for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] != 0)
            throw NumericalError(std::string(routine) + ": info = " + std::to_string(values[i]) +
                                 " (matrix " + std::to_string(first + static_cast<Index>(i)) +
                                 ", n = " + std::to_string(n) + ")");
}

void solve_single(CudaContext& context, View<double, 3, Space::device> matrices,
                  View<double, 2, Space::device> values, bool vectors) {
    const Parameters parameters;
    const Index n = matrices.extent[1], stride = matrices.stride[1];
    Workspace work(context, single_workspace(context, parameters, n, stride, vectors));
    Buffer<int, Space::device> info(context, 1);
    for (Index r = 0; r < matrices.extent[0]; ++r) {
        const NvtxRange range("cusolverDnXsyevd");
        check(cusolverDnXsyevd(handle(context), parameters, mode(vectors), lower, n, CUDA_R_64F,
                               matrices[r].data, stride, CUDA_R_64F, values[r].data, CUDA_R_64F,
                               work.device.data(), static_cast<std::size_t>(work.device.size()),
                               work.host.data(), work.host.size(), info.data()));
        check_info(context, "cusolverDnXsyevd", info, 1, r, n);
    }
}

/// Matrices of one call.
struct Batch {
    Index matrices;
    bool gather;  ///< into one array first
};

Batch batch_of(View<double, 3, Space::device> matrices) {
    const Index n = matrices.extent[1], stride = matrices.stride[1];
    const bool gather = matrices.stride[0] != n * stride;
    const Index most = gather ? most_gathered / (n * n) : most_batched / (n * stride);
    return {std::min(matrices.extent[0], most), gather};
}

void solve_batched(CudaContext& context, View<double, 3, Space::device> matrices,
                   View<double, 2, Space::device> values, bool vectors) {
    const Parameters parameters;
    const Index n = matrices.extent[1], count = matrices.extent[0];
    const Batch batch = batch_of(matrices);
    const Index stride = batch.gather ? n : matrices.stride[1];
    Workspace work(context, batched_workspace(context, parameters, batch.matrices, n, stride, vectors));
    Buffer<int, Space::device> info(context, batch.matrices);
    Buffer<double, Space::device> gathered(context, batch.gather ? batch.matrices * n * n : 0);
    const bool contiguous_values = values.stride[0] == n;
    Buffer<double, Space::device> gathered_values(context, contiguous_values ? 0 : batch.matrices * n);
    for (Index first = 0; first < count; first += batch.matrices) {
        const Index here = std::min(batch.matrices, count - first);
        const auto part = matrices.slice(0, first, here);
        const auto values_part = values.slice(0, first, here);
        const auto matrix = batch.gather ? gathered.view(here, n, n) : part;
        const auto value = contiguous_values ? values_part : gathered_values.view(here, n);
        if (batch.gather) group::copy_matrices(context, part, matrix);
        {
            const NvtxRange range("cusolverDnXsyevBatched");
            check(cusolverDnXsyevBatched(handle(context), parameters, mode(vectors), lower, n, CUDA_R_64F,
                                         matrix.data, stride, CUDA_R_64F, value.data, CUDA_R_64F,
                                         work.device.data(), static_cast<std::size_t>(work.device.size()),
                                         work.host.data(), work.host.size(), info.data(), here));
        }
        check_info(context, "cusolverDnXsyevBatched", info, here, first, n);
        if (batch.gather && vectors) group::copy_matrices(context, matrix, part);
        if (!contiguous_values)
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
    if (matrices == 0 || n == 0) return 0;
    const EigenSolver solver = cuda_eigen_solver(matrices, n, vectors);
    if (solver == EigenSolver::block) return 0;
    const Parameters parameters;
    if (solver == EigenSolver::single)
        return single_workspace(context, parameters, n, n, vectors).device + sizeof(int);
    // For matrices that have to be gathered.
    const Index count = std::min(matrices, most_gathered / (n * n));
    return batched_workspace(context, parameters, count, n, n, vectors).device +
           static_cast<std::size_t>(count) *
               (static_cast<std::size_t>(n * (n + 1)) * sizeof(double) + sizeof(int));
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
