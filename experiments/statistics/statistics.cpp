#include "espectra/experiments/statistics/statistics.hpp"

#include "espectra/runtime/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

namespace espectra {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double z = 1.959963984540054;  // 97.5 % of the normal distribution

std::vector<double> ascending(std::vector<double> values) {
    std::erase_if(values, [](double v) { return std::isnan(v); });
    std::ranges::sort(values);
    return values;
}

}  // namespace

double quantile(std::span<const double> ascending, double q) {
    if (ascending.empty()) return nan;
    const double position = q * static_cast<double>(ascending.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const double share = position - static_cast<double>(below);
    if (share == 0) return ascending[below];
    return ascending[below] + share * (ascending[below + 1] - ascending[below]);
}

MedianBootstrap::MedianBootstrap(Index size, std::uint64_t stream) : size_(size) {
    if (size == 0) return;
    const RandomStream random(static_cast<std::uint64_t>(size) | (stream << 32), bootstrap_stream);
    const Index first = (size - 1) / 2, second = size / 2;  // middle ranks of a resample
    std::vector<std::int32_t> drawn(static_cast<std::size_t>(size));
    std::uint64_t next = 0;
    for (int b = 0; b < resamples; ++b) {
        std::ranges::fill(drawn, 0);
        for (Index i = 0; i < size; ++i)
            ++drawn[static_cast<std::size_t>(random.uniform(next++) * static_cast<double>(size))];
        Index passed = 0;
        std::int32_t rank = 0, low = -1;
        for (;; ++rank) {
            passed += drawn[static_cast<std::size_t>(rank)];
            if (low < 0 && passed > first) low = rank;
            if (passed > second) break;
        }
        ranks_.emplace_back(low, rank);
    }
}

Estimate MedianBootstrap::estimate(std::span<const double> ascending) const {
    if (size_ == 0) return {};
    std::vector<double> medians;
    for (int b = 0; b < resamples; ++b) medians.push_back(median(ascending, b));
    const auto [low, high] = percentile_interval(std::move(medians));
    return {quantile(ascending, 0.5), low, high};
}

std::pair<double, double> percentile_interval(std::vector<double> resampled) {
    std::ranges::sort(resampled);
    return {quantile(resampled, 0.025), quantile(resampled, 0.975)};
}

const MedianBootstrap& Statistics::bootstrap(Index size, std::uint64_t stream) {
    const auto known = std::ranges::find_if(
        kept_, [&](const auto& kept) { return kept.first == stream && kept.second.size() == size; });
    if (known != kept_.end()) return known->second;
    return kept_.emplace_back(stream, MedianBootstrap(size, stream)).second;
}

Quartiles Statistics::quartiles(std::vector<double> values) {
    values = ascending(std::move(values));
    return {.median = bootstrap(std::ssize(values)).estimate(values),
            .first = quantile(values, 0.25),
            .third = quantile(values, 0.75),
            .count = std::ssize(values)};
}

Estimate Statistics::spread_of_medians(std::vector<std::vector<double>> samples) {
    for (auto& sample : samples) sample = ascending(std::move(sample));
    std::erase_if(samples, [](const auto& sample) { return sample.empty(); });
    if (samples.empty()) return {};
    const auto spread = [&](auto&& median_of) {
        double smallest = std::numeric_limits<double>::infinity(), largest = -smallest;
        for (std::size_t i = 0; i < samples.size(); ++i) {
            const double median = median_of(i);
            smallest = std::min(smallest, median);
            largest = std::max(largest, median);
        }
        return largest - smallest;
    };
    for (std::size_t i = 0; i < samples.size(); ++i) bootstrap(std::ssize(samples[i]), i + 1);
    std::vector<const MedianBootstrap*> draws;
    for (std::size_t i = 0; i < samples.size(); ++i)
        draws.push_back(&bootstrap(std::ssize(samples[i]), i + 1));
    std::vector<double> resampled;
    for (int b = 0; b < MedianBootstrap::resamples; ++b)
        resampled.push_back(spread([&](std::size_t i) { return draws[i]->median(samples[i], b); }));
    const auto [low, high] = percentile_interval(std::move(resampled));
    return {spread([&](std::size_t i) { return quantile(samples[i], 0.5); }), low, high};
}

Quartiles Statistics::pooled_quartiles(std::vector<std::vector<double>> samples) {
    std::vector<double> pooled;
    for (auto& sample : samples) {
        std::erase_if(sample, [](double v) { return std::isnan(v); });
        pooled.insert(pooled.end(), sample.begin(), sample.end());
    }
    std::ranges::sort(pooled);
    Quartiles quartiles{.median = {.value = quantile(pooled, 0.5)},
                        .first = quantile(pooled, 0.25),
                        .third = quantile(pooled, 0.75),
                        .count = std::ssize(pooled)};
    if (pooled.empty()) return quartiles;
    const RandomStream random(static_cast<std::uint64_t>(quartiles.count), bootstrap_stream);
    std::uint64_t next = 0;
    std::vector<double> medians, drawn;
    for (int b = 0; b < MedianBootstrap::resamples; ++b) {
        drawn.clear();
        for (const auto& sample : samples)
            for (std::size_t i = 0; i < sample.size(); ++i)
                drawn.push_back(sample[static_cast<std::size_t>(random.uniform(next++) *
                                                                static_cast<double>(sample.size()))]);
        const auto middle = drawn.begin() + (std::ssize(drawn) - 1) / 2;
        std::ranges::nth_element(drawn, middle);
        const double upper = drawn.size() % 2 ? *middle : *std::ranges::min_element(middle + 1, drawn.end());
        medians.push_back(0.5 * (*middle + upper));
    }
    std::tie(quartiles.median.low, quartiles.median.high) = percentile_interval(std::move(medians));
    return quartiles;
}

Estimate fraction(Index part, Index whole) {
    if (whole == 0) return {};
    const auto n = static_cast<double>(whole);
    const double p = static_cast<double>(part) / n;
    const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    return {p, part == 0 ? 0.0 : middle - half, part == whole ? 1.0 : middle + half};
}

PairedComparison compare_pairs(std::span<const double> a, std::span<const double> b, Statistics& statistics) {
    std::vector<double> differences;
    Index lower = 0, ties = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const double difference = a[i] - b[i];
        if (std::isnan(difference)) continue;
        differences.push_back(difference);
        lower += difference < 0;
        ties += difference == 0;
    }
    const Index count = std::ssize(differences);
    PairedComparison comparison{.difference = statistics.quartiles(std::move(differences)).median,
                                .lower = fraction(2 * lower + ties, 2 * count),
                                .count = count};
    // Ties make half counts; the interval is that of the whole counts below and above.
    if (count > 0) {
        const Estimate down = fraction((2 * lower + ties) / 2, count),
                       up = fraction((2 * lower + ties + 1) / 2, count);
        comparison.lower.low = down.low;
        comparison.lower.high = up.high;
    }
    return comparison;
}

}  // namespace espectra
