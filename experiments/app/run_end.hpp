#pragma once

#include "espectra/experiments/run/outcome.hpp"

#include <string>
#include <vector>

// The end of a command that has written a results.h5.

namespace espectra {

/// Prints the outcome, its tables cut to 40 rows, and writes the whole tables to summary.txt next to a file
/// called results.h5.
void publish(const RunOutcome& outcome, const std::vector<PlannedNetwork>& networks,
             const std::string& device, bool json);

/// Ends the process without waiting for eigensolves still under way. `advice` ends the message.
[[noreturn]] void exit_interrupted(const RunOutcome& outcome, const char* advice);

/// Throws NumericalError where a network failed or a certificate is above its limit.
void check_outcome(const RunOutcome& outcome, const std::vector<PlannedNetwork>& networks);

}  // namespace espectra
