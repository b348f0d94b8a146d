#include "espectra/experiments/app/commands.hpp"
#include "espectra/experiments/app/external_program.hpp"
#include "espectra/experiments/app/json_text.hpp"
#include "espectra/experiments/app/progress.hpp"
#include "espectra/experiments/device/device.hpp"
#include "espectra/experiments/run/cost_estimate.hpp"
#include "espectra/experiments/run/pipeline.hpp"
#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espectra {

namespace {

constexpr int interrupted_status = 130;

std::atomic<bool> signalled{false};

/// The first SIGINT, SIGTERM or SIGHUP asks for a stop, a second one ends the process at once.
void catch_signals() {
    struct sigaction action {};
    action.sa_handler = [](int) { signalled = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    // A terminal that closes is an interruption too, unless nohup has asked to stay.
    struct sigaction hangup {};
    if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, nullptr);
}

std::string fixed(double value, int digits) {
    return std::isnan(value) ? "-" : fmt::format("{:.{}f}", value, digits);
}
std::string scientific(double value) { return std::isnan(value) ? "-" : fmt::format("{:.3e}", value); }

/// Medians over the replicas; of at most so many networks.
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
        text += fmt::format("{:<10} {:<{}} {:>8} {:>11} {:>7} {:>7} {:>8} {:>8} {:>8} {:>11} {:>11} {:>9}\n",
                            row.activation, row.name, width, row.epoch, scientific(row.cost),
                            fixed(row.accuracy_train, 4), fixed(row.accuracy_test, 4), fixed(row.alpha, 4),
                            fixed(row.gamma, 4), fixed(row.gamma_dead, 4), scientific(row.lambda_min),
                            scientific(row.lambda_max),
                            fixed(row.seconds_training + row.seconds_hessian + row.seconds_eigen, 1));
    }
    return text;
}

nlohmann::ordered_json summary_json(const SummaryRow& row) {
    return {{"network", row.name},
            {"activation", row.activation},
            {"epoch", row.epoch},
            {"replicas", row.replicas},
            {"cost", number_or_null(row.cost)},
            {"accuracy_train", number_or_null(row.accuracy_train)},
            {"accuracy_test", number_or_null(row.accuracy_test)},
            {"alpha", number_or_null(row.alpha)},
            {"gamma", number_or_null(row.gamma)},
            {"gamma_dead", number_or_null(row.gamma_dead)},
            {"lambda_min", number_or_null(row.lambda_min)},
            {"lambda_max", number_or_null(row.lambda_max)},
            {"trace_error_max", number_or_null(row.trace_error)},
            {"symmetry_residual_max", number_or_null(row.symmetry_residual)},
            {"seconds_training", row.seconds_training},
            {"seconds_hessian", row.seconds_hessian},
            {"seconds_eigen", row.seconds_eigen}};
}

/// Opens the folder for a new run, or finds what --resume goes on with.
ResultsFile open_results(const std::filesystem::path& folder, bool resume, const Experiment& experiment,
                         const std::vector<PlannedNetwork>& networks, const std::string& device) {
    std::error_code error;
    const auto status = std::filesystem::status(folder, error);
    const bool exists = std::filesystem::exists(status);
    if (exists && !std::filesystem::is_directory(status))
        throw InputError(fmt::format("--output {}: exists and is not a folder", folder.string()));
    if (exists && !resume)
        throw InputError(
            fmt::format("--output {}: the folder exists; use --resume to go on with it, or another folder",
                        folder.string()));
    if (exists && (std::filesystem::exists(ResultsFile::partial_path(folder)) ||
                   std::filesystem::exists(ResultsFile::final_path(folder))))
        return ResultsFile::resume(folder, experiment, networks);
    std::filesystem::create_directories(folder, error);
    if (error)
        throw InputError(fmt::format("--output {}: cannot be made: {}", folder.string(), error.message()));
    try {
        return ResultsFile::create(folder, experiment, networks, device, version_text());
    } catch (...) {
        if (!exists) std::filesystem::remove(folder, error);
        throw;
    }
}

void write_summary(const std::filesystem::path& folder, const std::string& text) {
    const auto path = folder / "summary.txt", partial = folder / "summary.txt.partial";
    std::ofstream stream(partial);
    if (!(stream << text) || (stream.close(), stream.fail())) {
        std::error_code error;
        std::filesystem::remove(partial, error);
        throw ResourceError(fmt::format("{}: cannot be written", path.string()));
    }
    std::filesystem::rename(partial, path);
}

/// Failure sets the stream's error flag, which main looks at; it neither throws nor ends the run.
void to_stdout(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
}

/// What a run is going to be.
struct RunPlan {
    Index replicas = 0, spectra = 0, searches = 0, largest = 0;
    std::size_t kinds = 0;
    double seconds = 0;    ///< estimated, from its beginning
    NetworkSeconds parts;  ///< of all networks
    std::size_t results_bytes = 0;
};

RunPlan describe(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan, Space space) {
    RunPlan run;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        const PlannedNetwork& planned = networks[n];
        run.replicas += planned.recipe.replicas;
        run.spectra += planned.recipe.replicas * planned.snapshots();
        run.searches += planned.recipe.replicas * planned.recipe.critical_points.count();
        run.largest = std::max(run.largest, planned.network.parameters());
        const NetworkSeconds seconds = network_seconds(planned, plan.costs[n]);
        run.parts.training += seconds.training;
        run.parts.spectra += seconds.spectra;
        run.parts.searches += seconds.searches;
    }
    const auto kinds = batch_kinds(networks);
    for (std::size_t n = 0; n < kinds.size(); ++n) run.kinds += kinds[n] == n ? 1 : 0;
    run.seconds = estimated_seconds(networks, plan, space);
    run.results_bytes = ResultsFile::bytes(networks);
    return run;
}

std::string memory_text(std::size_t bytes) {
    const auto size = static_cast<double>(bytes);
    return size < 1e8 ? fmt::format("{:.3g} MB", size / 1e6) : fmt::format("{:.2f} GB", size / 1e9);
}

std::string time_text(double seconds) {
    return seconds == 0 ? "-" : seconds < 1 ? "< 1 s" : duration_text(seconds);
}

std::string percent(double part, double whole) {
    return fmt::format("{:.1f} %", whole > 0 ? 100 * part / whole : 0.0);
}

/// "1 search", "7 searches".
std::string counted(Index count, const std::string& one, const std::string& several) {
    return fmt::format("{} {}", count, count == 1 ? one : several);
}
std::string searches_text(Index count) {
    return counted(count, "search for a critical point", "searches for critical points");
}

std::string plan_text(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan, const RunPlan& run,
                      const std::string& device) {
    std::string text = counted(run.replicas, "network", "networks");
    if (networks.size() > 1) text += fmt::format(" in {} combinations", networks.size());
    text += fmt::format(", {} exact spectra of up to {} parameters", run.spectra, run.largest);
    if (run.searches > 0) text += ", " + searches_text(run.searches);
    const Index batch = plan.largest_batch();
    text += fmt::format(
        "\ndevice: {}; {}{}, needs {}, {} available\n", device, counted(plan.workers, "worker", "workers"),
        batch > 1 ? fmt::format(", batches of {}{} replicas",
                                std::ranges::min(plan.replicas_per_batch) < batch ? "up to " : "", batch)
                  : "",
        memory_text(plan.bytes_needed), memory_text(plan.bytes_available));
    const double total = run.parts.total();
    text += fmt::format("estimated time: {} (training {}, spectra {}", time_text(run.seconds),
                        percent(run.parts.training, total), percent(run.parts.spectra, total));
    if (run.searches > 0) text += fmt::format(", searches {}", percent(run.parts.searches, total));
    return text + fmt::format("); results: {}\n", memory_text(run.results_bytes));
}

/// What all combinations have in common, and one line for each, the costliest first.
std::string plan_table(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan,
                       const RunPlan& run) {
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
        {"batch", [&](std::size_t n) { return plan.batch(n); }},
    };
    std::vector<std::size_t> order;
    std::vector<NetworkSeconds> seconds;
    std::size_t width = 11;
    for (std::size_t n = 0; n < networks.size(); ++n) {
        order.push_back(n);
        seconds.push_back(network_seconds(networks[n], plan.costs[n]));
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
                     {time_text(seconds[n].total()), percent(seconds[n].total(), run.parts.total())});
        line(networks[n].name, cells);
    }
    if (networks.size() > most) text += fmt::format("and {} more\n", networks.size() - most);
    return text;
}

nlohmann::ordered_json plan_json(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan,
                                 const RunPlan& run, const std::string& device) {
    nlohmann::ordered_json json = {{"device", device},
                                   {"workers", plan.workers},
                                   {"networks", run.replicas},
                                   {"combinations", networks.size()},
                                   {"kinds", run.kinds},
                                   {"spectra", run.spectra},
                                   {"searches", run.searches},
                                   {"largest_parameters", run.largest},
                                   {"memory_needed_bytes", plan.bytes_needed},
                                   {"memory_available_bytes", plan.bytes_available},
                                   {"results_bytes", run.results_bytes},
                                   {"estimated_seconds", run.seconds},
                                   {"plan", nlohmann::ordered_json::array()}};
    for (std::size_t n = 0; n < networks.size(); ++n)
        json["plan"].push_back({{"network", networks[n].name},
                                {"replicas", networks[n].recipe.replicas},
                                {"parameters", networks[n].network.parameters()},
                                {"epochs", networks[n].recipe.epochs},
                                {"snapshots", networks[n].snapshots()},
                                {"searches", networks[n].recipe.critical_points.count()},
                                {"replicas_per_batch", plan.batch(n)},
                                {"seconds_training", plan.costs[n].training},
                                {"seconds_spectrum", plan.costs[n].spectrum},
                                {"seconds_search", plan.costs[n].search}});
    return json;
}

nlohmann::ordered_json estimate_json(const Estimate& estimate) {
    return {number_or_null(estimate.value), number_or_null(estimate.low), number_or_null(estimate.high)};
}

/// Estimates as [value, low, high].
void add_statistics(nlohmann::ordered_json& json, const RunStatistics& statistics,
                    const std::vector<PlannedNetwork>& networks) {
    if (statistics.combinations.empty()) return;
    auto& combinations = json["statistics"] = nlohmann::ordered_json::array();
    for (const CombinationStatistics& one : statistics.combinations) {
        nlohmann::ordered_json entry = {{"network", networks[one.network].name},
                                        {"failed", estimate_json(one.failed)},
                                        {"untrained", estimate_json(one.untrained)},
                                        {"constant_cost", number_or_null(one.constant_cost)}};
        for (std::size_t c = 0; c < statistics_columns.size(); ++c)
            entry[statistics_columns[c]] = {
                {"median", estimate_json(one.columns[c].median)},
                {"quartiles", {number_or_null(one.columns[c].first), number_or_null(one.columns[c].third)}},
                {"count", one.columns[c].count}};
        combinations.push_back(std::move(entry));
    }
    auto& comparisons = json["comparisons"] = nlohmann::ordered_json::array();
    for (const ActivationComparison& one : statistics.comparisons) {
        nlohmann::ordered_json entry = {{"network", networks[one.network].name},
                                        {"other", networks[one.other].name}};
        for (std::size_t c = 0; c < statistics_columns.size(); ++c)
            entry[statistics_columns[c]] = {{"difference", estimate_json(one.columns[c].difference)},
                                            {"lower", estimate_json(one.columns[c].lower)},
                                            {"count", one.columns[c].count}};
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

/// The run as one JSON object.
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

/// "12 spectra and 4 searches for critical points", or what there is of them; empty if nothing.
std::string work_done(const RunOutcome& outcome) {
    std::string text;
    if (outcome.spectra > 0) text = counted(outcome.spectra, "spectrum", "spectra");
    if (outcome.searches > 0) text += (text.empty() ? "" : " and ") + searches_text(outcome.searches);
    return text;
}

/// What the run took, and where its results are.
std::string outcome_text(const RunOutcome& outcome) {
    std::string text;
    if (const std::string done = work_done(outcome); !done.empty()) {
        std::vector<std::string> parts;
        if (outcome.spectra > 0)
            parts.push_back(fmt::format("training{} {:.1f} s, Hessians {:.1f} s, eigensolves {:.1f} s",
                                        outcome.replicas_per_batch > 1
                                            ? fmt::format(" ({})", fmt::join(outcome.training_methods, "; "))
                                            : "",
                                        outcome.training_seconds, outcome.hessian_seconds,
                                        outcome.eigen_seconds));
        if (outcome.searches > 0) parts.push_back(fmt::format("searches {:.1f} s", outcome.search_seconds));
        text = fmt::format("{} in {:.1f} s on {}: {} (added over workers); peak memory {}\n", done,
                           outcome.wall_seconds, counted(outcome.workers, "worker", "workers"),
                           fmt::join(parts, ", "), memory_text(peak_resident_memory()));
    } else if (outcome.state == RunState::complete) {
        text = "nothing was left to do\n";
    }
    return text + fmt::format("results: {}\n", outcome.file.string());
}

/// What the progress line counts: spectra first, then searches.
std::string progress_text(const RunProgress& progress) {
    std::vector<std::string> parts;
    if (progress.spectra_done < progress.spectra_total)
        parts.push_back(fmt::format("{}/{} spectra", progress.spectra_done, progress.spectra_total));
    if (progress.searches_total > 0 && (parts.empty() || progress.searches_done > 0))
        parts.push_back(fmt::format("{}/{} searches", progress.searches_done, progress.searches_total));
    if (parts.empty()) return fmt::format("{}/{} spectra", progress.spectra_done, progress.spectra_total);
    return fmt::format("{}", fmt::join(parts, ", "));
}

/// Memory comes first: too little is known before anything is done.
template <class D>
WorkPlan plan_memory(const D& device, const std::vector<PlannedNetwork>& networks) {
    if constexpr (D::Context::space == Space::host) {
        return plan_work(networks, device.threads, available_memory());
    } else {
        auto context = device.context(device.threads);
        return plan_batches(context, networks, device.memory(), available_memory());
    }
}

template <class D>
std::vector<NetworkCost> tried_costs(const D& device, const std::vector<PlannedNetwork>& networks,
                                     const WorkPlan& plan) {
    constexpr double trial_seconds = 1;
    const std::function<typename D::Context()> make_context = [&] {
        return device.context(plan.threads_per_worker);
    };
    return measured_costs(networks, plan, make_context, trial_seconds);
}

bool anything_missing(const std::vector<PlannedNetwork>& networks, const ResultsFile& results) {
    for (std::size_t n = 0; n < networks.size(); ++n)
        for (Index r = 0; r < networks[n].recipe.replicas; ++r) {
            for (Index e = 0; e < networks[n].snapshots(); ++e)
                if (!results.complete(n, r, e)) return true;
            for (Index k = 0; k < networks[n].recipe.critical_points.count(); ++k)
                if (!results.critical_point_complete(n, r, k)) return true;
        }
    return false;
}

/// --report, before anything is computed: the program and what it needs have to be there.
void require_report() {
    const ExternalProgram program("report");
    if (!program.found())
        throw InputError("--report: no program espectra-report, beside espectra or in PATH");
    if (const int status = program.run({"--version"}, ExternalProgram::Output::nowhere, [] { return false; }))
        throw ResourceError(fmt::format("--report: espectra-report does not start (exit status {})", status));
}

/// The report, made of what is in the folder; or how to make it. The exit status of its program.
int make_report(const RunOptions& options, const std::filesystem::path& folder) {
    const ExternalProgram program("report");
    if (!options.report) {
        if (!options.json && program.found())
            to_stdout(fmt::format("figures and a page to explore: espectra report {}\n", folder.string()));
        return 0;
    }
    using enum ExternalProgram::Output;
    const int status =
        program.run({folder.string()}, options.json ? error : standard, [] { return signalled.load(); });
    return signalled ? interrupted_status : status;
}

template <class D>
int run_on(const D& chosen, const RunOptions& options) {
    if (options.report && !options.dry_run) require_report();
    const Experiment experiment = load_experiment(options.recipe, options.overrides);
    const std::vector<PlannedNetwork> networks = plan_networks(experiment);
    const std::string device = chosen.description();
    WorkPlan plan = plan_memory(chosen, networks);
    if (options.dry_run) {
        plan.costs = tried_costs(chosen, networks, plan);
        const RunPlan run = describe(networks, plan, D::Context::space);
        to_stdout(options.json ? json_text(plan_json(networks, plan, run, device)) + "\n"
                               : plan_text(networks, plan, run, device) + plan_table(networks, plan, run));
        return 0;
    }
    const std::filesystem::path folder =
        options.output.empty() ? std::filesystem::path("results") / options.recipe.stem() : options.output;
    catch_signals();
    ResultsFile results = open_results(folder, options.resume, experiment, networks, device);
    if (anything_missing(networks, results)) {
        plan.costs = tried_costs(chosen, networks, plan);
        if (!options.json)
            to_stdout(plan_text(networks, plan, describe(networks, plan, D::Context::space), device));
    }

    Pipeline<typename D::Context> pipeline(networks, std::move(results), plan,
                                           [&] { return chosen.context(plan.threads_per_worker); });
    std::stop_source stop;
    ProgressLine line(options.json);
    const RunOutcome outcome = pipeline.run(stop.get_token(), [&](const RunProgress& progress) {
        if (signalled) stop.request_stop();
        if (progress.spectra_total > 0 || progress.searches_total > 0)
            line.show(progress.fraction, progress.seconds_left, progress_text(progress));
    });
    line.finish();

    const auto tables = [&](std::size_t most_rows) {
        std::string text = summary_text(outcome.summary, most_rows);
        for (const std::string& part : {statistics_text(outcome.statistics, networks, most_rows),
                                        critical_points_text(outcome.critical_points)})
            if (!part.empty()) text += "\n" + part;
        return text;
    };
    const std::string all = tables(std::numeric_limits<std::size_t>::max());
    write_summary(folder, all);
    if (options.json) {
        to_stdout(json_text(outcome_json(outcome, networks, device)) + "\n");
    } else {
        constexpr std::size_t most_rows = 40;
        const std::string shown = tables(most_rows);
        to_stdout("\n" + shown + "\n" + outcome_text(outcome));
        if (shown != all) to_stdout(fmt::format("all rows: {}\n", (folder / "summary.txt").string()));
    }

    if (outcome.state == RunState::interrupted) {
        const std::string done = work_done(outcome);
        const std::string message =
            fmt::format("espectra: interrupted; {} of this session are kept, --resume goes on\n",
                        done.empty() ? "no spectra" : done);
        std::fputs(message.c_str(), stderr);
        std::_Exit(interrupted_status);  // without waiting for eigensolves still under way
    }
    const int report_status = make_report(options, folder);
    if (!outcome.failures.empty()) {
        const Failure& first = outcome.failures.front();
        throw NumericalError(fmt::format(
            "{}, replica {}: {}{}; what was computed is in {}", first.network, first.replica, first.reason,
            outcome.failures.size() > 1 ? fmt::format(" (and {} more failures)", outcome.failures.size() - 1)
                                        : "",
            outcome.file.string()));
    }
    for (std::size_t n = 0; n < networks.size(); ++n)
        check_certificates(networks[n].name, {.parameters = networks[n].network.parameters(),
                                              .trace_error = outcome.summary[n].trace_error,
                                              .symmetry_residual = outcome.summary[n].symmetry_residual,
                                              .symmetric = is_symmetric(networks[n].network)});
    return report_status;
}

}  // namespace

int run_command(const RunOptions& options, const Device& device) {
    return std::visit([&](const auto& chosen) { return run_on(chosen, options); }, device);
}

}  // namespace espectra
