#pragma once

#include "espectra/experiments/benchmarks/operations/arguments.hpp"
#include "espectra/experiments/benchmarks/operations/coupling.hpp"
#include "espectra/experiments/benchmarks/operations/layer.hpp"
#include "espectra/experiments/benchmarks/operations/network.hpp"

#include <cstddef>
#include <string>
#include <vector>

// The table of the kernel operations that the suite `kernels` measures.

namespace espectra {

/// An operation by the name of its benchmark, and the function that makes its arguments.
template <Backend B>
struct NamedOperation {
    const char* name;
    Operation (*make)(Arrays<B>&, const OperationCase&);
};

template <Backend B>
inline constexpr NamedOperation<B> layer_operations[] = {
    {"dense_forward", dense_forward_operation<B>},
    {"dense_backward", dense_backward_operation<B>},
    {"dense_tangent_forward", dense_tangent_forward_operation<B>},
    {"dense_tangent_backward", dense_tangent_backward_operation<B>},
    {"activation_curvature", activation_curvature_operation<B>},
    {"contract_layer_block", contract_layer_block_operation<B>},
};

template <Backend B>
inline constexpr NamedOperation<B> coupling_operations[] = {
    {"pull_back", pull_back_operation<B>},
    {"weights_transposed_times", weights_transposed_times_operation<B>},
    {"layer_jacobian", layer_jacobian_operation<B>},
    {"curvature_times_vector", curvature_times_vector_operation<B>},
    {"contract_cross_block", contract_cross_block_operation<B>},
};

template <Backend B>
inline constexpr NamedOperation<B> network_operations[] = {
    {"evaluate_loss", evaluate_loss_operation<B>},
    {"score_outputs", score_outputs_operation<B>},
    {"adam_step", adam_step_operation<B>},
    {"clear_upper", clear_upper_operation<B>},
    {"symmetrize", symmetrize_operation<B>},
    {"summarize", summarize_operation<B>},
    {"scaling_residual", scaling_residual_operation<B>},
    {"compress_rows", compress_rows_operation<B>},
    {"count_nonzeros", count_nonzeros_operation<B>},
    {"deflate", deflate_operation<B>},
    {"summarize_spectra", summarize_spectra_operation<B>},
    {"inverse_participation_ratios", inverse_participation_ratios_operation<B>},
    {"symmetric_eigenvalues", symmetric_eigenvalues_operation<B>},
};

/// An operation on a case, by the last parts of its benchmark's name.
template <Backend B>
struct CaseOperation {
    std::string name;
    OperationCase on;
    Operation (*make)(Arrays<B>&, const OperationCase&);
};

/// All operations of R networks on m examples; those on a layer end in /layer1, /layer2, …
template <Backend B>
std::vector<CaseOperation<B>> kernel_operations(const Network& network, Index replicas, Index examples) {
    std::vector<CaseOperation<B>> operations;
    const auto add = [&](const NamedOperation<B>& operation, std::size_t l, const std::string& suffix = "") {
        operations.push_back({operation.name + suffix, {network, replicas, examples, l}, operation.make});
    };
    const std::size_t layers = network.layers().size();
    for (std::size_t l = 0; l < layers; ++l)
        for (const auto& operation : layer_operations<B>) add(operation, l, "/layer" + std::to_string(l + 1));
    for (std::size_t l = 0; l + 1 < layers; ++l)
        for (const auto& operation : coupling_operations<B>) add(operation, l);
    for (const auto& operation : network_operations<B>) add(operation, 0);
    if (network.parameters() <= fused_spectrum_parameters && layers <= fused_spectrum_layers)
        add({"fused_spectrum", fused_spectrum_operation<B>}, 0);
    return operations;
}

}  // namespace espectra
