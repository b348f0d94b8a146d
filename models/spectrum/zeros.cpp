#include "espectra/models/spectrum/zeros.hpp"

#include "espectra/kernels/eigen.hpp"
#include "espectra/models/spectrum/indices.hpp"
#include "espectra/runtime/cpu_context.hpp"

#include <cmath>
#include <utility>

namespace espectra {

namespace {

/// A scaling direction at one θ: T∘θ and T∘∇ℓ in units in which both have a length of up to 1.
struct ScaledDirection {
    const ScalingDirection* direction;
    std::vector<double> values, product;  ///< as `direction->rows`
};

/// Inner product of two sparse vectors given on ascending rows.
double sparse_dot(const std::vector<Index>& rows_x, const std::vector<double>& x,
                  const std::vector<Index>& rows_y, const std::vector<double>& y) {
    double sum = 0;
    for (std::size_t i = 0, j = 0; i < rows_x.size() && j < rows_y.size();) {
        if (rows_x[i] == rows_y[j]) sum += x[i] * y[j];
        const bool first = rows_x[i] <= rows_y[j], second = rows_y[j] <= rows_x[i];
        i += first;
        j += second;
    }
    return sum;
}

}  // namespace

ZeroOrigins zero_origins(const Layer& first, std::span<const unsigned char> keep, Index zero,
                         Index symmetry_modes, const std::function<bool(Index)>& is_dead_feature) {
    const Index dead = std::ranges::count(keep, static_cast<unsigned char>(0));
    const auto row = [&](Index unit, Index input) {
        return keep[static_cast<std::size_t>(first.offsets.weights + unit * first.inputs + input)];
    };
    ZeroOrigins origins;
    for (Index j = 0; j < first.inputs && dead > 0; ++j) {
        Index unit = 0;
        while (unit < first.units && !row(unit, j)) ++unit;
        if (unit == first.units && is_dead_feature(j)) origins.dead_inputs += first.units;
    }
    origins.dead_units = dead - origins.dead_inputs;
    origins.symmetry = std::min(symmetry_modes, zero - dead);
    origins.numerical = zero - dead - origins.symmetry;
    return origins;
}

std::vector<ScalingDirection> scaling_directions(std::span<const double> directions, Index parameters) {
    std::vector<ScalingDirection> list(directions.size() / static_cast<std::size_t>(parameters));
    for (std::size_t i = 0; i < directions.size(); ++i) {
        if (directions[i] == 0) continue;
        ScalingDirection& direction = list[i / static_cast<std::size_t>(parameters)];
        direction.rows.push_back(static_cast<Index>(i) % parameters);
        direction.signs.push_back(directions[i]);
    }
    return list;
}

Index symmetry_zero_modes(std::span<const ScalingDirection> directions, std::span<const double> theta,
                          std::span<const double> gradient, std::span<const unsigned char> keep,
                          double threshold) {
    std::vector<ScaledDirection> taken;
    for (const ScalingDirection& direction : directions) {
        ScaledDirection scaled{&direction, {}, {}};
        double squares = 0, product_squares = 0;
        for (std::size_t i = 0; i < direction.rows.size(); ++i) {
            const auto row = static_cast<std::size_t>(direction.rows[i]);
            const double sign = keep[row] ? direction.signs[i] : 0.0;
            scaled.values.push_back(sign * theta[row]);
            scaled.product.push_back(sign * gradient[row]);
            squares += scaled.values.back() * scaled.values.back();
            product_squares += scaled.product.back() * scaled.product.back();
        }
        const double limit = threshold * std::sqrt(squares);
        if (!(squares > 0) || !(std::sqrt(product_squares) <= limit)) continue;
        for (double& value : scaled.values) value /= std::sqrt(squares);
        for (double& value : scaled.product) value = limit > 0 ? value / limit : 0.0;
        taken.push_back(std::move(scaled));
    }
    const Index count = std::ssize(taken);
    if (count == 0) return 0;

    // With V = (T∘θ …) and G = (T∘∇ℓ …)/threshold: ‖H V c‖ ≤ threshold·‖V c‖ where cᵀ(VᵀV − GᵀG)c ≥ 0. On the
    // eigenvectors of eigenvalues above zero V is injective, so that overlaps count once.
    std::vector<double> form(static_cast<std::size_t>(count * count)), values(taken.size());
    for (Index i = 0; i < count; ++i)
        for (Index j = i; j < count; ++j) {
            const ScaledDirection &x = taken[static_cast<std::size_t>(i)],
                                  &y = taken[static_cast<std::size_t>(j)];
            form[static_cast<std::size_t>(i * count + j)] =
                sparse_dot(x.direction->rows, x.values, y.direction->rows, y.values) -
                sparse_dot(x.direction->rows, x.product, y.direction->rows, y.product);
        }
    CpuContext context(1);
    symmetric_eigenvalues(context,
                          {make_view(form.data(), 1, count, count), make_view(values.data(), 1, count)});
    // Entries are rounded by up to P·ε.
    const double rounding = automatic_tolerance(std::ssize(theta)) * static_cast<double>(count);
    return std::ranges::count_if(values, [&](double value) { return value > rounding; });
}

}  // namespace espectra
