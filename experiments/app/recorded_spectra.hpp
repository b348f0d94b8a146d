#pragma once

#include "espectra/experiments/app/commands.hpp"
#include "espectra/experiments/store/recorded_run.hpp"

namespace espectra {

/// Carries out `espectra hessian --snapshot all`: computes the spectra of all snapshots of the run and writes
/// them to a results file. Returns the exit status.
int write_recorded_spectra(const RecordedRun& run, const HessianOptions& options, const Device& device);

}  // namespace espectra
