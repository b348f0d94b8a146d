#include "espectra/experiments/app/commands.hpp"
#include "espectra/experiments/app/json_text.hpp"
#include "espectra/experiments/app/progress.hpp"
#include "espectra/experiments/device/device.hpp"
#include "espectra/experiments/replay/replay.hpp"
#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/models/spectrum/certificates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace espectra {

int replay_command(const ReplayOptions& options, const Device& device) {
    const std::vector<RecordedRun> runs = open_recorded_runs(options.run);
    ProgressLine line(options.json);
    const Timer timer;
    const ReplayReport report = replay(runs, device, [&](Index done, Index total) {
        const double fraction = static_cast<double>(done) / static_cast<double>(total);
        line.show(fraction, timer.seconds() * (1 - fraction) / fraction,
                  fmt::format("{}/{} spectra", done, total));
    });
    line.finish();

    const nlohmann::ordered_json json = {
        {"hessian_relative_error_max", number_or_null(report.hessian_relative_error_max)},
        {"residual_error_max", number_or_null(report.residual_error_max)},
        {"eigenvalue_error_max", number_or_null(report.eigenvalue_error_max)},
        {"gamma_dead_mismatches", report.gamma_dead_mismatches},
        {"negative_count_mismatches", report.negative_count_mismatches},
        {"theta_error_median", number_or_null(report.theta_error_median)},
        {"theta_error_max", number_or_null(report.theta_error_max)},
        {"cost_error_max", number_or_null(report.cost_error_max)},
        {"symmetry_residual_max", number_or_null(report.symmetry_residual_max)},
        {"trace_error_max", number_or_null(report.trace_error_max)},
        {"snapshots", report.snapshots},
        {"parameters", report.parameters},
        {"seconds_training", report.seconds_training},
        {"seconds_hessian", report.seconds_hessian},
        {"seconds_eigen", report.seconds_eigen},
        {"device", std::visit([](const auto& chosen) { return chosen.description(); }, device)}};
    if (options.json) {
        fmt::print("{}\n", json_text(json));
    } else {
        fmt::print("{}: {} snapshots of {} parameters\n", options.run.string(), report.snapshots,
                   report.parameters);
        fmt::print("{}", entries_text(json, 28, 3));
    }
    std::fflush(stdout);
    const bool symmetric = std::ranges::any_of(
        runs, [](const RecordedRun& run) { return run.snapshots() > 0 && is_symmetric(run.network); });
    check_certificates(options.run.string(), {.parameters = report.parameters,
                                              .trace_error = report.trace_error_max,
                                              .symmetry_residual = report.symmetry_residual_max,
                                              .symmetric = symmetric});
    return 0;
}

}  // namespace espectra
