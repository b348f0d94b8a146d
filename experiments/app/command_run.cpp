#include "espectra/experiments/app/commands.hpp"
#include "espectra/experiments/app/json_text.hpp"
#include "espectra/experiments/app/outcome_json.hpp"
#include "espectra/experiments/app/outcome_text.hpp"
#include "espectra/experiments/app/progress.hpp"
#include "espectra/experiments/app/report_call.hpp"
#include "espectra/experiments/app/results_folder.hpp"
#include "espectra/experiments/app/run_plan_text.hpp"
#include "espectra/experiments/app/signals.hpp"
#include "espectra/experiments/app/standard_output.hpp"
#include "espectra/experiments/device/device.hpp"
#include "espectra/experiments/run/cost_estimate.hpp"
#include "espectra/experiments/run/pipeline.hpp"
#include "espectra/experiments/run/work_plan.hpp"
#include "espectra/models/spectrum/certificates.hpp"
#include "espectra/runtime/error.hpp"
#include "espectra/runtime/memory.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace espectra {

namespace {

/// Returns the plan with nominal costs. Throws ResourceError where the memory does not suffice, before
/// anything is computed.
template <class D>
RunPlan make_plan(const D& device, const Experiment& experiment) {
    RunPlan plan(plan_networks(experiment));
    if constexpr (D::worker_per_core) {
        plan.work = plan_work(plan, device.threads, available_memory());
    } else {
        auto context = device.context(device.threads);
        plan.work = plan_batches(context, plan, device.memory(), available_memory(), available_cores());
    }
    return plan;
}

/// Replaces the costs of the plan by measured ones, by a trial of about a second.
template <class D>
void measure_costs(const D& device, RunPlan& plan) {
    constexpr double trial_seconds = 1;
    const std::function<typename D::Context()> make_context = [&] {
        return device.context(plan.work.threads_per_worker);
    };
    plan.costs = measured_costs(plan, make_context, trial_seconds);
}

/// Runs the pipeline with a progress line until its end or a signal.
template <Backend B>
RunOutcome run_with_progress(Pipeline<B>& pipeline, bool quiet) {
    std::stop_source stop;
    ProgressLine line(quiet);
    return pipeline.run(stop.get_token(), [&](const RunProgress& progress) {
        if (stop_signalled()) stop.request_stop();
        if (progress.spectra_total > 0 || progress.searches_total > 0)
            line.show(progress.fraction, progress.seconds_left, progress_text(progress));
    });
}

/// Writes summary.txt and prints the outcome, its tables cut to 40 rows.
void publish(const RunOutcome& outcome, const RunPlan& plan, const std::filesystem::path& folder,
             const std::string& device, bool json) {
    const std::string all = result_tables(outcome, plan.networks, std::numeric_limits<std::size_t>::max());
    write_summary(folder, all);
    if (json) {
        print_text(json_text(outcome_json(outcome, plan.networks, device)) + "\n");
        return;
    }
    constexpr std::size_t most_rows = 40;
    const std::string shown = result_tables(outcome, plan.networks, most_rows);
    print_text("\n" + shown + "\n" + outcome_text(outcome));
    if (shown != all) print_text(fmt::format("all rows: {}\n", (folder / "summary.txt").string()));
}

/// Ends the process without waiting for eigensolves still under way.
[[noreturn]] void exit_interrupted(const RunOutcome& outcome) {
    const std::string done = work_done_text(outcome);
    const std::string message =
        fmt::format("espectra: interrupted; {} of this session are kept; --resume continues the run\n",
                    done.empty() ? "no spectra" : done);
    std::fputs(message.c_str(), stderr);
    std::_Exit(interrupted_status);
}

/// Throws NumericalError where a network failed or a certificate is above its limit.
void check_outcome(const RunOutcome& outcome, const std::vector<PlannedNetwork>& networks) {
    if (!outcome.failures.empty()) {
        const Failure& first = outcome.failures.front();
        throw NumericalError(fmt::format(
            "{}, replica {}: {}{}; the computed records are in {}", first.network, first.replica,
            first.reason,
            outcome.failures.size() > 1 ? fmt::format(" (and {} more failures)", outcome.failures.size() - 1)
                                        : "",
            outcome.file.string()));
    }
    for (std::size_t n = 0; n < networks.size(); ++n)
        check_certificates(networks[n].name,
                           {.parameters = networks[n].network.parameters(),
                            .trace_error = outcome.summary[n].values["trace_error"],
                            .symmetry_residual = outcome.summary[n].values["symmetry_residual"],
                            .symmetric = is_symmetric(networks[n].network)});
}

template <class D>
int run_on(const D& chosen, const RunOptions& options) {
    if (options.report && !options.dry_run) require_report();
    const Experiment experiment = load_experiment(options.recipe, options.overrides);
    const std::string device = chosen.description();
    RunPlan plan = make_plan(chosen, experiment);
    if (options.dry_run) {
        measure_costs(chosen, plan);
        print_text(options.json ? json_text(plan_json(plan, device)) + "\n"
                                : plan_text(plan, device) + plan_table(plan));
        return 0;
    }
    const std::filesystem::path folder =
        options.output.empty() ? std::filesystem::path("results") / options.recipe.stem() : options.output;
    catch_signals();
    ResultsFile results = open_results(folder, options.resume, experiment, plan, device);
    const MissingWork missing(plan.networks, results);
    if (missing.any()) {
        measure_costs(chosen, plan);
        if (!options.json) print_text(plan_text(plan, device));
    }

    Pipeline<typename D::Context> pipeline(plan, missing, std::move(results),
                                           [&] { return chosen.context(plan.work.threads_per_worker); });
    const RunOutcome outcome = run_with_progress(pipeline, options.json);
    publish(outcome, plan, folder, device, options.json);
    if (outcome.state == RunState::interrupted) exit_interrupted(outcome);
    int report_status = 0;
    if (options.report)
        report_status = make_report(folder, options.json);
    else if (!options.json)
        print_text(report_hint(folder));
    check_outcome(outcome, plan.networks);
    return report_status;
}

}  // namespace

int run_command(const RunOptions& options, const Device& device) {
    return std::visit([&](const auto& chosen) { return run_on(chosen, options); }, device);
}

}  // namespace espectra
