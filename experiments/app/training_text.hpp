#pragma once

#include "espectra/experiments/run/run_plan.hpp"

#include <string>

namespace espectra {

/// How a network is trained: "adam, full batch, learning rate 0.01 · 0.9^(t/500)"; with weight decay what it
/// is a part of, and for a small network whether it cannot take the fused trainer.
std::string training_text(const PlannedNetwork& planned);

/// Lines "training: …", one for each of up to four different trainings of a run; of more, their number.
std::string trainings_text(const RunPlan& plan);

}  // namespace espectra
