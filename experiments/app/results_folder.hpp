#pragma once

#include "espectra/experiments/run/run_plan.hpp"
#include "espectra/experiments/store/results.hpp"

#include <filesystem>
#include <string>

namespace espectra {

/// Creates `folder` and lays out a new results file in it, or with `resume` opens the one that is there.
/// Throws InputError if the folder exists without `resume`, or cannot be created.
ResultsFile open_results(const std::filesystem::path& folder, bool resume, const Experiment& experiment,
                         const RunPlan& plan, const std::string& device);

/// Writes summary.txt; readers see the old file or the new one. Throws ResourceError.
void write_summary(const std::filesystem::path& folder, const std::string& text);

}  // namespace espectra
