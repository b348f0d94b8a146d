#pragma once

#include "espectra/experiments/run/run_plan.hpp"
#include "espectra/experiments/store/results.hpp"

#include <filesystem>
#include <string>

namespace espectra {

/// What a command does with results that are in its folder.
enum class EarlierRun {
    none,      ///< there are to be none: it begins a new run
    resumed,   ///< it computes what they lack
    extended,  ///< it trains for more epochs
};

/// Creates `folder` and lays out a new results file in it, or opens the one that is there. Throws InputError
/// if the folder exists although there is to be no earlier run, or cannot be created.
ResultsFile open_results(const std::filesystem::path& folder, EarlierRun earlier,
                         const Experiment& experiment, const RunPlan& plan, const std::string& device);

/// Writes summary.txt; readers see the old file or the new one. Throws ResourceError.
void write_summary(const std::filesystem::path& folder, const std::string& text);

}  // namespace espectra
