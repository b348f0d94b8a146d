#pragma once

#include "espectra/experiments/store/recorded_run.hpp"
#include "espectra/models/spectrum/parameter_blocks.hpp"
#include "espectra/models/spectrum/spectrum.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace espectra {

/// The Hessian of one snapshot and what comes with it; arrays that were not asked for are empty.
struct SnapshotHessian {
    Index snapshot = 0;
    std::vector<double> theta, gradient;        ///< [P]
    std::vector<double> hessian, gauss_newton;  ///< [P, P]
    Spectrum spectrum;
    std::vector<std::pair<std::string, BlockSpectrum>> blocks;
};

/// Writes a new HDF5 file (docs/file-formats.md, output of `espectra hessian`); it has its name once it is
/// complete.
void write_hessian_file(const std::filesystem::path& path, const RecordedRun& run,
                        const SnapshotHessian& result);

}  // namespace espectra
