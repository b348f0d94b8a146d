#pragma once

#include "espectra/experiments/device/device.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace espectra {

// The subcommands of `espectra`. Each returns the exit status; errors are exceptions (runtime/error.hpp).

struct RunOptions {
    std::filesystem::path recipe, output;  ///< output empty: results/<name of the recipe>
    bool resume = false, json = false;
    bool dry_run = false;  ///< prints the plan; computes and writes nothing
    bool report = false;   ///< makes the report of the results in the end
    std::vector<std::string> overrides;
};
int run_command(const RunOptions& options, const Device& device);

struct HessianOptions {
    std::filesystem::path run, output;  ///< output empty: no file
    std::string network;                ///< group of a results.h5, needed if it has several
    long replica = 0;
    long snapshot = -1;  ///< −1: the last
    bool eigenvectors = false, json = false;
};
int hessian_command(const HessianOptions& options, const Device& device);

struct ReplayOptions {
    std::filesystem::path run;
    bool json = false;
};
int replay_command(const ReplayOptions& options, const Device& device);

struct InfoOptions {
    bool json = false;
};
int info_command(const InfoOptions& options);

}  // namespace espectra
