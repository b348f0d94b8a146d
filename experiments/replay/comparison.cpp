#include "espectra/experiments/replay/comparison.hpp"

#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

namespace espectra {

namespace {

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

double relative(double difference, double scale) { return scale > 0 ? difference / scale : difference; }

double vector_error(const std::vector<double>& first, const std::vector<double>& second) {
    double squares = 0, norm = 0;
    for (std::size_t i = 0; i < first.size(); ++i) {
        const double difference = first[i] - second[i];
        squares += difference * difference;
        norm += first[i] * first[i];
    }
    return relative(std::sqrt(squares), std::sqrt(norm));
}

double eigenvalue_error(const std::vector<double>& first, const std::vector<double>& second) {
    double largest = 0, scale = 0;
    for (std::size_t i = 0; i < first.size(); ++i) {
        largest = std::fmax(largest, std::fabs(first[i] - second[i]));
        scale = std::fmax(scale, std::fabs(first[i]));
    }
    return relative(largest, scale);
}

/// Returns the error of a cost relative to the larger one: 0 for equal infinities and two NaN, and NaN for
/// one.
double cost_error(double first, double second) {
    if (first == second || (std::isnan(first) && std::isnan(second))) return 0;
    if (std::isnan(first) || std::isnan(second)) return std::nan("");
    return std::fabs(first - second) / std::fmax(std::fabs(first), std::fabs(second));
}

/// Returns the label without its file: ":combination[replica]" of a results.h5, else nothing.
std::string name_of(const RecordedRun& run) {
    const std::size_t file = run.label.rfind('/');
    const std::size_t colon = run.label.find(':', file == std::string::npos ? 0 : file);
    return colon == std::string::npos ? "" : run.label.substr(colon);
}

void require_same_run(const RecordedRun& first, const RecordedRun& second) {
    if (first.network.parameters() == second.network.parameters() && first.epoch == second.epoch) return;
    throw InputError(
        fmt::format("{} and {}: expected the same parameters and epochs, found {} and {} "
                    "parameters, {} and {} snapshots",
                    first.label, second.label, first.network.parameters(), second.network.parameters(),
                    first.snapshots(), second.snapshots()));
}

}  // namespace

RunComparison compare(const std::vector<RecordedRun>& first, const std::vector<RecordedRun>& second) {
    if (first.size() != second.size())
        throw InputError(fmt::format("{} and {}: expected as many networks, found {} and {}",
                                     first.front().label, second.front().label, first.size(), second.size()));
    RunComparison comparison;
    for (std::size_t r = 0; r < first.size(); ++r) {
        const RecordedRun &a = first[r], &b = second[r];
        if (name_of(a) != name_of(b))
            throw InputError(fmt::format("{} and {}: expected the same network", a.label, b.label));
        require_same_run(a, b);
        const std::vector<double> cost = a.cost(), other_cost = b.cost();
        for (Index k = 0; k < a.snapshots(); ++k) {
            const std::vector<double> theta = a.theta(k), other_theta = b.theta(k), values = a.eigenvalues(k),
                                      other_values = b.eigenvalues(k);
            ++comparison.snapshots;
            comparison.different_theta += !same_bits(theta, other_theta);
            comparison.different_eigenvalues += !same_bits(values, other_values);
            comparison.theta_error_max =
                std::max(comparison.theta_error_max, vector_error(theta, other_theta));
            comparison.eigenvalue_error_max =
                std::max(comparison.eigenvalue_error_max, eigenvalue_error(values, other_values));
            const double x = cost[static_cast<std::size_t>(k)], y = other_cost[static_cast<std::size_t>(k)];
            const double error = cost_error(x, y);
            if (error > comparison.cost_error_max || std::isnan(error))  // NaN is kept
                comparison.cost_error_max = error;
        }
    }
    return comparison;
}

}  // namespace espectra
