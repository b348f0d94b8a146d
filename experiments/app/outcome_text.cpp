#include "espectra/experiments/app/outcome_text.hpp"

#include "espectra/experiments/app/quantity_text.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace espectra {

namespace {

std::string fixed(double value, int digits) {
    return std::isnan(value) ? "-" : fmt::format("{:.{}f}", value, digits);
}
std::string scientific(double value) { return std::isnan(value) ? "-" : fmt::format("{:.3e}", value); }

/// Returns one line for each network, with medians over its replicas.
std::string summary_text(const std::vector<SummaryRow>& rows, std::size_t most_rows) {
    std::size_t width = 7;
    for (const SummaryRow& row : rows) width = std::max(width, row.name.size());
    std::string text =
        fmt::format("{:<10} {:<{}} {:>8} {:>11} {:>7} {:>7} {:>8} {:>8} {:>8} {:>11} {:>11} {:>9}\n",
                    "activation", "network", width, "epoch", "cost", "train", "test", "alpha", "gamma",
                    "g_dead", "lambda_min", "lambda_max", "seconds");
    for (std::size_t n = 0; n < rows.size(); ++n) {
        if (n == most_rows) return text + "…\n";
        const SummaryRow& row = rows[n];
        if (row.epoch < 0) {
            text += fmt::format("{:<10} {:<{}} no spectrum\n", row.activation, row.name, width);
            continue;
        }
        text += fmt::format(
            "{:<10} {:<{}} {:>8} {:>11} {:>7} {:>7} {:>8} {:>8} {:>8} {:>11} {:>11} {:>9}\n", row.activation,
            row.name, width, row.epoch, scientific(row.values["cost"]),
            fixed(row.values["accuracy_train"], 4), fixed(row.values["accuracy_test"], 4),
            fixed(row.values["alpha"], 4), fixed(row.values["gamma"], 4), fixed(row.values["gamma_dead"], 4),
            scientific(row.lambda_min), scientific(row.lambda_max),
            fixed(row.seconds_training + row.values["seconds_hessian"] + row.values["seconds_eigen"], 1));
    }
    return text;
}

}  // namespace

std::string result_tables(const RunOutcome& outcome, const std::vector<PlannedNetwork>& networks,
                          std::size_t most_rows) {
    std::string text = summary_text(outcome.summary, most_rows);
    for (const std::string& part : {statistics_text(outcome.statistics, networks, most_rows),
                                    critical_points_text(outcome.critical_points)})
        if (!part.empty()) text += "\n" + part;
    return text;
}

std::string work_done_text(const RunOutcome& outcome) {
    std::string text;
    if (outcome.spectra > 0) text = counted(outcome.spectra, "spectrum", "spectra");
    if (outcome.searches > 0) text += (text.empty() ? "" : " and ") + searches_text(outcome.searches);
    return text;
}

std::string outcome_text(const RunOutcome& outcome) {
    std::string text;
    if (const std::string done = work_done_text(outcome); !done.empty()) {
        std::vector<std::string> parts;
        if (outcome.spectra > 0)
            parts.push_back(fmt::format("training{} {:.1f} s, Hessians {:.1f} s, eigensolves {:.1f} s",
                                        outcome.replicas_per_batch > 1
                                            ? fmt::format(" ({})", fmt::join(outcome.training_methods, "; "))
                                            : "",
                                        outcome.training_seconds, outcome.hessian_seconds,
                                        outcome.eigen_seconds));
        if (outcome.searches > 0) parts.push_back(fmt::format("searches {:.1f} s", outcome.search_seconds));
        text = fmt::format("{} in {:.1f} s on {}: {} (summed over workers); peak memory {}\n", done,
                           outcome.wall_seconds, counted(outcome.workers, "worker", "workers"),
                           fmt::join(parts, ", "), memory_text(peak_resident_memory()));
    } else if (outcome.state == RunState::complete) {
        text = "nothing was left to do\n";
    }
    double again = 0;
    for (const SummaryRow& row : outcome.summary) again += row.values["solved_again"];
    if (again > 0)
        text += again == 1
                    ? "1 eigensolve violated the certificate in a batch and was solved again by itself\n"
                    : fmt::format(
                          "{:.0f} eigensolves violated the certificate in a batch and were solved again "
                          "by themselves\n",
                          again);
    return text + fmt::format("results: {}\n", outcome.file.string());
}

std::string progress_text(const RunProgress& progress) {
    std::vector<std::string> parts;
    if (progress.spectra_done < progress.spectra_total)
        parts.push_back(fmt::format("{}/{} spectra", progress.spectra_done, progress.spectra_total));
    if (progress.searches_total > 0 && (parts.empty() || progress.searches_done > 0))
        parts.push_back(fmt::format("{}/{} searches", progress.searches_done, progress.searches_total));
    if (parts.empty()) return fmt::format("{}/{} spectra", progress.spectra_done, progress.spectra_total);
    return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace espectra
