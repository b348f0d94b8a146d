#pragma once

#include "espectra/experiments/run/run_plan.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace espectra {

// The plan of a run, before it starts. `device`: description of the device.

/// Three lines: number of networks and spectra; workers and memory; estimated time and size of the results.
std::string plan_text(const RunPlan& plan, const std::string& device);

/// The values that all combinations share, and one line for each of the 40 costliest combinations.
std::string plan_table(const RunPlan& plan);

/// The plan as one JSON object.
nlohmann::ordered_json plan_json(const RunPlan& plan, const std::string& device);

}  // namespace espectra
