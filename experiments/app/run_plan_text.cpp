#include "espectra/experiments/app/run_plan_text.hpp"

#include "espectra/experiments/app/quantity_text.hpp"
#include "espectra/experiments/store/results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <vector>

namespace espectra {

namespace {

std::string time_text(double seconds) {
    return seconds == 0 ? "-" : seconds < 1 ? "< 1 s" : duration_text(seconds);
}

}  // namespace

std::string plan_text(const RunPlan& plan, const std::string& device) {
    const RunTotals run(plan);
    const WorkPlan& work = plan.work;
    std::string text = counted(run.replicas, "network", "networks");
    if (plan.networks.size() > 1) text += fmt::format(" in {} combinations", plan.networks.size());
    text += fmt::format(", {} exact spectra of up to {} parameters", run.spectra, run.largest);
    if (run.searches > 0) text += ", " + searches_text(run.searches);
    const Index batch = work.largest_batch();
    text += fmt::format(
        "\ndevice: {}; {}{}{}, needs {}, {} available\n", device, counted(work.workers, "worker", "workers"),
        work.searchers > 0
            ? fmt::format(", {} of the host for searches", counted(work.searchers, "thread", "threads"))
            : "",
        batch > 1 ? fmt::format(", batches of {}{} replicas",
                                std::ranges::min(work.replicas_per_batch) < batch ? "up to " : "", batch)
                  : "",
        memory_text(work.bytes_needed), memory_text(work.bytes_available));
    const double total = run.seconds.total();
    text += fmt::format("estimated time: {} (training {}, spectra {}", time_text(estimated_seconds(plan)),
                        percent_text(run.seconds.training, total), percent_text(run.seconds.spectra, total));
    if (run.searches > 0) text += fmt::format(", searches {}", percent_text(run.seconds.searches, total));
    return text + fmt::format("); results: {}\n", memory_text(ResultsFile::bytes(plan.networks)));
}

std::string plan_table(const RunPlan& plan) {
    const std::vector<PlannedNetwork>& networks = plan.networks;
    const RunTotals run(plan);
    constexpr std::size_t most = 40;
    struct Column {
        const char* title;
        std::function<Index(std::size_t)> value;
    };
    const auto at = [&](std::size_t n) -> const PlannedNetwork& { return networks[n]; };
    const Column columns[] = {
        {"parameters", [&](std::size_t n) { return at(n).network.parameters(); }},
        {"replicas", [&](std::size_t n) { return at(n).recipe.replicas; }},
        {"epochs", [&](std::size_t n) { return at(n).recipe.epochs; }},
        {"snapshots", [&](std::size_t n) { return at(n).snapshots(); }},
        {"searches", [&](std::size_t n) { return at(n).recipe.critical_points.count(); }},
        {"batch", [&](std::size_t n) { return plan.work.batch(n); }},
    };
    std::vector<std::size_t> order;
    std::vector<WorkSeconds> seconds;
    std::size_t width = 11;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        order.push_back(n);
        seconds.push_back(plan.seconds(n));
    }
    std::ranges::stable_sort(order, std::greater(), [&](std::size_t n) { return seconds[n].total(); });
    if (order.size() > most) order.resize(most);
    for (const std::size_t n : order) width = std::max(width, networks[n].name.size());

    std::string common;
    std::vector<const Column*> varying;
    for (const Column& column : columns) {
        const Index first = column.value(0);
        bool same = true;
        for (std::size_t n = 1; n < networks.size(); ++n) same = same && column.value(n) == first;
        if (!same)
            varying.push_back(&column);
        else if (column.title != std::string_view("searches") || first > 0)
            common += fmt::format("{}{} {}", common.empty() ? "" : ", ", column.title, first);
    }
    std::string text = "\n";
    if (!common.empty()) text += fmt::format("each: {}\n", common);
    const bool searches = run.searches > 0;
    const auto line = [&](const std::string& name, const std::vector<std::string>& cells) {
        text += fmt::format("{:<{}}", name, width);
        for (const std::string& cell : cells) text += fmt::format(" {:>12}", cell);
        text += "\n";
    };
    std::vector<std::string> cells;
    for (const Column* column : varying) cells.emplace_back(column->title);
    cells.insert(cells.end(), {"training", "spectra"});
    if (searches) cells.emplace_back("searching");
    cells.insert(cells.end(), {"core time", "share"});
    line("combination", cells);
    for (const std::size_t n : order) {
        cells.clear();
        for (const Column* column : varying) cells.push_back(std::to_string(column->value(n)));
        cells.insert(cells.end(), {time_text(seconds[n].training), time_text(seconds[n].spectra)});
        if (searches) cells.push_back(time_text(seconds[n].searches));
        cells.insert(cells.end(),
                     {time_text(seconds[n].total()), percent_text(seconds[n].total(), run.seconds.total())});
        line(networks[n].name, cells);
    }
    if (networks.size() > most) text += fmt::format("and {} more\n", networks.size() - most);
    return text;
}

nlohmann::ordered_json plan_json(const RunPlan& plan, const std::string& device) {
    const std::vector<PlannedNetwork>& networks = plan.networks;
    const RunTotals run(plan);
    nlohmann::ordered_json json = {{"device", device},
                                   {"workers", plan.work.workers},
                                   {"searchers", plan.work.searchers},
                                   {"networks", run.replicas},
                                   {"combinations", networks.size()},
                                   {"kinds", run.kinds},
                                   {"spectra", run.spectra},
                                   {"searches", run.searches},
                                   {"largest_parameters", run.largest},
                                   {"memory_needed_bytes", plan.work.bytes_needed},
                                   {"memory_available_bytes", plan.work.bytes_available},
                                   {"results_bytes", ResultsFile::bytes(networks)},
                                   {"estimated_seconds", estimated_seconds(plan)},
                                   {"plan", nlohmann::ordered_json::array()}};
    for (std::size_t n = 0; n < networks.size(); ++n)
        json["plan"].push_back({{"network", networks[n].name},
                                {"replicas", networks[n].recipe.replicas},
                                {"parameters", networks[n].network.parameters()},
                                {"epochs", networks[n].recipe.epochs},
                                {"snapshots", networks[n].snapshots()},
                                {"searches", networks[n].recipe.critical_points.count()},
                                {"replicas_per_batch", plan.work.batch(n)},
                                {"seconds_training", plan.costs[n].training},
                                {"seconds_spectrum", plan.costs[n].spectrum},
                                {"seconds_search", plan.costs[n].search}});
    return json;
}

}  // namespace espectra
