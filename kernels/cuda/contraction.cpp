// Contractions of the exact Hessian by cuBLAS: where they are taken, and the library's call.

#include "espectra/kernels/contraction.hpp"

#include "espectra/runtime/cuda/check.hpp"
#include "espectra/runtime/cuda/context.hpp"
#include "espectra/runtime/cuda/device.hpp"
#include "espectra/runtime/cuda/range.hpp"
#include "espectra/runtime/cuda/switches.hpp"
#include "espectra/runtime/error.hpp"

#include <optional>

namespace espectra {

namespace {

/// Returns whether the environment chooses cuBLAS, if it chooses.
std::optional<bool> chosen_library() {
    enum { tiles, cublas };
    static const int chosen = switch_value("ESPECTRA_HESSIAN_PRODUCTS", {"tiles", "cublas"});
    return chosen < 0 ? std::nullopt : std::optional<bool>(chosen == cublas);
}

}  // namespace

void multiply_factors(CudaContext& context, const FactorProduct<Space::device>& product) {
    const auto& [a, b, c, add] = product;
    require_equal("multiply_factors: rows", a.extent[1], c.extent[1]);
    require_equal("multiply_factors: columns", b.extent[1], c.extent[2]);
    require_equal("multiply_factors: examples", a.extent[2], b.extent[2]);
    const auto handle = static_cast<cublasHandle_t>(context.cublas());
    const NvtxRange range("multiply_factors");
    const double one = 1, beta = add ? 1 : 0;
    // Row-major A, B and C are the transposed ones of the library, which is column-major: Cᵀ = B·Aᵀ.
    if (a.extent[0] == 1)
        check(cublasDgemm_64(handle, CUBLAS_OP_T, CUBLAS_OP_N, c.extent[2], c.extent[1], a.extent[2], &one,
                             b.data, b.stride[1], a.data, a.stride[1], &beta, c.data, c.stride[1]));
    else
        check(cublasDgemmStridedBatched_64(handle, CUBLAS_OP_T, CUBLAS_OP_N, c.extent[2], c.extent[1],
                                           a.extent[2], &one, b.data, b.stride[1], b.stride[0], a.data,
                                           a.stride[1], a.stride[0], &beta, c.data, c.stride[1], c.stride[0],
                                           a.extent[0]));
}

bool stores_factors(const CudaContext& context, const ContractionShape& shape) {
    if (const auto library = chosen_library()) return *library;
    return tensor_core_products(context.device()) && library_is_faster(shape);
}

std::size_t contraction_bytes(const CudaContext& context, const NetworkView& network, Index replicas,
                              Index examples) {
    if (!chosen_library().value_or(tensor_core_products(context.device()))) return 0;
    Index doubles = 0;
    for_each_contraction(network, replicas, examples, [&](const ContractionShape& shape) {
        if (!shape.empty()) doubles = std::max(doubles, stored_doubles(largest_part(shape)));
    });
    return static_cast<std::size_t>(doubles) * sizeof(double);
}

}  // namespace espectra
