#include "espectra/experiments/app/recorded_spectra.hpp"

#include "espectra/experiments/app/outcome_text.hpp"
#include "espectra/experiments/app/progress.hpp"
#include "espectra/experiments/app/report_call.hpp"
#include "espectra/experiments/app/results_folder.hpp"
#include "espectra/experiments/app/run_end.hpp"
#include "espectra/experiments/app/signals.hpp"
#include "espectra/experiments/app/standard_output.hpp"
#include "espectra/experiments/run/recorded_snapshots.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <string>

namespace espectra {

namespace {

/// Creates results.h5 in a new folder, or a new file if the output is called *.h5 or *.hdf5.
ResultsFile create_results(const HessianOptions& options, const RunPlan& plan, const std::string& device) {
    const std::filesystem::path output =
        options.output.empty() ? std::filesystem::path("results") / options.run.stem() : options.output;
    Experiment experiment;
    experiment.path = options.run.string();
    experiment.title = options.run.stem().string();
    if (output.extension() == ".h5" || output.extension() == ".hdf5")
        return ResultsFile::create_file(output, experiment, plan.networks, device, version_text());
    return open_results(output, EarlierRun::none, experiment, plan, device);
}

template <class D>
int write_on(const D& chosen, const RecordedRun& run, const HessianOptions& options) {
    RunPlan plan(
        {planned_network(run, {.eigenvectors = options.eigenvectors, .gauss_newton = options.gauss_newton})});
    plan.work = plan_snapshots(chosen, plan.networks.front());
    const std::string device = chosen.description();
    ResultsFile results = create_results(options, plan, device);
    catch_signals();
    ProgressLine line(options.json);
    const RunOutcome outcome =
        analyze_snapshots(chosen, run, plan, std::move(results), [&](const RunProgress& progress) {
            line.show(progress.fraction, progress.seconds_left, progress_text(progress));
            return !stop_signalled();
        });
    line.finish();
    publish(outcome, plan.networks, device, options.json);
    if (outcome.state == RunState::interrupted) exit_interrupted(outcome, "");
    if (!options.json) print_text(report_hint(outcome.file));
    check_outcome(outcome, plan.networks);
    return 0;
}

}  // namespace

int write_recorded_spectra(const RecordedRun& run, const HessianOptions& options, const Device& device) {
    if (options.blocks) throw InputError("--blocks: needs one snapshot, got --snapshot all");
    return std::visit([&](const auto& chosen) { return write_on(chosen, run, options); }, device);
}

}  // namespace espectra
