#include "espectra/experiments/certificates.hpp"
#include "espectra/experiments/commands.hpp"
#include "espectra/experiments/cost_estimate.hpp"
#include "espectra/experiments/device.hpp"
#include "espectra/experiments/json_text.hpp"
#include "espectra/experiments/pipeline.hpp"
#include "espectra/experiments/progress.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

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
    Index replicas = 0, spectra = 0, largest = 0;
    std::size_t kinds = 0;
    double seconds = 0;  ///< estimated, from its beginning
    std::size_t results_bytes = 0;
};

RunPlan describe(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan, Space space) {
    RunPlan run;
    for (const PlannedNetwork& planned : networks) {
        run.replicas += planned.recipe.replicas;
        run.spectra += planned.recipe.replicas * planned.snapshots();
        run.largest = std::max(run.largest, planned.network.parameters());
    }
    const auto kinds = batch_kinds(networks);
    for (std::size_t n = 0; n < kinds.size(); ++n) run.kinds += kinds[n] == n ? 1 : 0;
    run.seconds = estimated_seconds(networks, plan, space);
    run.results_bytes = ResultsFile::bytes(networks);
    return run;
}

std::string plan_text(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan, const RunPlan& run,
                      const std::string& device) {
    std::string text = fmt::format("{} network{}", run.replicas, run.replicas == 1 ? "" : "s");
    if (networks.size() > 1) text += fmt::format(" in {} combinations", networks.size());
    text += fmt::format(", {} exact spectra of up to {} parameters\n", run.spectra, run.largest);
    const Index batch = plan.largest_batch();
    text += fmt::format(
        "device: {}; {} worker{}{}, needs {:.2f} GB, {:.2f} GB available\n", device, plan.workers,
        plan.workers == 1 ? "" : "s",
        batch > 1 ? fmt::format(", batches of {}{} replicas",
                                std::ranges::min(plan.replicas_per_batch) < batch ? "up to " : "", batch)
                  : "",
        static_cast<double>(plan.bytes_needed) / 1e9, static_cast<double>(plan.bytes_available) / 1e9);
    return text + fmt::format("estimated time: {}; results: {:.3g} MB\n", duration_text(run.seconds),
                              static_cast<double>(run.results_bytes) / 1e6);
}

/// One line for each combination.
std::string plan_table(const std::vector<PlannedNetwork>& networks, const WorkPlan& plan) {
    constexpr std::size_t most = 100;
    std::size_t width = 11;
    for (const PlannedNetwork& planned : networks) width = std::max(width, planned.name.size());
    std::string text = fmt::format("\n{:<{}} {:>8} {:>10} {:>8} {:>9} {:>8} {:>12}\n", "combination", width,
                                   "replicas", "parameters", "epochs", "snapshots", "batch", "core seconds");
    for (std::size_t n = 0; n < std::min(most, networks.size()); ++n) {
        const PlannedNetwork& planned = networks[n];
        const double seconds =
            static_cast<double>(planned.recipe.replicas) *
            (plan.costs[n].training + static_cast<double>(planned.snapshots()) * plan.costs[n].spectrum);
        text += fmt::format("{:<{}} {:>8} {:>10} {:>8} {:>9} {:>8} {:>12.3g}\n", planned.name, width,
                            planned.recipe.replicas, planned.network.parameters(), planned.recipe.epochs,
                            planned.snapshots(), plan.batch(n), seconds);
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
                                {"replicas_per_batch", plan.batch(n)},
                                {"seconds_training", plan.costs[n].training},
                                {"seconds_spectrum", plan.costs[n].spectrum}});
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
        {"wall_seconds", outcome.wall_seconds},
        {"training_seconds", outcome.training_seconds},
        {"hessian_seconds", outcome.hessian_seconds},
        {"eigen_seconds", outcome.eigen_seconds},
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

/// What the run took, and where its results are.
std::string outcome_text(const RunOutcome& outcome) {
    std::string text;
    if (outcome.spectra > 0)
        text = fmt::format(
            "{} spectra in {:.1f} s on {} worker{}: training{} {:.1f} s, Hessians {:.1f} s, "
            "eigensolves {:.1f} s (added over workers); peak memory {:.2f} GB\n",
            outcome.spectra, outcome.wall_seconds, outcome.workers, outcome.workers == 1 ? "" : "s",
            outcome.replicas_per_batch > 1 ? fmt::format(" ({})", fmt::join(outcome.training_methods, "; "))
                                           : "",
            outcome.training_seconds, outcome.hessian_seconds, outcome.eigen_seconds,
            static_cast<double>(peak_resident_memory()) / 1e9);
    else if (outcome.state == RunState::complete && outcome.searches == 0)
        text = "nothing was left to do\n";
    return text + fmt::format("results: {}\n", outcome.file.string());
}

/// Memory comes first: too little is known before anything is done. Then times, by trial.
template <class D>
WorkPlan plan_for(const D& device, const std::vector<PlannedNetwork>& networks) {
    constexpr double trial_seconds = 1;
    WorkPlan plan;
    if constexpr (D::Context::space == Space::host) {
        plan = plan_work(networks, device.threads, available_memory());
    } else {
        auto context = device.context(device.threads);
        plan = plan_batches(context, networks, device.memory(), available_memory());
    }
    const std::function<typename D::Context()> make_context = [&] {
        return device.context(plan.threads_per_worker);
    };
    plan.costs = measured_costs(networks, plan, make_context, trial_seconds);
    return plan;
}

template <class D>
int run_on(const D& chosen, const RunOptions& options) {
    const Experiment experiment = load_experiment(options.recipe, options.overrides);
    const std::vector<PlannedNetwork> networks = plan_networks(experiment);
    const std::string device = chosen.description();
    const WorkPlan plan = plan_for(chosen, networks);
    const RunPlan run = describe(networks, plan, D::Context::space);
    if (options.dry_run) {
        to_stdout(options.json ? json_text(plan_json(networks, plan, run, device)) + "\n"
                               : plan_text(networks, plan, run, device) + plan_table(networks, plan));
        return 0;
    }
    const std::filesystem::path folder =
        options.output.empty() ? std::filesystem::path("results") / options.recipe.stem() : options.output;
    catch_signals();
    ResultsFile results = open_results(folder, options.resume, experiment, networks, device);
    if (!options.json) to_stdout(plan_text(networks, plan, run, device));

    Pipeline<typename D::Context> pipeline(networks, std::move(results), plan,
                                           [&] { return chosen.context(plan.threads_per_worker); });
    std::stop_source stop;
    ProgressLine line(options.json);
    const RunOutcome outcome = pipeline.run(stop.get_token(), [&](const RunProgress& progress) {
        if (signalled) stop.request_stop();
        if (progress.spectra_total > 0)
            line.show(progress.fraction, progress.seconds_left,
                      fmt::format("{}/{} spectra", progress.spectra_done, progress.spectra_total));
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
        const std::string message =
            fmt::format("espectra: interrupted; {} spectra of this session are kept, --resume goes on\n",
                        outcome.spectra);
        std::fputs(message.c_str(), stderr);
        std::_Exit(interrupted_status);  // without waiting for eigensolves still under way
    }
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
    return 0;
}

}  // namespace

int run_command(const RunOptions& options, const Device& device) {
    return std::visit([&](const auto& chosen) { return run_on(chosen, options); }, device);
}

}  // namespace espectra
