#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace espectra {

// The subcommands of `espectra`. Each returns the exit status; errors are exceptions (runtime/error.hpp).

struct RunOptions {
    std::filesystem::path recipe, output;  ///< output empty: results/<name of the recipe>
    std::string device = "auto";
    bool resume = false, json = false;
    std::vector<std::string> overrides;
};
int run_command(const RunOptions& options);

struct HessianOptions {
    std::filesystem::path run, output;  ///< output empty: no file
    std::string device = "auto";
    std::string network;  ///< group of a results.h5 with several
    long replica = 0;
    long snapshot = -1;  ///< −1: the last
    bool eigenvectors = false, json = false;
};
int hessian_command(const HessianOptions& options);

struct ReplayOptions {
    std::filesystem::path run;
    std::string device = "auto";
    bool json = false;
};
int replay_command(const ReplayOptions& options);

struct InfoOptions {
    bool json = false;
};
int info_command(const InfoOptions& options);

}  // namespace espectra
