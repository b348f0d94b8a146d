#pragma once

#include "espectra/experiments/run/outcome.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace espectra {

/// Returns the results of a run as tables: the summary, statistics over replicas and critical points. Tables
/// longer than `most_rows` end with "…".
std::string result_tables(const RunOutcome& outcome, const std::vector<PlannedNetwork>& networks,
                          std::size_t most_rows);

/// "12 spectra and 4 searches for critical points", or the one that there is; empty if nothing was done.
std::string work_done_text(const RunOutcome& outcome);

/// Returns two lines: the times of the run, and the path of its results.
std::string outcome_text(const RunOutcome& outcome);

/// Returns the counts of the progress line: spectra first, then searches.
std::string progress_text(const RunProgress& progress);

}  // namespace espectra
