#pragma once

#include "espectra/kernels/group/group.hpp"
#include "espectra/kernels/group/index_lists.hpp"
#include "espectra/kernels/spectrum.hpp"
#include "espectra/runtime/buffer.hpp"

#include <cmath>

// Group kernels of the deflation and the summary of spectra in batches. Sums over parameters consist of 128
// parts for any number of threads.

namespace espectra::group {

inline constexpr Index spectrum_lanes = 128;

/// One block: one row of a matrix. A kept row is copied to its position; the others become the rows after the
/// kept ones, as far as there are any.
template <Space S>
struct DeflateKernel {
    static constexpr const char* name = "deflate";
    static constexpr int threads = 128;
    Deflation<S> a;
    View<const Index, 2, S> positions;  ///< [R, P + 1], see PositionsKernel

    Index blocks() const { return a.matrices.extent[0] * a.matrices.extent[1]; }
    std::size_t shared_doubles() const { return 0; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* /*shared*/) const {
        const Index parameters = a.matrices.extent[1], n = a.deflated.extent[1];
        const Index r = block / parameters, p = block % parameters;
        const auto source = a.matrices[r][p];
        const auto position = positions[r];
        const Index kept = position(parameters);
        if (position(p + 1) > position(p)) {
            const auto target = a.deflated[r][position(p)];
            for_each_item(group, parameters - p, [&](Index item) {
                const Index q = p + item;
                if (position(q + 1) > position(q)) target(position(q)) = source(q);
            });
            for_each_item(group, n - kept, [&](Index item) { target(kept + item) = 0.0; });
            return;
        }
        const Index row = kept + p - position(p);
        if (row >= n) return;
        const auto target = a.deflated[r][row];
        const double diagonal = kept > 0 ? 2.0 * a.frobenius(r) : 0.0;
        for_each_item(group, n - row, [&](Index item) { target(row + item) = item == 0 ? diagonal : 0.0; });
    }
};

template <class C>
void deflate(C& context, const Deflation<C::space>& arguments) {
    const Index replicas = arguments.keep.extent[0], parameters = arguments.keep.extent[1];
    constexpr Space S = C::space;
    Buffer<Index, S> positions(context, replicas * (parameters + 1));
    const auto view = positions.view(replicas, parameters + 1);
    make_lists(context, PositionsKernel<KeptOfFinite<S>, S>{{arguments.keep, arguments.frobenius}, view});
    launch(context, DeflateKernel<S>{arguments, view});
}

/// One block: one spectrum. Lane l adds eigenvalues l, l + 128, …, then the lanes are added from left to
/// right.
template <Space S>
struct SummarizeSpectraKernel {
    static constexpr const char* name = "summarize_spectra";
    static constexpr int threads = static_cast<int>(spectrum_lanes);
    SpectrumSummary<S> a;

    Index blocks() const { return a.keep.extent[0]; }
    std::size_t shared_doubles() const { return 5 * spectrum_lanes + 4; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index r, double* shared) const {
        const Index parameters = a.keep.extent[1];
        double* counts = shared;
        double* partial = counts + spectrum_lanes;  // [4, lanes]: Σλ, Σ(λ/‖H‖)², negative, zero
        double* totals = partial + 4 * spectrum_lanes;
        for_each_item(group, spectrum_lanes, [&](Index lane) {
            Index rows = 0;
            for (Index p = lane; p < parameters; p += spectrum_lanes) rows += a.keep(r, p);
            counts[lane] = static_cast<double>(rows);
        });
        group.sync();
        double count = 0;
        for (Index lane = 0; lane < spectrum_lanes; ++lane) count += counts[lane];
        const double frobenius = a.frobenius(r);
        // A count is positive unless a sync() is missing, as in tests that leave one out.
        Index kept = std::isfinite(frobenius) && count > 0 ? static_cast<Index>(count) : 0;
        if (kept > a.eigenvalues.extent[1]) kept = a.eigenvalues.extent[1];
        double largest = 0;
        if (kept > 0) {
            const double first = std::fabs(a.eigenvalues(r, 0)), last = std::fabs(a.eigenvalues(r, kept - 1));
            largest = first < last ? last : first;
        }
        const double threshold = a.tolerance * largest;
        for_each_item(group, spectrum_lanes, [&](Index lane) {
            double sum = 0, squares = 0, negative = 0, zero = 0;
            for (Index i = lane; i < kept; i += spectrum_lanes) {
                const double value = a.eigenvalues(r, i), relative = value / frobenius;
                sum += value;
                squares += relative * relative;
                negative += value < -threshold ? 1.0 : 0.0;
                zero += std::fabs(value) <= threshold ? 1.0 : 0.0;
            }
            const double results[] = {sum, squares, negative, zero};
            for (int i = 0; i < 4; ++i) partial[i * spectrum_lanes + lane] = results[i];
        });
        group.sync();
        for_each_item(group, 4, [&](Index i) {
            double total = 0;
            for (Index lane = 0; lane < spectrum_lanes; ++lane) total += partial[i * spectrum_lanes + lane];
            totals[i] = total;
        });
        group.sync();
        if (group.rank() != 0) return;
        a.trace_error(r) = trace_error(totals[0], totals[1], a.trace(r), frobenius, parameters);
        a.largest(r) = largest;
        a.negative(r) = totals[2];
        a.zero(r) = totals[3] + static_cast<double>(parameters - kept);
    }
};

template <class C>
void summarize_spectra(C& context, const SpectrumSummary<C::space>& arguments) {
    launch(context, SummarizeSpectraKernel<C::space>{arguments});
}

}  // namespace espectra::group
