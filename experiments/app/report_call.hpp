#pragma once

#include <filesystem>
#include <string>

namespace espectra {

/// Throws InputError if there is no program espectra-report, ResourceError if it does not start: with
/// --report, this is known before anything is computed.
void require_report();

/// Makes the report of the results in `folder` by espectra-report and returns its exit status. With `json`
/// its output goes to standard error.
int make_report(const std::filesystem::path& folder, bool json);

/// Returns the line that says how to make the report; empty without a program espectra-report.
std::string report_hint(const std::filesystem::path& folder);

}  // namespace espectra
