#pragma once

#include "espectra/kernels/fused_spectrum.hpp"
#include "espectra/kernels/group/eigen.hpp"
#include "espectra/kernels/group/group_operations.hpp"
#include "espectra/kernels/math/hessian_recursion.hpp"
#include "espectra/runtime/error.hpp"

#include <cmath>

// From θ to eigenvalues without leaving the multiprocessor: one block per network.

namespace espectra::group {

/// Shared memory of a block, in doubles: 72 KB, so that three blocks share a multiprocessor of 228 KB and any
/// device of compute capability 8.0 or newer has room for one.
inline constexpr Index fused_spectrum_doubles = 9216;

/// Positions in shared memory, in doubles.
struct FusedSpectrumLayout {
    Index parameters = 0;
    Index chunk = 0;  ///< examples at a time; 0: the network does not fit
    Index hessian = 0, theta = 0, scratch = 0, map = 0, work = 0, total = 0;
};

ESPECTRA_HD inline FusedSpectrumLayout fused_spectrum_layout(const NetworkView& network) {
    FusedSpectrumLayout layout;
    layout.parameters = network.parameters();
    const Index p = layout.parameters;
    if (p > fused_spectrum_parameters) return layout;
    const int n = static_cast<int>(p);
    const Index square = p * eigen_stride(n);
    layout.theta = square;
    layout.scratch = layout.theta + p;
    layout.map = layout.scratch + eigen_scratch(n) + eigen_lanes;
    layout.work = layout.map + p;
    // At least as large as the matrix, for its part without zero rows.
    const Index per_example = hessian_sizes(network).total(), left = fused_spectrum_doubles - layout.work;
    const Index fitting = left / per_example;
    if (left < square || fitting < 4) return layout;
    layout.chunk = fitting < 32 ? fitting : 32;
    const Index examples = layout.chunk * per_example;
    layout.total = layout.work + (examples < square ? square : examples);
    return layout;
}

template <Space S>
struct FusedSpectrumKernel {
    static constexpr const char* name = "fused_spectrum";
    static constexpr int threads = 128;
    static constexpr int blocks_per_multiprocessor = 3;
    FusedSpectrum<S> a;
    Layer layers[fused_spectrum_layers];  ///< of a.network, whose pointer is one of the host
    FusedSpectrumLayout layout;

    Index blocks() const { return a.theta.extent[0]; }
    std::size_t shared_doubles() const { return static_cast<std::size_t>(layout.total); }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index r, double* shared) const {
        const int n = static_cast<int>(layout.parameters), stride = eigen_stride(n);
        double *h = shared, *theta = shared + layout.theta, *work = shared + layout.work;
        for_each_entry(group, n, n, [&](int i, int j) { h[i * stride + j] = 0; });
        for (int p = group.rank(); p < n; p += group.size()) theta[p] = a.theta(r, p);
        group.sync();
        assemble(group, h, theta, work);
        group.sync();
        const double frobenius = summarize(group, r, h, shared + layout.scratch, work);
        if (a.signs.extent[0] > 0) scaling_residual(group, r, h, theta, frobenius, shared + layout.scratch);
        solve(group, r, h, shared + layout.scratch, shared + layout.map, work);
    }

    /// Adds the upper triangle of the Hessian at θ to `h`, which has rows of eigen_stride(P). Between chunks
    /// no sync() is needed: every entry is added to by one thread, the same in each chunk, and what the next
    /// chunk overwrites before its first sync(), the state of the first layer, was last read before the last
    /// one.
    template <Group G>
    ESPECTRA_HD void assemble(const G& group, double* h, const double* theta, double* work) const {
        const Index n = layout.parameters, examples = a.features.extent[1];
        View<double, 3, S> hessian = make_view<S>(h, 1, n, n);
        hessian.stride[1] = eigen_stride(static_cast<int>(n));
        GroupContext<G, S> context{group};
        const NetworkView network{layers, a.network.count, a.network.loss};
        for (Index begin = 0; begin < examples; begin += layout.chunk) {
            const Index m = begin + layout.chunk < examples ? layout.chunk : examples - begin;
            add_hessian_chunk(context, HessianChunk<S>{.network = network,
                                                       .total_examples = examples,
                                                       .full = a.full,
                                                       .features = share(a.features.slice(1, begin, m), 1),
                                                       .targets = share(a.targets.slice(1, begin, m), 1),
                                                       .theta = make_view<S>(theta, 1, n),
                                                       .hessian = hessian,
                                                       .memory = work});
        }
    }

  private:
    ESPECTRA_HD static double entry(const double* h, int stride, int i, int j) {
        return i < j ? h[i * stride + j] : h[j * stride + i];
    }

    /// Returns ‖H‖_F and sets work[i] to 1 for each row i that is not zero, else to 0. Some threads may still
    /// read the scratch afterwards.
    template <Group G>
    ESPECTRA_HD double summarize(const G& group, Index r, const double* h, double* scratch,
                                 double* work) const {
        const int n = static_cast<int>(layout.parameters), stride = eigen_stride(n);
        for (int i = group.rank(); i < n; i += group.size()) {
            double squares = 0;
            bool nonzero = false;
            for (int j = 0; j < n; ++j) {
                const double value = entry(h, stride, i, j);
                squares += value * value;
                nonzero = nonzero || value != 0;
            }
            scratch[i] = squares;
            work[i] = nonzero ? 1.0 : 0.0;
            a.nonzero_row(r, i) = nonzero ? 1 : 0;
        }
        group.sync();
        double trace = 0, squares = 0;
        for (int i = 0; i < n; ++i) {
            trace += h[i * stride + i];
            squares += scratch[i];
        }
        const double frobenius = std::sqrt(squares);
        if (group.rank() == 0) {
            a.trace(r) = trace;
            a.frobenius(r) = frobenius;
        }
        return frobenius;
    }

    template <Group G>
    ESPECTRA_HD void scaling_residual(const G& group, Index r, const double* h, const double* theta,
                                      double frobenius, double* scratch) const {
        const int n = static_cast<int>(layout.parameters), stride = eigen_stride(n);
        double *product = scratch, *direction = scratch + n;
        double *partial = scratch + 2 * n, *other = partial + eigen_lanes;
        double largest = 0;
        group.sync();  // after summarize(), which has used the scratch
        for (Index d = 0; d < a.signs.extent[0]; ++d) {
            for (int i = group.rank(); i < n; i += group.size()) {
                double total = a.signs(d, i) * a.gradient(r, i);
                for (int j = 0; j < n; ++j) total += entry(h, stride, i, j) * (a.signs(d, j) * theta[j]);
                product[i] = total;
                direction[i] = a.signs(d, i) * theta[i];
            }
            group.sync();
            sum_in_lanes(group, n, partial,
                         [&](int i, double total) { return total + product[i] * product[i]; });
            sum_in_lanes(group, n, other,
                         [&](int i, double total) { return total + direction[i] * direction[i]; });
            group.sync();
            const double scale = frobenius * std::sqrt(add_lanes(other));
            const double value = scale > 0 ? std::sqrt(add_lanes(partial)) / scale : 0.0;
            if (!(value <= largest)) largest = value;  // NaN too
        }
        if (group.rank() == 0) a.residual(r) = largest;
    }

    /// Copies the rows that are not zero to `work`, with their positions in `map`, and solves them.
    template <Group G>
    ESPECTRA_HD void solve(const G& group, Index r, const double* h, double* scratch, double* map,
                           double* work) const {
        const int n = static_cast<int>(layout.parameters), stride = eigen_stride(n);
        int kept = 0;
        for (int i = 0; i < n; ++i) {
            const bool nonzero = work[i] == 1.0;
            if (nonzero && kept % group.size() == group.rank()) map[kept] = i;
            kept += nonzero ? 1 : 0;
        }
        group.sync();
        const int deflated = eigen_stride(kept);
        for_each_entry(group, kept, kept, [&](int i, int j) {
            if (j >= i)
                work[i * deflated + j] = h[static_cast<int>(map[i]) * stride + static_cast<int>(map[j])];
        });
        group.sync();
        group_eigenvalues(group, kept, work, scratch,
                          [&](int k, double value) { a.eigenvalues(r, k) = value; });
    }
};

inline bool fused_spectrum_fits(const NetworkView& network) {
    return network.count <= fused_spectrum_layers && fused_spectrum_layout(network).chunk > 0;
}

/// Returns the kernel of the arguments; throws InputError if the network does not fit.
template <Space S>
FusedSpectrumKernel<S> fused_spectrum_kernel(const FusedSpectrum<S>& arguments) {
    const NetworkView& network = arguments.network;
    const FusedSpectrumLayout layout = fused_spectrum_layout(network);
    if (!fused_spectrum_fits(network)) throw InputError("fused_spectrum: the network is too large for it");
    FusedSpectrumKernel<S> kernel{arguments, {}, layout};
    for (int l = 0; l < network.count; ++l) kernel.layers[l] = network.layers[l];
    return kernel;
}

template <class C>
void fused_spectrum(C& context, const FusedSpectrum<C::space>& arguments) {
    launch(context, fused_spectrum_kernel(arguments));
}

}  // namespace espectra::group
