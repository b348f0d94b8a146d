#pragma once

#include "espectra/kernels/eigen.hpp"
#include "espectra/models/network.hpp"
#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/models/spectrum/deflation.hpp"
#include "espectra/runtime/buffer.hpp"

#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace espectra {

/// Parameters that belong together, and the block of a Hessian in their rows and columns.
struct ParameterBlock {
    std::string name;               ///< "layer_1", …; "weights", "biases", "betas"
    std::vector<Index> parameters;  ///< positions in θ, ascending
};

/// Returns a block for each layer, and one for each kind of parameter in all layers; kinds that the network
/// does not have are left out.
std::vector<ParameterBlock> parameter_blocks(const Network& network);

/// The spectrum of a block.
struct BlockSpectrum {
    std::vector<double> eigenvalues;  ///< ascending; rows that are zero within the block give exact zeros
    double trace_error = 0;           ///< certificate, see trace_error()
};

/// Computes the spectrum of a block of a symmetric matrix [P, P] in host memory.
template <Backend B>
BlockSpectrum block_spectrum(B& context, std::span<const double> matrix, Index parameters,
                             const ParameterBlock& block) {
    const auto at = [&](Index i, Index j) { return matrix[static_cast<std::size_t>(i * parameters + j)]; };
    std::vector<Index> rows;
    double trace = 0, squares = 0;
    for (const Index i : block.parameters) {
        bool zero = true;
        for (const Index j : block.parameters) {
            zero = zero && at(i, j) == 0;
            squares += at(i, j) * at(i, j);
        }
        if (!zero) rows.push_back(i);
        trace += at(i, i);
    }
    const Index n = std::ssize(rows);
    std::vector<double> gathered;
    gathered.reserve(static_cast<std::size_t>(n * n));
    for (const Index i : rows)
        for (const Index j : rows) gathered.push_back(at(i, j));
    std::vector<double> values;
    if (n > 0) {
        Buffer<double, B::space> memory(context, n * n + n);
        copy(context, gathered.data(), memory.data(), n * n);
        symmetric_eigenvalues(context, {.matrices = make_view<B::space>(memory.data(), 1, n, n),
                                        .eigenvalues = make_view<B::space>(memory.data() + n * n, 1, n)});
        values = fetch(context, memory.data() + n * n, n);
    }
    BlockSpectrum spectrum;
    spectrum.eigenvalues = with_zeros(values, std::ssize(block.parameters));
    spectrum.trace_error = trace_error(spectrum.eigenvalues, trace, std::sqrt(squares));
    return spectrum;
}

}  // namespace espectra
