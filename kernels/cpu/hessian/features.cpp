#include "espectra/kernels/cpu/hessian/features.hpp"

namespace espectra {

namespace {
/// Fraction of the features' values that are not 0 below which leaving zeros out is faster
/// (docs/performance-log.md).
constexpr double most_nonzero = 0.75;
}  // namespace

void multiply(const Rows& left, const Rows& right, double* out, Index stride) {
    rows::add_products(right.data(), right.count(), left.data(), left.count(), left.length(), out, stride);
}

bool is_zero(const double* values, Index count) {
    return std::all_of(values, values + count, [](double v) { return v == 0.0; });
}

std::vector<Feature> active_features(View<const double, 2> input) {
    const Index examples = input.extent[1];
    std::vector<Feature> features;
    for (Index j = 0; j < input.extent[0]; ++j)
        if (std::vector<std::uint64_t> nonzero = weighted::nonzero_bits(&input(j, 0), examples);
            weighted::count(nonzero) > 0)
            features.push_back({j, &input(j, 0), std::move(nonzero)});
    features.push_back({input.extent[0], nullptr, weighted::all_bits(examples)});
    return features;
}

bool mostly_zero(const std::vector<Feature>& features, Index examples) {
    Index nonzero = 0;
    for (const Feature& feature : features) nonzero += weighted::count(feature.nonzero);
    return static_cast<double>(nonzero) <
           most_nonzero * static_cast<double>(examples * static_cast<Index>(features.size()));
}

void multiply_rows(const double* x, const double* y, double* out, Index count) {
    for (Index e = 0; e < count; ++e) out[e] = x[e] * y[e];
}

void times_feature(const double* x, const Feature& feature, Index begin, Index count, double* out) {
    if (feature.data)
        multiply_rows(x + begin, feature.data + begin, out, count);
    else
        std::copy_n(x + begin, count, out);
}

}  // namespace espectra
