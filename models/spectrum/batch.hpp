#pragma once

#include "espectra/runtime/buffer.hpp"
#include "espectra/runtime/view.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace espectra {

// Results of a batch of R networks of P parameters. Each struct names the parts of one array of doubles,
// which has the same layout on a device and in host memory: one transfer copies all of them.

/// Facts about R Hessians that the host needs before they are solved.
template <Space S>
struct HessianSummaries {
    View<double, 1, S> trace, frobenius;    ///< [R] tr H, ‖H‖_F
    View<double, 1, S> symmetry_residual;   ///< [R] see ScalingResidual
    View<unsigned char, 2, S> nonzero_row;  ///< [R, P] 1 or 0

    /// Doubles of the array.
    static constexpr Index size(Index replicas, Index parameters) {
        return 3 * replicas + (replicas * parameters + 7) / 8;
    }

    static HessianSummaries at(double* memory, Index replicas, Index parameters) {
        const auto numbers = [&](Index i) { return make_view<S>(memory + i * replicas, replicas); };
        return {.trace = numbers(0),
                .frobenius = numbers(1),
                .symmetry_residual = numbers(2),
                .nonzero_row = make_view<S>(reinterpret_cast<unsigned char*>(memory + 3 * replicas), replicas,
                                            parameters)};
    }

    bool finite(Index replica) const requires(S == Space::host) { return std::isfinite(frobenius(replica)); }

    /// Marks of the rows of a Hessian: 1, or 0 where a row is exactly zero.
    std::span<const unsigned char> keep(Index replica) const requires(S == Space::host) {
        return {nonzero_row[replica].data, static_cast<std::size_t>(nonzero_row.extent[1])};
    }

    /// Number of rows of a Hessian that are not exactly zero.
    Index kept(Index replica) const requires(S == Space::host) {
        return std::ranges::count(keep(replica), static_cast<unsigned char>(1));
    }
};

/// Eigenvalues of R deflated Hessians, and their certificates and counts (SpectrumSummary).
template <Space S>
struct SolvedSpectra {
    View<double, 2, S> eigenvalues;  ///< [R, n]: in row r as many as Hessian r has rows that are not zero
    View<double, 1, S> trace_error, largest, negative, zero;  ///< [R]

    /// Doubles of the array.
    static constexpr Index size(Index replicas, Index n) { return replicas * (n + 4); }

    static SolvedSpectra at(double* memory, Index replicas, Index n) {
        const auto numbers = [&](Index i) {
            return make_view<S>(memory + replicas * n + i * replicas, replicas);
        };
        return {.eigenvalues = make_view<S>(memory, replicas, n),
                .trace_error = numbers(0),
                .largest = numbers(1),
                .negative = numbers(2),
                .zero = numbers(3)};
    }
};

/// The rows of an array [r, n] in host memory: a copy of those of a device, or else the array itself, which
/// has to outlive it.
class HostRows {
  public:
    HostRows() = default;
    HostRows(HostRows&&) = default;
    HostRows& operator=(HostRows&&) = default;
    template <Backend B>
    HostRows(B& context, View<const double, 2, B::space> rows) {
        if constexpr (B::space == Space::host) {
            rows_ = rows;
        } else {
            copy_ = fetch(context, rows);
            rows_ = make_view(static_cast<const double*>(copy_.data()), rows.extent[0], rows.extent[1]);
        }
    }

    std::span<const double> operator[](Index row) const {
        return {rows_[row].data, static_cast<std::size_t>(rows_.extent[1])};
    }

  private:
    std::vector<double> copy_;
    View<const double, 2> rows_;
};

}  // namespace espectra
