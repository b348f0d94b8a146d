#include "espectra/experiments/app/commands.hpp"
#include "espectra/experiments/app/json_text.hpp"
#include "espectra/experiments/app/outcome_text.hpp"
#include "espectra/experiments/app/progress.hpp"
#include "espectra/experiments/app/report_call.hpp"
#include "espectra/experiments/app/results_folder.hpp"
#include "espectra/experiments/app/run_end.hpp"
#include "espectra/experiments/app/run_plan_text.hpp"
#include "espectra/experiments/app/signals.hpp"
#include "espectra/experiments/app/standard_output.hpp"
#include "espectra/experiments/device/device.hpp"
#include "espectra/experiments/run/cost_estimate.hpp"
#include "espectra/experiments/run/pipeline.hpp"
#include "espectra/experiments/run/work_plan.hpp"
#include "espectra/experiments/store/earlier_results.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace espectra {

namespace {

/// What is to be done with the results in the folder of a run, and what they say about it.
struct EarlierSession {
    EarlierRun use = EarlierRun::none;
    std::optional<EarlierResults> results;
};

/// Throws InputError where the results are not those of the recipe, or where there are none to extend.
EarlierSession find_earlier_session(const std::filesystem::path& folder, const RunOptions& options,
                                    const Experiment& experiment) {
    EarlierSession earlier;
    if (options.resume) earlier.use = EarlierRun::resumed;
    if (options.extend) earlier.use = EarlierRun::extended;
    if (earlier.use == EarlierRun::none) return earlier;
    earlier.results = EarlierResults::find(folder);
    if (options.extend && !earlier.results)
        throw InputError(fmt::format("--extend: {}: no results to extend; the recipe is run without --extend",
                                     folder.string()));
    if (options.extend && earlier.results->extended_for(experiment)) earlier.use = EarlierRun::resumed;
    if (earlier.use == EarlierRun::extended)
        earlier.results->require_extension(experiment);
    else if (earlier.results)
        earlier.results->require_same_recipe(experiment);
    return earlier;
}

/// Returns the plan with nominal costs. Throws ResourceError where the memory does not suffice, before
/// anything is computed.
template <class D>
RunPlan make_plan(const D& device, const Experiment& experiment, const EarlierSession& earlier) {
    StoredData stored;
    if (earlier.results) stored = [&](std::size_t combination) { return earlier.results->data(combination); };
    std::vector<PlannedNetwork> networks = plan_networks(experiment, stored);
    if (earlier.results) earlier.results->add_epochs(networks, earlier.use == EarlierRun::extended);
    RunPlan plan(std::move(networks));
    plan.work = plan_work_on(device, plan);
    return plan;
}

/// Returns a line for each file of data that is gone.
std::string stored_data_text(const RunPlan& plan, const std::filesystem::path& folder) {
    std::set<std::string> sources;
    for (const PlannedNetwork& planned : plan.networks)
        if (planned.stored_data) sources.insert(planned.data->source);
    std::string text;
    for (const std::string& source : sources)
        text += fmt::format("{}: no such file; its examples are taken from the results in {}\n", source,
                            folder.string());
    return text;
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

template <class D>
int run_on(const D& chosen, const RunOptions& options) {
    if (options.report && !options.dry_run) require_report();
    const Experiment experiment = load_experiment(options.recipe, options.overrides);
    const std::string device = chosen.description();
    const std::filesystem::path folder =
        options.output.empty() ? std::filesystem::path("results") / options.recipe.stem() : options.output;
    EarlierSession earlier = find_earlier_session(folder, options, experiment);
    RunPlan plan = make_plan(chosen, experiment, earlier);
    earlier.results.reset();  // the file is opened again to be written
    if (!options.json) print_text(stored_data_text(plan, folder));
    if (options.dry_run) {
        measure_costs(chosen, plan);
        print_text(options.json ? json_text(plan_json(plan, device)) + "\n"
                                : plan_text(plan, device) + plan_table(plan));
        return 0;
    }
    catch_signals();
    ResultsFile results = open_results(folder, earlier.use, experiment, plan, device);
    const MissingWork missing(plan.networks, results);
    if (missing.any()) {
        measure_costs(chosen, plan);
        if (!options.json) print_text(plan_text(plan, device));
    }

    Pipeline<typename D::Context> pipeline(plan, missing, std::move(results),
                                           [&] { return chosen.context(plan.work.threads_per_worker); });
    const RunOutcome outcome = run_with_progress(pipeline, options.json);
    publish(outcome, plan.networks, device, options.json);
    if (outcome.state == RunState::interrupted) exit_interrupted(outcome, "; --resume continues the run");
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
