#pragma once

#include "espectra/experiments/run/outcome.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace espectra {

/// Returns the outcome of a run as one JSON object; `device`: description of the device.
nlohmann::ordered_json outcome_json(const RunOutcome& outcome, const std::vector<PlannedNetwork>& networks,
                                    const std::string& device);

}  // namespace espectra
