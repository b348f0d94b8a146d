#include "espectra/experiments/store/run_statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace espectra {

namespace {

std::string interval_text(const Estimate& estimate, const char* format) {
    if (std::isnan(estimate.value)) return "-";
    const auto number = [&](double value) { return fmt::format(fmt::runtime(format), value); };
    return fmt::format("{} [{}, {}]", number(estimate.value), number(estimate.low), number(estimate.high));
}

}  // namespace

std::string statistics_text(const RunStatistics& statistics, const std::vector<PlannedNetwork>& networks,
                            std::size_t most_rows) {
    if (statistics.combinations.empty()) return {};
    std::string text;
    const auto append_rows = [&](const auto& items, auto&& row) {
        std::size_t rows = 0;
        for (const auto& item : items) {
            if (rows == most_rows) {
                text += "…\n";
                break;
            }
            const std::string line = row(item);
            rows += line.empty() ? 0 : 1;
            text += line;
        }
    };
    std::size_t width = 7;
    for (const CombinationStatistics& one : statistics.combinations)
        width = std::max(width, networks[one.network].name.size());
    const bool losses = std::ranges::any_of(statistics.combinations, [](const CombinationStatistics& one) {
        return one.failed.value > 0 || one.untrained.value > 0;
    });
    text += fmt::format(
        "medians over replicas at the last epoch, with bootstrap 95 % intervals\n"
        "{:<{}} {:>31} {:>14} {:>23} {:>23}{}\n",
        "network", width, "cost", "accuracy_train", "alpha", "gamma", losses ? "  failed untrained" : "");
    append_rows(statistics.combinations, [&](const CombinationStatistics& one) {
        return fmt::format(
            "{:<{}} {:>31} {:>14.4f} {:>23} {:>23}{}\n", networks[one.network].name, width,
            interval_text(one.columns["cost"].median, "{:.2e}"), one.columns["accuracy_train"].median.value,
            interval_text(one.columns["alpha"].median, "{:.3f}"),
            interval_text(one.columns["gamma"].median, "{:.3f}"),
            losses ? fmt::format(" {:>7.3f} {:>9.3f}", one.failed.value, one.untrained.value) : "");
    });
    if (!statistics.comparisons.empty()) {
        text += fmt::format(
            "\nover the same seeds: median difference to another activation, and the fraction of "
            "seeds with a lower cost\n{:<{}} {:>12} {:>31} {:>20} {:>23} {:>23}\n",
            "network", width, "less", "cost", "lower", "alpha", "gamma");
        append_rows(statistics.comparisons, [&](const ActivationComparison& one) -> std::string {
            if (one.network > one.other) return {};  // the same the other way round
            return fmt::format("{:<{}} {:>12} {:>31} {:>20} {:>23} {:>23}\n", networks[one.network].name,
                               width, networks[one.other].network.activations_text(),
                               interval_text(one.columns["cost"].difference, "{:.2e}"),
                               interval_text(one.columns["cost"].lower, "{:.2f}"),
                               interval_text(one.columns["alpha"].difference, "{:.3f}"),
                               interval_text(one.columns["gamma"].difference, "{:.3f}"));
        });
    }
    if (!statistics.consistency.empty()) {
        text += fmt::format(
            "\nover architectures: cost of all networks, and what the architecture does to its "
            "median\n{:<{}} {:>31} {:>21} {:>31} {:>23}\n",
            "first network", width, "median", "quartiles", "worst - best median", "untrained or failed");
        append_rows(statistics.consistency, [&](const Consistency& one) {
            return fmt::format(
                "{:<{}} {:>31} {:>10.2e} {:>10.2e} {:>31} {:>23}\n",
                fmt::format("{} + {}", networks[one.networks.front()].name, one.networks.size() - 1), width,
                interval_text(one.cost.median, "{:.2e}"), one.cost.first, one.cost.third,
                interval_text(one.spread_of_medians, "{:.2e}"), interval_text(one.untrained, "{:.3f}"));
        });
    }
    return text;
}

}  // namespace espectra
