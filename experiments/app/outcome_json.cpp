#include "espectra/experiments/app/outcome_json.hpp"

#include "espectra/experiments/app/json_text.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace espectra {

namespace {

nlohmann::ordered_json summary_json(const SummaryRow& row) {
    nlohmann::ordered_json json = {{"network", row.name},
                                   {"activation", row.activation},
                                   {"epoch", row.epoch},
                                   {"replicas", row.replicas}};
    const auto add = [&](Summary kind, const char* suffix) {
        for (const SummaryColumn column : SummaryColumn::all())
            if (column.column().summary == kind)
                json[fmt::format("{}{}", column.name(), suffix)] = number_or_null(row.values[column]);
    };
    add(Summary::median, "");
    json["lambda_min"] = number_or_null(row.lambda_min);
    json["lambda_max"] = number_or_null(row.lambda_max);
    add(Summary::largest, "_max");
    json["seconds_training"] = row.seconds_training;
    add(Summary::total, "");
    return json;
}

/// Returns [value, low, high].
nlohmann::ordered_json estimate_json(const Estimate& estimate) {
    return {number_or_null(estimate.value), number_or_null(estimate.low), number_or_null(estimate.high)};
}

void add_statistics(nlohmann::ordered_json& json, const RunStatistics& statistics,
                    const std::vector<PlannedNetwork>& networks) {
    if (statistics.combinations.empty()) return;
    auto& combinations = json["statistics"] = nlohmann::ordered_json::array();
    for (const CombinationStatistics& one : statistics.combinations) {
        nlohmann::ordered_json entry = {{"network", networks[one.network].name},
                                        {"failed", estimate_json(one.failed)},
                                        {"untrained", estimate_json(one.untrained)},
                                        {"constant_cost", number_or_null(one.constant_cost)}};
        for (const Statistic column : Statistic::all()) {
            const Quartiles& found = one.columns[column];
            entry[std::string(column.name())] = {
                {"median", estimate_json(found.median)},
                {"quartiles", {number_or_null(found.first), number_or_null(found.third)}},
                {"count", found.count}};
        }
        combinations.push_back(std::move(entry));
    }
    auto& comparisons = json["comparisons"] = nlohmann::ordered_json::array();
    for (const ActivationComparison& one : statistics.comparisons) {
        nlohmann::ordered_json entry = {{"network", networks[one.network].name},
                                        {"other", networks[one.other].name}};
        for (const Statistic column : Statistic::all()) {
            const PairedComparison& found = one.columns[column];
            entry[std::string(column.name())] = {{"difference", estimate_json(found.difference)},
                                                 {"lower", estimate_json(found.lower)},
                                                 {"count", found.count}};
        }
        comparisons.push_back(std::move(entry));
    }
    auto& consistency = json["consistency"] = nlohmann::ordered_json::array();
    for (const Consistency& one : statistics.consistency) {
        nlohmann::ordered_json names = nlohmann::ordered_json::array();
        for (const std::size_t n : one.networks) names.push_back(networks[n].name);
        consistency.push_back(
            {{"activation", one.activation},
             {"networks", std::move(names)},
             {"cost", estimate_json(one.cost.median)},
             {"cost_quartiles", {number_or_null(one.cost.first), number_or_null(one.cost.third)}},
             {"spread_of_medians", estimate_json(one.spread_of_medians)},
             {"worst_median", number_or_null(one.worst_median)},
             {"untrained_or_failed", estimate_json(one.untrained)}});
    }
}

nlohmann::ordered_json law_json(const IndexLaw& law) {
    return {{"exponent", estimate_json(law.exponent)},
            {"coefficient", estimate_json(law.coefficient)},
            {"critical_cost", estimate_json(law.critical_cost)},
            {"residual", number_or_null(law.residual)},
            {"at_limit", law.at_limit}};
}

}  // namespace

nlohmann::ordered_json outcome_json(const RunOutcome& outcome, const std::vector<PlannedNetwork>& networks,
                                    const std::string& device) {
    nlohmann::ordered_json json = {
        {"results", outcome.file.string()},
        {"state", run_state_name(outcome.state)},
        {"device", device},
        {"workers", outcome.workers},
        {"replicas_per_batch", outcome.replicas_per_batch},
        {"training_method", fmt::format("{}", fmt::join(outcome.training_methods, "; "))},
        {"spectra", outcome.spectra},
        {"searches", outcome.searches},
        {"wall_seconds", outcome.wall_seconds},
        {"training_seconds", outcome.training_seconds},
        {"hessian_seconds", outcome.hessian_seconds},
        {"eigen_seconds", outcome.eigen_seconds},
        {"search_seconds", outcome.search_seconds},
        {"peak_memory_bytes", peak_resident_memory()},
        {"networks", nlohmann::ordered_json::array()},
        {"failures", nlohmann::ordered_json::array()}};
    for (const SummaryRow& row : outcome.summary) json["networks"].push_back(summary_json(row));
    for (const CriticalPointSummary& summary : outcome.critical_points)
        if (summary.wanted > 0)
            json["critical_points"].push_back({{"network", summary.network},
                                               {"searches", summary.done},
                                               {"converged", summary.converged},
                                               {"three_halves", law_json(summary.three_halves)},
                                               {"free", law_json(summary.free)}});
    for (const Failure& failure : outcome.failures)
        json["failures"].push_back(
            {{"network", failure.network}, {"replica", failure.replica}, {"reason", failure.reason}});
    add_statistics(json, outcome.statistics, networks);
    return json;
}

}  // namespace espectra
